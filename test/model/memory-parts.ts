/** What the model's cache is made of besides its maps: keys, ranges, and ranges cut at blocks. */
import { SLOT_BYTES } from "../../index/core/layout.js";
import { checkFsName, checkName } from "../../index/core/names.js";
import type { NameBytes } from "../../index/core/names.js";
import type { ByteRange } from "../../engine/api.js";

const BLOCK_BYTES = BigInt(SLOT_BYTES);

export interface VolumeModel {
  coherency: Buffer;
  revision: number;
  readonly files: Map<string, FileModel>;
}

export interface FileModel {
  coherency: Buffer;
  revision: number;
  sizeBytes: bigint;
  readonly blocks: Map<number, Buffer>;
}

/** All content between two wipes. */
export type Life = Map<string, VolumeModel>;

/** The parts of a range by block: where in the range, which block, where in the block, how long. */
export function* piecesOf(offsetBytes: bigint, lengthBytes: number) {
  for (let at = 0; at < lengthBytes;) {
    const position = offsetBytes + BigInt(at);
    const block = Number(position / BLOCK_BYTES);
    const within = Number(position % BLOCK_BYTES);
    const pieceBytes = Math.min(SLOT_BYTES - within, lengthBytes - at);
    yield { at, block, within, pieceBytes };
    at += pieceBytes;
  }
}

/** Appends a range to ascending ones, joined with the last where they touch. */
export function addRange(ranges: ByteRange[], offsetBytes: bigint, lengthBytes: number): void {
  if (lengthBytes === 0) return;
  const last = ranges.at(-1);
  if (last !== undefined && last.offsetBytes + BigInt(last.lengthBytes) === offsetBytes) {
    ranges[ranges.length - 1] = {
      offsetBytes: last.offsetBytes,
      lengthBytes: last.lengthBytes + lengthBytes,
    };
  } else ranges.push({ offsetBytes, lengthBytes });
}

export function volumeKey(fs: NameBytes, volume: NameBytes): string {
  return `${checkFsName(fs).toString("hex")}/${checkName("volume", volume).toString("hex")}`;
}

export function inodeKey(inode: NameBytes): string {
  return checkName("inode", inode).toString("hex");
}

export function obtain<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}

/** What the model says of itself whatever happens: memory has room, and does not fall sick. */
export const FIXED_STATUS = {
  trust: {
    onUnclean: "wipe",
    surveying: false,
    uncheckedBlocks: 0,
    scrub: { state: "idle", blocks: 0, bytes: 0, corrupt: 0, bytesPerSecond: 0 },
  },
  state: "running",
  pid: process.pid,
  version: "0.0.0",
  uptimeSeconds: 1,
  cacheId: "00112233445566778899aabbccddeeff",
  policy: "none",
  directory: "",
  capacityBytes: 2 ** 50,
  indexBytes: 0,
  indexBytesMax: 2 ** 40,
  slotsMax: 2 ** 32,
  headroom: { slots: 0, bytes: 0 },
  drive: { state: "ok", totalBytes: 2 ** 50, availableBytes: 2 ** 49, totalInodes: 0, availableInodes: 0 },
  health: {
    state: "ok",
    times: 0,
    errors: 0,
    slots: 0,
    slotsMax: 3,
    windowMs: 10_000,
    probeEveryMs: 5000,
    probesGood: 0,
    probesWanted: 3,
  },
  shares: [],
  notCulled: { inUse: 0 },
  corrupt: 0,
  bypassed: {},
  start: { kind: "new", action: "none", ms: 0.5 },
} as const;
