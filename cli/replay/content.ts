/** What a replay stores: bytes that tell which block they belong to, under names that no real content has. */
import { createHash, randomFillSync } from "node:crypto";
import type { NameBytes } from "../../engine/cache.js";
import type { TraceFile } from "../../engine/trace/format.js";
import { FS_NAME_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";

/** Stands before the name of the file system. */
const PREFIX = "replay:";
/** Shifts by a multiple of this: pages of different blocks are then whole pages of the pattern. */
const STEP_BYTES = 64;
const PLACES = SLOT_BYTES / STEP_BYTES;

const pattern = Buffer.alloc(2 * SLOT_BYTES);

/** The bytes of a block from `offsetBytes` on; the same for every call within one process. A view: do not change it. */
export function contentOf(file: TraceFile, block: number, offsetBytes: number, lengthBytes: number): Buffer {
  if (pattern[0] === 0 && pattern.readBigUInt64LE(0) === 0n) randomFillSync(pattern);
  const place = (Math.imul(file.number + 1, 0x9e37_79b1) ^ Math.imul(block + 1, 0x85eb_ca6b)) >>> 0;
  const from = (place % PLACES) * STEP_BYTES + offsetBytes;
  return pattern.subarray(from, from + lengthBytes);
}

/** The file system that a replay stores content of this one under. */
export function replayedFs(fs: Buffer): NameBytes {
  const name = Buffer.concat([Buffer.from(PREFIX), fs]);
  if (name.length <= FS_NAME_BYTES_MAX) return name;
  return `${PREFIX}${createHash("sha256").update(fs).digest("hex")}`;
}
