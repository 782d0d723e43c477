/** Byte ranges of a file and the blocks they lie in. Pure. */
import { SLOT_BYTES } from "../index/core/layout.js";
import type { ByteRange } from "./api.js";

export const BLOCK_BYTES = BigInt(SLOT_BYTES);

/** How many of the bytes from an offset lie before the end of the file. */
export function bytesBeforeEnd(offsetBytes: bigint, lengthBytes: number, sizeBytes: bigint): number {
  const left = sizeBytes - offsetBytes;
  return left <= 0n ? 0 : left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
}

/** The part of a byte range that lies in one block. */
export interface Piece {
  readonly block: number;
  /** Where it begins in the block. */
  readonly within: number;
  /** Where it begins in the range. */
  readonly at: number;
  readonly lengthBytes: number;
}

/** The pieces of a range, one for each block, in order. */
export function piecesOf(offsetBytes: bigint, lengthBytes: number): Piece[] {
  const pieces: Piece[] = [];
  let block = Number(offsetBytes / BLOCK_BYTES);
  let within = Number(offsetBytes % BLOCK_BYTES);
  for (let at = 0; at < lengthBytes; block += 1, within = 0) {
    const length = Math.min(SLOT_BYTES - within, lengthBytes - at);
    pieces.push({ block, within, at, lengthBytes: length });
    at += length;
  }
  return pieces;
}

/** Appends a range, joined to the last one where they touch. */
export function addRange(ranges: ByteRange[], offsetBytes: bigint, lengthBytes: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offsetBytes + BigInt(last.lengthBytes) === offsetBytes) {
    ranges[ranges.length - 1] = {
      offsetBytes: last.offsetBytes,
      lengthBytes: last.lengthBytes + lengthBytes,
    };
  } else ranges.push({ offsetBytes, lengthBytes });
}

/** Where a block of a file of this size ends. */
export function endOfBlock(block: number, sizeBytes: bigint): number {
  const left = sizeBytes - BigInt(block) * BLOCK_BYTES;
  return left >= BLOCK_BYTES ? SLOT_BYTES : Math.max(0, Number(left));
}
