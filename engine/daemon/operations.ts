/** What a client may ask for: one row an operation. Format of requests and replies: engine/PROTOCOL.md "Operations". */
import { checkFsName, checkName } from "../../index/core/names.js";
import { BLOCK_NUMBERS_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";
import { CacheError } from "../../index/core/errors.js";
import type { Bypass, Tag } from "../api.js";
import { ADMIN_OPERATIONS } from "./admin-operations.js";
import { checkBlockPayload } from "./arguments.js";
import type { Fields } from "./fields.js";
import { HANDLE_OPERATIONS } from "./handle-operations.js";
import { wireInteger } from "./headers.js";
import type { Header } from "./headers.js";
import { askedBytes } from "./operation.js";
import type { Operation } from "./operation.js";
import { encodeStatus } from "./status-codec.js";

const get: Operation = {
  payload: false,
  replyBytes: (fields) => Math.min(askedBytes(fields, SLOT_BYTES), SLOT_BYTES),
  async run({ fields }, { cache, pool }) {
    const tag = tagOf(fields);
    const offsetBytes = fields.has("offset") ? fields.uint("offset", SLOT_BYTES) : 0;
    const asked = fields.has("length") ? fields.uint("length", SLOT_BYTES) : SLOT_BYTES;
    const lengthBytes = Math.min(asked, SLOT_BYTES - offsetBytes);
    const into = pool.take(lengthBytes);
    const result = await cache.get(tag, { offsetBytes, lengthBytes, into });
    if (result.kind === "hit") {
      return { header: { status: "hit" }, payload: [result.bytes], pooled: into };
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
    return { header: { status: "ok", removed: await cache.remove(tagOf(fields)) } };
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

const ping: Operation = {
  payload: false,
  run: () => Promise.resolve({ header: { status: "ok" } }),
};

const stop: Operation = {
  payload: false,
  run: (_request, { onStopRequest }) => Promise.resolve({ header: { status: "ok" }, onSent: onStopRequest }),
};

/** Every operation but hello, which belongs to the connection. */
export const OPERATIONS: ReadonlyMap<string, Operation> = new Map<string, Operation>([
  ["get", get],
  ["put", put],
  ["has", has],
  ["remove", remove],
  ["status", status],
  ["cull", cull],
  ["wipe", wipe],
  ["ping", ping],
  ["stop", stop],
  ...HANDLE_OPERATIONS,
  ...ADMIN_OPERATIONS,
]);

function bypassHeader(bypass: Bypass): Header {
  return { status: "bypass", reason: bypass.reason };
}

function tagOf(fields: Fields): Tag {
  return {
    fs: checkFsName(fields.bytes("fs", FS_NAME_BYTES_MAX)),
    volume: checkName("volume", fields.bytes("volume", NAME_BYTES_MAX)),
    inode: checkName("inode", fields.bytes("inode", NAME_BYTES_MAX)),
    block: fields.uint("block", BLOCK_NUMBERS_MAX - 1),
  };
}

/** For an operation name that is not in the table. */
export function unknownOperation(name: string): CacheError {
  const shown = JSON.stringify(name.slice(0, 40));
  return new CacheError("E_OPERATION", `Cannot serve operation ${shown}: this daemon does not know it`);
}
