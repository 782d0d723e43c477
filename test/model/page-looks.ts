/** Byte ranges of files as parts of pages, and what a read tells of each. Pure. */
import assert from "node:assert/strict";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import type { ByteRange } from "../../engine/api.js";

/** What was found of a page: its bytes [from, to), or that they are missing. */
export interface Look {
  readonly file: number;
  readonly page: number;
  readonly from: number;
  readonly to: number;
  readonly bytes?: Buffer;
  /** The page is here up to its end, not only up to `to`. */
  readonly whole: boolean;
}
/** The part of a range in one page, as bytes of that. */
export interface PagePart {
  readonly page: number;
  readonly from: number;
  readonly to: number;
}

export function blockOf(offsetBytes: number): number {
  return Math.floor(offsetBytes / SLOT_BYTES);
}

export function at(file: number, page: number): string {
  return `file ${file} page ${page}`;
}

/** How many bytes of a page belong to a file of this size. */
export function endOfPage(sizeBytes: number, page: number): number {
  return Math.min(PAGE_BYTES, Math.max(0, sizeBytes - page * PAGE_BYTES));
}

export function pagesOf(offsetBytes: number, lengthBytes: number): PagePart[] {
  const parts: PagePart[] = [];
  for (let start = offsetBytes; start < offsetBytes + lengthBytes;) {
    const page = Math.floor(start / PAGE_BYTES);
    const from = start - page * PAGE_BYTES;
    const to = Math.min(PAGE_BYTES, offsetBytes + lengthBytes - page * PAGE_BYTES);
    parts.push({ page, from, to });
    start = (page + 1) * PAGE_BYTES;
  }
  return parts;
}

/** What a read tells page by page; what is missing is missing in whole pages. */
export function looksOf(
  file: number,
  offsetBytes: number,
  { bytes, missing }: { readonly bytes: Buffer; readonly missing: readonly ByteRange[] },
): Look[] {
  const end = offsetBytes + bytes.length;
  const gaps = new Map<number, PagePart>();
  let last = -1;
  for (const range of missing) {
    const from = Number(range.offsetBytes);
    assert.ok(
      from > last && from >= offsetBytes && range.lengthBytes > 0,
      "ascending, apart, within the range",
    );
    last = from + range.lengthBytes;
    for (const part of pagesOf(from, range.lengthBytes)) gaps.set(part.page, part);
  }
  assert.ok(last <= end);
  return pagesOf(offsetBytes, bytes.length).map((part) => {
    const start = part.page * PAGE_BYTES - offsetBytes;
    const found = bytes.subarray(start + part.from, start + part.to);
    const gap = gaps.get(part.page);
    if (gap === undefined) return { file, ...part, bytes: found, whole: true };
    assert.deepEqual(gap, part, "missing in whole pages");
    assert.ok(found.every((byte) => byte === 0));
    return { file, ...part, whole: true };
  });
}

/** What was stored of a range, by page. */
export function storedOf(what: { offsetBytes: number; lengthBytes: number }, stored: readonly ByteRange[]) {
  const parts = new Map<number, PagePart>();
  let end = what.offsetBytes - 1;
  for (const range of stored) {
    assert.ok(
      range.offsetBytes > end && range.lengthBytes > 0,
      "ascending, apart, and within what was written",
    );
    end = Number(range.offsetBytes) + range.lengthBytes;
    for (const part of pagesOf(Number(range.offsetBytes), range.lengthBytes)) parts.set(part.page, part);
  }
  assert.ok(end <= what.offsetBytes + what.lengthBytes);
  return parts;
}
