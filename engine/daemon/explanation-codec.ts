/** What a reply to `explain` says, every field checked. */
import { CacheError } from "../../index/core/errors.js";
import { COHERENCY_BYTES_MAX, SLOT_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { Explanation, HolderExplanation } from "../admin-api.js";
import { mapOf } from "./field-maps.js";
import type { Fields } from "./fields.js";
import type { HeaderValue } from "./headers.js";

const COUNT_MAX = Number.MAX_SAFE_INTEGER;

/** @throws {CacheError} E_FRAME when a field is absent, of another type or out of range. */
export function decodeExplanation(fields: Fields): Explanation {
  const file = fields.has("file") ? mapOf(fields, "file") : undefined;
  return {
    state: wordOf(fields, "state", ["cached", "stale", "absent"]),
    victim: fields.flag("victim"),
    why: fields.text("why"),
    inUse: fields.flag("inUse"),
    pin: wordOf(fields, "pin", ["none", "pinned", "beyond-budget"]),
    ...(fields.has("entry") && { entry: entryOf(mapOf(fields, "entry")) }),
    ...(fields.has("slot") && { slot: slotOf(mapOf(fields, "slot")) }),
    ...(fields.has("recency") && { recency: recencyOf(mapOf(fields, "recency")) }),
    ...(fields.has("share") && { share: shareOf(mapOf(fields, "share")) }),
    ...(file !== undefined && { file: { ...holderOf(file), sizeBytes: file.uint63("sizeBytes") } }),
    ...(fields.has("volume") && { volume: holderOf(mapOf(fields, "volume")) }),
  };
}

function entryOf(fields: Fields): NonNullable<Explanation["entry"]> {
  return {
    version: fields.uint("version", COUNT_MAX),
    epoch: fields.uint("epoch", COUNT_MAX),
    sequence: fields.uint("sequence", COUNT_MAX),
    validBytes: fields.uint("validBytes", SLOT_BYTES),
    present: runsOf(fields, "present"),
    zero: runsOf(fields, "zero"),
    checksum: wordOf(fields, "checksum", ["none", "crc32"]),
  };
}

function slotOf(fields: Fields): NonNullable<Explanation["slot"]> {
  return {
    number: fields.uint("number", COUNT_MAX),
    state: fields.text("state"),
    pages: fields.uint("pages", SLOT_PAGES),
  };
}

function recencyOf(fields: Fields): NonNullable<Explanation["recency"]> {
  const rank = fields.has("rank") ? { rank: fields.uint("rank", COUNT_MAX) } : {};
  return { used: fields.uint("used", COUNT_MAX), ...rank };
}

function shareOf(fields: Fields): NonNullable<Explanation["share"]> {
  const volume = fields.has("volume") ? { volume: fields.text("volume") } : {};
  return { fs: fields.text("fs"), ...volume, state: wordOf(fields, "state", ["over", "kept", "between"]) };
}

function holderOf(fields: Fields): HolderExplanation {
  return {
    id: fields.uint("id", COUNT_MAX),
    coherency: fields.bytesCopy("coherency", COHERENCY_BYTES_MAX),
    stamp: fields.uint("stamp", COUNT_MAX),
  };
}

function runsOf(fields: Fields, key: string): Array<readonly [number, number]> {
  const runs = fields.raw(key);
  if (!Array.isArray(runs)) throw malformed(key);
  return (runs as readonly HeaderValue[]).map((run) => {
    const [first, last] = Array.isArray(run) ? (run as readonly HeaderValue[]) : [];
    if (typeof first === "number" && typeof last === "number" && first <= last) return [first, last] as const;
    throw malformed(key);
  });
}

function wordOf<Word extends string>(fields: Fields, key: string, words: readonly Word[]): Word {
  const text = fields.text(key);
  const word = words.find((known) => known === text);
  if (word === undefined) throw malformed(key);
  return word;
}

function malformed(key: string): CacheError {
  return new CacheError("E_FRAME", `Cannot use a reply: its key "${key}" holds something unknown`);
}
