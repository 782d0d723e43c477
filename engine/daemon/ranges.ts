/** Which parts of a read are there, given which are not. */
import type { ByteRange } from "../api.js";

/** A part [start, end) of a buffer. */
export interface Part {
  readonly start: number;
  readonly end: number;
}

/** The parts of a read of `lengthBytes` at `offsetBytes` that lie outside `missing`, ascending. */
export function presentRanges(
  offsetBytes: bigint,
  lengthBytes: number,
  missing: readonly ByteRange[],
): Part[] {
  const present: Part[] = [];
  let start = 0;
  for (const range of missing) {
    const end = Number(range.offsetBytes - offsetBytes);
    if (end > start) present.push({ start, end });
    start = end + range.lengthBytes;
  }
  if (start < lengthBytes) present.push({ start, end: lengthBytes });
  return present;
}

/**
 * Moves what stands packed at the start of `bytes` to its parts, and fills the rest with zeros.
 * @param parts ascending and disjoint, as presentRanges gives them.
 */
export function spreadParts(bytes: Buffer, parts: readonly Part[]): void {
  let packed = parts.reduce((sum, part) => sum + part.end - part.start, 0);
  let end = bytes.length;
  // From the last to the first: a part never moves towards the start, so none is overwritten before it has moved.
  for (const part of parts.toReversed()) {
    packed -= part.end - part.start;
    bytes.fill(0, part.end, end);
    bytes.copyWithin(part.start, packed, packed + part.end - part.start);
    end = part.start;
  }
  bytes.fill(0, 0, end);
}
