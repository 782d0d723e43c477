/** The meta pages of an LMDB environment, and which of them its next owner goes by. Layout and rule: mdb.c of lmdb-js 3. */
import type { Regime } from "./environment.js";

export const PAGE_BYTES = 4096;
/** Of each page. */
export const HEAD_BYTES = 24;
const FREE_AT = 24;
const MAIN_AT = 72;
const LAST_AT = 120;
const TRANSACTION_AT = 128;
/** Overlapping commits have a third one: the last that was flushed. */
const FLUSHED_AT = PAGE_BYTES / 2;
/** Of the flags in the free tree: this commit was not flushed when it was written. */
const OVERLAPPING = 0x1000;

export interface TreeRecord {
  readonly depth: number;
  readonly entries: number;
  readonly root: number;
}

export interface Meta {
  readonly pageBytes: number;
  readonly overlapping: boolean;
  readonly free: TreeRecord;
  readonly main: TreeRecord;
  readonly lastPage: number;
  readonly transaction: number;
}

/** @param pages the first two. @returns the commit that the next owner has, or in words what is wrong with it. */
export function metaOf(pages: Buffer, regime: Exclude<Regime, "volatile">): Meta | string {
  const even = metaAt(pages, 0);
  const odd = metaAt(pages, PAGE_BYTES);
  const [one, other] = [even.transaction, odd.transaction];
  // Commits take the two pages in turn, so a number that is wrong shows. What was not flushed is made anew, from the last flushed on.
  const inTurn =
    one % 2 === 0 && other % 2 === 1 && (regime === "recoverable" || Math.abs(one - other) === 1);
  const isNew = one === 0 && other === 0;
  if (!isNew && !inTurn) return `commits ${one} and ${other} where one follows the other`;
  if (regime === "durable") return other > one ? odd : even;
  return flushedOf(flushedOf(even, odd), metaAt(pages, FLUSHED_AT));
}

/** mdb_pick_meta() with MDB_SAFE_RESTORE: what was not flushed does not count, on whichever boot. */
function flushedOf(one: Meta, other: Meta): Meta {
  if (other.transaction === 0) return one;
  const latest = one.transaction >= other.transaction ? one : other;
  if (!latest.overlapping) return latest;
  return one.transaction > other.transaction ? other : one;
}

function metaAt(pages: Buffer, start: number): Meta {
  const at = start + HEAD_BYTES;
  return {
    pageBytes: pages.readUInt32LE(HEAD_BYTES + FREE_AT),
    overlapping: (pages.readUInt16LE(at + FREE_AT + 4) & OVERLAPPING) !== 0,
    free: treeAt(pages, at + FREE_AT),
    main: treeAt(pages, at + MAIN_AT),
    lastPage: uint64(pages, at + LAST_AT),
    transaction: uint64(pages, at + TRANSACTION_AT),
  };
}

export function treeAt(bytes: Buffer, at: number): TreeRecord {
  return {
    depth: bytes.readUInt16LE(at + 6),
    entries: uint64(bytes, at + 32),
    root: uint64(bytes, at + 40),
  };
}

/** Exact below 2^53, which all numbers that count are. */
export function uint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
