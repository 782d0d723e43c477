/** What operators ask for: flush, list, explain and pins. Format: engine/PROTOCOL.md "Flush, list, explain, pins". */
import { checkFsName, checkName } from "../../index/core/names.js";
import { BLOCK_NUMBERS_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import { type Selector, checkSelector } from "../../index/core/selector.js";
import { LIST_ENTRIES_MAX } from "../admin-api.js";
import type { Fields } from "./fields.js";
import type { Operation } from "./operation.js";
import { encodeMap } from "./status-codec.js";

const flush: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const report = await cache.flush(selectorOf(fields), { dryRun: fields.flag("dryRun") });
    return { header: { status: "ok", ...encodeMap(report) } };
  },
};

const list: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const after = fields.has("after") ? { after: fields.bytesCopy("after", NAME_BYTES_MAX) } : {};
    const page = await cache.list(selectorOf(fields), { ...after, ...limitOf(fields) });
    return { header: { status: "ok", ...encodeMap(page) } };
  },
};

const explain: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const explanation = await cache.explain({
      fs: checkFsName(fields.bytesCopy("fs", FS_NAME_BYTES_MAX)),
      volume: checkName("volume", fields.bytesCopy("volume", NAME_BYTES_MAX)),
      inode: checkName("inode", fields.bytesCopy("inode", NAME_BYTES_MAX)),
      block: fields.uint("block", BLOCK_NUMBERS_MAX - 1),
    });
    return { header: { status: "ok", block: encodeMap(explanation) } };
  },
};

const pin: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const report = await cache.pin(selectorOf(fields), { refetched: fields.flag("refetched") });
    return { header: { status: "ok", ...encodeMap(report) } };
  },
};

const unpin: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    return { header: { status: "ok", ...encodeMap(await cache.unpin(selectorOf(fields))) } };
  },
};

const pins: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const after = fields.has("after") ? { after: fields.uint("after", Number.MAX_SAFE_INTEGER) } : {};
    const page = await cache.pins({ ...after, ...limitOf(fields) });
    return { header: { status: "ok", ...encodeMap(page) } };
  },
};

const scrub: Operation = {
  payload: false,
  async run({ fields }, { cache }) {
    const rate = fields.has("rate") ? { bytesPerSecond: fields.uint("rate", Number.MAX_SAFE_INTEGER) } : {};
    await cache.scrub(rate);
    return { header: { status: "ok" } };
  },
};

export const ADMIN_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["flush", flush],
  ["ls", list],
  ["explain", explain],
  ["pin", pin],
  ["unpin", unpin],
  ["pins", pins],
  ["scrub", scrub],
];

/** @throws {CacheError} E_ARGUMENT. */
function selectorOf(fields: Fields): Selector {
  const part = (key: string, bytesMax: number) =>
    fields.has(key) ? { [key]: fields.bytesCopy(key, bytesMax) } : {};
  const selector = {
    ...(fields.flag("all") && { all: true }),
    ...part("fs", FS_NAME_BYTES_MAX),
    ...part("volume", NAME_BYTES_MAX),
    ...part("inode", NAME_BYTES_MAX),
    ...part("inodePrefix", NAME_BYTES_MAX),
  } as unknown as Selector; // checkSelector says whether it is one
  checkSelector(selector);
  return selector;
}

function limitOf(fields: Fields): { limit?: number } {
  return fields.has("limit") ? { limit: fields.uint("limit", LIST_ENTRIES_MAX) } : {};
}
