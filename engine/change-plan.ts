/** What becomes of a block when a part of it is written, known to be zero, cut off or forgotten. Pure. */
import { PAGE_BYTES, SLOT_PAGES, pagesOf } from "../index/core/layout.js";
import type { Entry } from "../index/entry.js";
import { presentOf, zeroOf } from "./checked-pages.js";
import {
  NO_PAGES,
  type Pages,
  common,
  firstPages,
  hasPage,
  isNone,
  pagesBetween,
  union,
  without,
} from "./pages.js";
import { pagesOfSpan } from "./presence.js";
import type { Span } from "./span.js";

export interface ChangePlan {
  readonly present: Pages;
  readonly zero: Pages;
  readonly validBytes: number;
  /** Present pages whose bytes the old slot has, wholly or in part. */
  readonly kept: Pages;
  /** What of the wanted span is stored; absent when nothing is. */
  readonly stored?: Span;
  /** Published bytes would change: it takes a fresh slot. */
  readonly fresh: boolean;
}

const NOTHING_YET = { present: NO_PAGES, zero: NO_PAGES, validBytes: 0 };

/**
 * A span is written (or, with `zeros`, known to be zero). A page that is covered in part and not here is left out, unless
 * nothing of the block lies past what covers it from its start.
 * @param endBytes where the block ends.
 */
export function planWrite(
  old: Entry | undefined,
  span: Span,
  options: { readonly endBytes: number; readonly zeros: boolean },
): ChangePlan | undefined {
  const { endBytes, zeros } = options;
  const before = stateOf(old);
  const stored = storedSpan(before, span, endBytes);
  if (stored === undefined) return undefined;
  const end = stored.offsetBytes + stored.lengthBytes;
  const touched = pagesOfSpan(stored);
  const validBytes = Math.max(before.validBytes, end);
  // What lies past the old end in its last page is not known.
  const ended = validBytes > before.validBytes && before.validBytes % PAGE_BYTES !== 0;
  const lastPage = Math.floor(before.validBytes / PAGE_BYTES);
  const dropped = ended ? without(pagesBetween(lastPage, lastPage + 1), touched) : NO_PAGES;
  const left = without(before.present, dropped);
  const covered = pagesBetween(
    pagesOf(stored.offsetBytes),
    end >= endBytes ? pagesOf(end) : Math.floor(end / PAGE_BYTES),
  );
  const becomesZero = zeros ? without(touched, without(common(before.present, touched), covered)) : NO_PAGES;
  const written = without(touched, becomesZero);
  return {
    present: union(without(left, touched), written),
    zero: union(without(before.zero, union(dropped, touched)), becomesZero),
    validBytes,
    kept: union(without(left, touched), without(common(before.present, written), covered)),
    stored,
    fresh: !isNone(common(before.present, union(touched, dropped))),
  };
}

/** Nothing past `endBytes` belongs to the block any more. */
export function planCut(old: Entry, endBytes: number): ChangePlan | undefined {
  if (old.validBytes <= endBytes) return undefined;
  return planKeep(old, firstPages(pagesOf(endBytes)), endBytes);
}

/** Pages that the span touches are not here any more. */
export function planForget(old: Entry, span: Span): ChangePlan | undefined {
  const touched = pagesOfSpan(span);
  if (isNone(common(union(presentOf(old), zeroOf(old)), touched))) return undefined;
  return planKeep(old, without(firstPages(SLOT_PAGES), touched), old.validBytes);
}

function planKeep(old: Entry, pages: Pages, validBytes: number): ChangePlan {
  const present = common(presentOf(old), pages);
  return { present, zero: common(zeroOf(old), pages), validBytes, kept: present, fresh: true };
}

interface State {
  readonly present: Pages;
  readonly zero: Pages;
  readonly validBytes: number;
}

function stateOf(old: Entry | undefined): State {
  if (old === undefined) return NOTHING_YET;
  return { present: presentOf(old), zero: zeroOf(old), validBytes: old.validBytes };
}

function storedSpan(before: State, span: Span, endBytes: number): Span | undefined {
  const { present, zero, validBytes } = before;
  const isHere = (page: number): boolean => hasPage(present, page) || hasPage(zero, page);
  let start = span.offsetBytes;
  let end = Math.min(start + span.lengthBytes, endBytes);
  if (start >= end) return undefined;
  const firstPage = Math.floor(start / PAGE_BYTES);
  const pageEnd = (page: number): number => Math.min((page + 1) * PAGE_BYTES, endBytes);
  // The bytes before the span have to be known.
  if (start % PAGE_BYTES !== 0 && !(isHere(firstPage) && start <= validBytes))
    start = (firstPage + 1) * PAGE_BYTES;
  // And those behind it.
  const lastPage = Math.floor((end - 1) / PAGE_BYTES);
  if (end < pageEnd(lastPage) && !(isHere(lastPage) && pageEnd(lastPage) <= validBytes)) {
    end = lastPage * PAGE_BYTES;
  }
  return start < end ? { offsetBytes: start, lengthBytes: end - start } : undefined;
}
