/** Recording accesses, over the socket: the daemon's half and the client's. Format: engine/PROTOCOL.md "Recording accesses". */
import { TRACE_BYTES_MAX, TRACE_STATES, type TraceCalls, type TraceStatus } from "../trace-api.js";
import { CacheError } from "../../index/core/errors.js";
import { mapOf } from "./field-maps.js";
import type { Fields } from "./fields.js";
import type { Operation, OperationServices } from "./operation.js";
import { encodeMap } from "./status-codec.js";

const COUNT_MAX = Number.MAX_SAFE_INTEGER;

const start: Operation = {
  payload: false,
  async run({ fields }, services) {
    const path = fields.text("path");
    const bytesMax = fields.has("bytesMax") ? { bytesMax: fields.uint("bytesMax", TRACE_BYTES_MAX) } : {};
    return replyOf(await traceOf(services).startTrace({ path, ...bytesMax }));
  },
};

const stop: Operation = {
  payload: false,
  run: async (_request, services) => replyOf(await traceOf(services).stopTrace()),
};

const show: Operation = {
  payload: false,
  run: async (_request, services) => replyOf(await traceOf(services).traceStatus()),
};

export const TRACE_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["traceStart", start],
  ["traceStop", stop],
  ["trace", show],
];

function traceOf({ trace }: OperationServices): TraceCalls {
  if (trace !== undefined) return trace;
  throw new CacheError("E_OPERATION", "Cannot record accesses: this daemon does not");
}

function replyOf(status: TraceStatus) {
  return { header: { status: "ok", trace: encodeMap(status) } };
}

/** What a reply says of the recording. @throws {CacheError} E_FRAME when a field is of another type. */
export function decodeTrace(reply: Fields): TraceStatus {
  const fields = mapOf(reply, "trace");
  const found = fields.text("state");
  const state = TRACE_STATES.find((known) => known === found);
  if (state === undefined)
    throw new CacheError("E_FRAME", `Cannot read a reply: the recording is "${found}"`);
  const uint = (key: string) => (fields.has(key) ? { [key]: fields.uint(key, COUNT_MAX) } : {});
  const text = (key: string) => (fields.has(key) ? { [key]: fields.text(key) } : {});
  const counts = ["startedMs", "bytes", "bytesMax", "accesses", "files", "lost"].map(uint);
  return Object.assign({ state }, text("path"), text("reason"), ...counts) as TraceStatus;
}
