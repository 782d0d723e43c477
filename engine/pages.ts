/** Sets of the 64 pages of a block, in two halves of 32 bits as entries hold them. Pure. */
import { PAGE_BYTES, SLOT_PAGES } from "../index/core/layout.js";

export interface Pages {
  /** Pages 0 to 31, page 0 the lowest bit. */
  readonly low: number;
  readonly high: number;
}

/** Pages `first` to `end` - 1. */
export interface PageRun {
  readonly first: number;
  readonly end: number;
}

const ALL_32 = 0xffff_ffff;
export const NO_PAGES: Pages = { low: 0, high: 0 };

/** Pages `first` to `end` - 1; none if there are none. */
export function pagesBetween(first: number, end: number): Pages {
  return first >= end ? NO_PAGES : without(firstPages(end), firstPages(first));
}

/** Pages 0 to `count` - 1. */
export function firstPages(count: number): Pages {
  return {
    low: count >= 32 ? ALL_32 : 2 ** count - 1,
    high: count <= 32 ? 0 : count >= SLOT_PAGES ? ALL_32 : 2 ** (count - 32) - 1,
  };
}

export function union(a: Pages, b: Pages): Pages {
  return { low: (a.low | b.low) >>> 0, high: (a.high | b.high) >>> 0 };
}

export function common(a: Pages, b: Pages): Pages {
  return { low: (a.low & b.low) >>> 0, high: (a.high & b.high) >>> 0 };
}

export function without(a: Pages, b: Pages): Pages {
  return { low: (a.low & ~b.low) >>> 0, high: (a.high & ~b.high) >>> 0 };
}

export function isNone({ low, high }: Pages): boolean {
  return low === 0 && high === 0;
}

export function isSame(a: Pages, b: Pages): boolean {
  return a.low === b.low && a.high === b.high;
}

export function hasPage({ low, high }: Pages, page: number): boolean {
  return ((page < 32 ? low >>> page : high >>> (page - 32)) & 1) === 1;
}

/** One past the highest page of the set; 0 for none. */
export function endOf({ low, high }: Pages): number {
  return high === 0 ? 32 - Math.clz32(low) : SLOT_PAGES - Math.clz32(high);
}

/** The lowest page of a set that has one. */
export function firstOf({ low, high }: Pages): number {
  return low === 0 ? 32 + trailingZeros(high) : trailingZeros(low);
}

/** Runs of neighbouring pages, ascending. */
export function runsOf(pages: Pages): PageRun[] {
  const runs: PageRun[] = [];
  const end = endOf(pages);
  for (let page = 0; page < end;) {
    if (!hasPage(pages, page)) {
      page += 1;
      continue;
    }
    const first = page;
    while (page < end && hasPage(pages, page)) page += 1;
    runs.push({ first, end: page });
  }
  return runs;
}

/** Where a page begins, in bytes. */
export function startOf(page: number): number {
  return page * PAGE_BYTES;
}

function trailingZeros(word: number): number {
  return 31 - Math.clz32(word & -word);
}
