/** What of a block is here, as its entry tells it. Pure. */
import { NO_SLOT, PAGE_BYTES, SLOT_PAGES, pagesOf } from "../index/core/layout.js";
import type { Entry } from "../index/entry.js";
import { presentOf, zeroOf } from "./checked-pages.js";
import {
  NO_PAGES,
  type Pages,
  firstPages,
  isNone,
  pagesBetween,
  runsOf,
  startOf,
  union,
  without,
} from "./pages.js";
import type { Span } from "./span.js";

/** Whether all pages up to the last valid byte are present, in a slot. */
export function isWhole(entry: Entry): boolean {
  if (entry.slot === NO_SLOT) return false;
  const pages = pagesOf(entry.validBytes);
  if (pages === SLOT_PAGES) return (entry.presentLow & entry.presentHigh) === -1;
  const all = firstPages(pages);
  return entry.presentLow === all.low && entry.presentHigh === all.high;
}

/** Pages that a span touches. */
export function pagesOfSpan({ offsetBytes, lengthBytes }: Span): Pages {
  if (lengthBytes === 0) return NO_PAGES;
  return pagesBetween(Math.floor(offsetBytes / PAGE_BYTES), pagesOf(offsetBytes + lengthBytes));
}

/**
 * Pages of which more belongs to the block than the entry knows: from the one that its valid bytes end in on, unless the
 * block ends there too.
 * @param endBytes where the block ends.
 */
export function incompletePages({ validBytes }: Entry, endBytes: number): Pages {
  return endBytes <= validBytes ? NO_PAGES : pagesBetween(Math.floor(validBytes / PAGE_BYTES), SLOT_PAGES);
}

/** Whether every page that the span touches is here in full. */
export function isAvailable(entry: Entry, span: Span, endBytes: number): boolean {
  const here = without(union(presentOf(entry), zeroOf(entry)), incompletePages(entry, endBytes));
  return isNone(without(pagesOfSpan(span), here));
}

/** The parts of the span that lie in these pages. */
export function spansOf(pages: Pages, span: Span): Span[] {
  const spanEnd = span.offsetBytes + span.lengthBytes;
  return runsOf(pages).flatMap(({ first, end }) => {
    const offsetBytes = Math.max(startOf(first), span.offsetBytes);
    const lengthBytes = Math.min(startOf(end), spanEnd) - offsetBytes;
    return lengthBytes > 0 ? [{ offsetBytes, lengthBytes }] : [];
  });
}
