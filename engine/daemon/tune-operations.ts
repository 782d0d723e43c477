/** What other sizes and policies would bring, over the socket: both halves. Format: engine/PROTOCOL.md "Advice". */
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { type PolicyName, isPolicyName } from "../policy-names.js";
import type { AdvicePoint, TuneAdvice } from "../tune-api.js";
import { mapOf, mapsOf } from "./field-maps.js";
import type { Fields } from "./fields.js";
import type { Operation } from "./operation.js";

const COUNT_MAX = Number.MAX_SAFE_INTEGER;
/** Ratios travel as whole numbers of this. */
const MILLION = 1_000_000;

const tune: Operation = {
  payload: false,
  async run(_request, { tune: calls }) {
    if (calls === undefined)
      throw new CacheError("E_OPERATION", "Cannot advise: this daemon watches nothing");
    const { sampleRate, curve, sizes, policies, ...counts } = await calls.tuneAdvice();
    const advice = {
      ...counts,
      sampleMillionths: millionths(sampleRate),
      curve: curve.map(pointOf),
      sizes: sizes.map(pointOf),
      policies: policies.map(({ policy, missRatio }) => ({ policy, missMillionths: millionths(missRatio) })),
    };
    return { header: { status: "ok", tune: advice } };
  },
};

export const TUNE_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [["tune", tune]];

/** @throws {CacheError} E_FRAME when a field is absent, of another type or out of range. */
export function decodeAdvice(reply: Fields): TuneAdvice {
  const fields = mapOf(reply, "tune");
  const count = (key: string): number => fields.uint(key, COUNT_MAX);
  return {
    policy: policyOf(fields),
    capacityBlocks: count("capacityBlocks"),
    blockBytes: fields.uint("blockBytes", SLOT_BYTES),
    uses: count("uses"),
    sampledBlocks: count("sampledBlocks"),
    sampleRate: fields.uint("sampleMillionths", MILLION) / MILLION,
    curve: mapsOf(fields, "curve").map(decodePoint),
    sizes: mapsOf(fields, "sizes").map(decodePoint),
    policies: mapsOf(fields, "policies").map((one) => ({ policy: policyOf(one), missRatio: missOf(one) })),
    culled: count("culled"),
    culledUnused: count("culledUnused"),
  };
}

function pointOf({ capacityBlocks, missRatio }: AdvicePoint) {
  return { capacityBlocks, missMillionths: millionths(missRatio) };
}

function decodePoint(fields: Fields): AdvicePoint {
  return { capacityBlocks: fields.uint("capacityBlocks", COUNT_MAX), missRatio: missOf(fields) };
}

function missOf(fields: Fields): number {
  return fields.uint("missMillionths", MILLION) / MILLION;
}

function policyOf(fields: Fields): PolicyName {
  const name = fields.text("policy");
  if (isPolicyName(name)) return name;
  throw new CacheError("E_FRAME", `Cannot use a reply: "${name}" is no policy`);
}

function millionths(ratio: number): number {
  return Math.round(ratio * MILLION);
}
