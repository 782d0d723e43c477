/** What a client may ask for: one row an operation. Format of requests and replies: engine/PROTOCOL.md "Operations". */
import assert from "node:assert/strict";
import { FS_NAME_BYTES_MAX, NAME_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";
import { CacheError } from "../../index/core/errors.js";
import { ADMIN_OPERATIONS } from "./admin-operations.js";
import { checkBlockPayload, checkInvalidate } from "./arguments.js";
import { encodeEntries } from "./config-codec.js";
import type { ConfigService } from "./config-service.js";
import { DIRECT_OPERATIONS, resolutionHeader } from "./direct-operations.js";
import { FSCK_OPERATIONS } from "./fsck-operations.js";
import { HANDLE_OPERATIONS } from "./handle-operations.js";
import { wireInteger } from "./headers.js";
import { LEASE_OPERATIONS } from "./lease-operations.js";
import { METADATA_OPERATIONS } from "./metadata-operations.js";
import { askedBytes } from "./operation.js";
import type { Operation, OperationServices } from "./operation.js";
import { encodeStatus } from "./status-codec.js";
import { TRACE_OPERATIONS } from "./trace-operations.js";
import { TUNE_OPERATIONS } from "./tune-operations.js";
import { bypassHeader, tagOf } from "./tag-fields.js";

const get: Operation = {
  payload: false,
  replyBytes: (fields) => Math.min(askedBytes(fields, SLOT_BYTES), SLOT_BYTES),
  async run({ fields }, { cache, pool, direct }) {
    // Names are views on the frame, whose memory serves others while this waits; what they mean is asked afterwards.
    const tag = tagOf(fields.flag("resolve") ? fields.owned() : fields);
    const offsetBytes = fields.has("offset") ? fields.uint("offset", SLOT_BYTES) : 0;
    const asked = fields.has("length") ? fields.uint("length", SLOT_BYTES) : SLOT_BYTES;
    const lengthBytes = Math.min(asked, SLOT_BYTES - offsetBytes);
    const into = pool.take(lengthBytes);
    const result = await cache.get(tag, { offsetBytes, lengthBytes, into });
    if (result.kind === "hit") {
      const header = { status: "hit", ...resolutionHeader(fields, direct, tag) };
      return { header, payload: [result.bytes], pooled: into };
    }
    pool.give(into);
    return { header: result.kind === "miss" ? { status: "miss" } : bypassHeader(result) };
  },
};

const put: Operation = {
  payload: true,
  async run({ fields, payload }, { cache }) {
    const tag = tagOf(fields);
    checkBlockPayload(payload);
    const result = await cache.put(tag, payload);
    return { header: result.kind === "stored" ? { status: "stored" } : bypassHeader(result) };
  },
};

const has: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    return { header: { status: "ok", found: await cache.has(tagOf(fields)) } };
  },
};

const remove: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    return { header: { status: "ok", removed: await cache.remove(tagOf(fields.owned())) } };
  },
};

const invalidate: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const target = checkInvalidate({
      fs: fields.bytesCopy("fs", FS_NAME_BYTES_MAX),
      ...(fields.has("volume") && { volume: fields.bytesCopy("volume", NAME_BYTES_MAX) }),
      ...(fields.has("inode") && { inode: fields.bytesCopy("inode", NAME_BYTES_MAX) }),
      ...(fields.has("offset") && {
        range: { offsetBytes: fields.uint63("offset"), lengthBytes: fields.uint63("length") },
      }),
    });
    await cache.invalidate(target);
    return { header: { status: "ok" } };
  },
};

const status: Operation = {
  payload: false,
  async run(_request, { cache }) {
    return { header: { status: "ok", cache: encodeStatus(await cache.status()) } };
  },
};

const cull: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const usedBytesMax = fields.uint("usedBytesMax", Number.MAX_SAFE_INTEGER);
    const { blocks, bytes, usedBytes } = await cache.cull({ usedBytesMax });
    return {
      header: { status: "ok", blocks, bytes: wireInteger(bytes), usedBytes: wireInteger(usedBytes) },
    };
  },
};

const wipe: Operation = {
  payload: false,
  async run(_request, { cache }) {
    await cache.wipe();
    return { header: { status: "ok" } };
  },
};

const config: Operation = {
  payload: false,
  run(_request, services) {
    const entries = configOf("config", services).entries();
    return Promise.resolve({ header: { status: "ok", config: encodeEntries(entries) } });
  },
};

const configSet: Operation = {
  payload: false,
  async run({ fields }, services) {
    const entries = await configOf("configSet", services).set(fields.textMap("changes"));
    return { header: { status: "ok", config: encodeEntries(entries) } };
  },
};

const ping: Operation = {
  payload: false,
  run: () => Promise.resolve({ header: { status: "ok" } }),
};

const stop: Operation = {
  payload: false,
  run: (_request, { onStopRequest }) => Promise.resolve({ header: { status: "ok" }, onSent: onStopRequest }),
};

const ROWS: ReadonlyArray<readonly [string, Operation]> = [
  ["get", get],
  ["put", put],
  ["has", has],
  ["remove", remove],
  ["invalidate", invalidate],
  ["status", status],
  ["cull", cull],
  ["wipe", wipe],
  ["config", config],
  ["configSet", configSet],
  ["ping", ping],
  ["stop", stop],
  ...DIRECT_OPERATIONS,
  ...HANDLE_OPERATIONS,
  ...LEASE_OPERATIONS,
  ...METADATA_OPERATIONS,
  ...ADMIN_OPERATIONS,
  ...TRACE_OPERATIONS,
  ...FSCK_OPERATIONS,
  ...TUNE_OPERATIONS,
];

/** Every operation but hello, which belongs to the connection. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map(ROWS);

assert.equal(OPERATIONS.size, ROWS.length, "no two operations have one name");

function configOf(name: string, { config: service }: OperationServices): ConfigService {
  if (service === undefined) throw unknownOperation(name);
  return service;
}

/** For an operation name that is not in the table. */
export function unknownOperation(name: string): CacheError {
  const shown = JSON.stringify(name.slice(0, 40));
  return new CacheError("E_OPERATION", `Cannot serve operation ${shown}: this daemon does not know it`);
}
