/** Checks over the socket: the daemon's half and the client's. Format: engine/PROTOCOL.md "Checks". */
import { CacheError } from "../../index/core/errors.js";
import {
  type FsckCalls,
  type FsckFinding,
  type FsckStatus,
  FSCK_PHASES,
  FSCK_STATES,
  NO_COUNTS,
} from "../fsck-api.js";
import { checkInteger } from "./arguments.js";
import { mapOf, mapsOf } from "./field-maps.js";
import type { Fields } from "./fields.js";
import { type Header, wireInteger } from "./headers.js";
import { QUARANTINE_FILES, type QuarantineCalls } from "../quarantine-api.js";
import type { Operation, OperationServices } from "./operation.js";
import { encodeMap } from "./status-codec.js";

const COUNT_MAX = Number.MAX_SAFE_INTEGER;

const start: Operation = {
  payload: false,
  async run({ fields }, services) {
    const rate = fields.has("rate") ? { bytesPerSecond: fields.uint("rate", COUNT_MAX) } : {};
    const wanted = { deep: fields.flag("deep"), repair: fields.flag("repair") };
    return replyOf(await fsckOf(services).start({ ...wanted, ...rate }));
  },
};

const show: Operation = {
  payload: false,
  async run({ fields }, services) {
    const after = fields.has("after") ? { after: fields.uint("after", COUNT_MAX) } : {};
    return replyOf(await fsckOf(services).status(after));
  },
};

const stop: Operation = {
  payload: false,
  run: async (_request, services) => replyOf(await fsckOf(services).stop()),
};

const list: Operation = {
  payload: false,
  async run({ fields }, services) {
    const after = fields.has("after") ? { after: fields.uint("after", COUNT_MAX) } : {};
    const limit = fields.has("limit") ? { limit: fields.uint("limit", COUNT_MAX) } : {};
    const page = await fsckOf(services).quarantine.list({ ...after, ...limit });
    return { header: { status: "ok", ...encodeMap(page) } };
  },
};

const retry: Operation = {
  payload: false,
  async run({ fields }, services) {
    const report = await fsckOf(services).quarantine.retry(fields.uint("slot", COUNT_MAX));
    return { header: { status: "ok", ...encodeMap(report) } };
  },
};

const release: Operation = {
  payload: false,
  async run({ fields }, services) {
    await fsckOf(services).quarantine.release(fields.uint("slot", COUNT_MAX));
    return { header: { status: "ok" } };
  },
};

export const FSCK_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["fsckStart", start],
  ["fsck", show],
  ["fsckStop", stop],
  ["quarantine", list],
  ["quarantineRetry", retry],
  ["quarantineRelease", release],
];

function fsckOf({ fsck }: OperationServices): FsckCalls {
  if (fsck !== undefined) return fsck;
  throw new CacheError("E_OPERATION", "Cannot check: this daemon does not");
}

function replyOf(status: FsckStatus) {
  return { header: { status: "ok", fsck: encodeMap(status) } };
}

/** Sends a request and resolves with its reply. */
type Ask = (action: string, headerOf: () => Header) => Promise<Fields>;

/** The client's half. */
export function fsckClient(ask: Ask): FsckCalls {
  return {
    quarantine: quarantineClient(ask),
    start: async ({ deep = false, repair = false, bytesPerSecond } = {}) =>
      decodeFsck(
        await ask("begin a check", () => ({
          op: "fsckStart",
          ...(deep && { deep }),
          ...(repair && { repair }),
          ...(bytesPerSecond !== undefined && {
            rate: wireInteger(checkInteger("rate", bytesPerSecond, COUNT_MAX)),
          }),
        })),
      ),
    status: async ({ after = 0 } = {}) =>
      decodeFsck(
        await ask("follow the check", () => ({
          op: "fsck",
          ...(after !== 0 && { after: wireInteger(checkInteger("after", after, COUNT_MAX)) }),
        })),
      ),
    stop: async () => decodeFsck(await ask("end the check", () => ({ op: "fsckStop" }))),
  };
}

function quarantineClient(ask: Ask): QuarantineCalls {
  const uint = (name: string, value: number) => wireInteger(checkInteger(name, value, COUNT_MAX));
  return {
    async list({ after, limit } = {}) {
      const reply = await ask("list the quarantine", () => ({
        op: "quarantine",
        ...(after !== undefined && { after: uint("after", after) }),
        ...(limit !== undefined && { limit: uint("limit", limit) }),
      }));
      const slots = mapsOf(reply, "slots").map((found) => ({
        slot: found.uint("slot", COUNT_MAX),
        bytes: found.uint("bytes", COUNT_MAX),
        file: oneOf(QUARANTINE_FILES, found.text("file")),
      }));
      return { slots, more: reply.flag("more") };
    },
    async retry(slot) {
      const header = () => ({ op: "quarantineRetry", slot: uint("slot", slot) });
      const reply = await ask("try a slot", header);
      const reason = reply.has("reason") ? { reason: reply.text("reason") } : {};
      return { slot: reply.uint("slot", COUNT_MAX), free: reply.flag("free"), ...reason };
    },
    async release(slot) {
      await ask("release a slot", () => ({ op: "quarantineRelease", slot: uint("slot", slot) }));
    },
  };
}

/** @throws {CacheError} E_FRAME when a field is of another type. */
function decodeFsck(reply: Fields): FsckStatus {
  const fields = mapOf(reply, "fsck");
  const progress = mapOf(fields, "progress");
  return {
    id: fields.uint("id", COUNT_MAX),
    state: oneOf(FSCK_STATES, fields.text("state")),
    deep: fields.flag("deep"),
    repair: fields.flag("repair"),
    ...(fields.has("reason") && { reason: fields.text("reason") }),
    progress: {
      phase: oneOf(FSCK_PHASES, progress.text("phase")),
      done: progress.uint("done", COUNT_MAX),
      total: progress.uint("total", COUNT_MAX),
      bytes: progress.uint("bytes", COUNT_MAX),
    },
    findings: mapsOf(fields, "findings").map(findingOf),
    found: fields.uint("found", COUNT_MAX),
    repaired: fields.uint("repaired", COUNT_MAX),
    foundByCode: countsOf(fields, "foundByCode"),
    counts: { ...NO_COUNTS, ...countsOf(fields, "counts") },
    clean: fields.flag("clean"),
  };
}

/** Codes of newer daemons pass as they are. */
function findingOf(finding: Fields): FsckFinding {
  return {
    code: finding.text("code") as FsckFinding["code"],
    message: finding.text("message"),
    ...(finding.has("slot") && { slot: finding.uint("slot", COUNT_MAX) }),
    ...(finding.has("repaired") && { repaired: finding.text("repaired") }),
  };
}

function countsOf(fields: Fields, key: string): Record<string, number> {
  const map = mapOf(fields, key);
  const counts: Record<string, number> = {};
  for (const name of map.keys()) counts[name] = map.uint(name, COUNT_MAX);
  return counts;
}

function oneOf<Text extends string>(known: readonly Text[], text: string): Text {
  const found = known.find((one) => one === text);
  if (found !== undefined) return found;
  throw new CacheError("E_FRAME", `Cannot read a reply: "${text}" is none of ${known.join(", ")}`);
}
