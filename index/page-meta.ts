/** The meta pages of an LMDB environment, and which of them its next owner goes by. Layout and rule: mdb.c of lmdb-js 3. */
import type { Regime } from "./environment.js";

export const PAGE_BYTES = 4096;
/** Of each page. */
export const HEAD_BYTES = 24;
/** Of a meta page, its head included. */
export const META_BYTES = 160;
/** 4 TiB: nothing that we write is larger, while numbers that are damaged are, and then so is a file that was written by them. */
export const PAGES_MAX = 2 ** 30;
/** A tree without a root: 2^64 - 1, as `uint64` reads it. */
export const NO_PAGE = 2 ** 64;
const FREE_AT = 24;
const MAIN_AT = 72;
const LAST_AT = 120;
const TRANSACTION_AT = 128;
/** Overlapping commits have a third one: the last that was flushed. */
const FLUSHED_AT = PAGE_BYTES / 2;
const KIND_AT = 18;
const META_PAGE = 0x08;
/** Flags of the free tree: its keys are numbers, and some of what the environment was opened with. */
const INTEGER_KEYS = 0x08;
const SAFE_RESTORE = 0x0800;
/** This commit was not flushed when it was written. */
const OVERLAPPING = 0x1000;

export interface TreeRecord {
  readonly flags: number;
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
  const picked = flushedOf(flushedOf(even, odd), metaAt(pages, FLUSHED_AT));
  // Where one of the two pages has the commit that was flushed, LMDB goes by that page, unseen.
  const used = [even, odd].find(({ transaction }) => transaction === picked.transaction) ?? picked;
  return isSame(used, picked) ? picked : `commit ${picked.transaction} in two versions`;
}

/** mdb_pick_meta() with MDB_SAFE_RESTORE: what was not flushed does not count, on whichever boot. */
function flushedOf(one: Meta, other: Meta): Meta {
  if (other.transaction === 0) return one;
  const latest = one.transaction >= other.transaction ? one : other;
  if (!latest.overlapping) return latest;
  return one.transaction > other.transaction ? other : one;
}

function isSame(one: Meta, other: Meta): boolean {
  const trees = [one.free, one.main, other.free, other.main].map(
    ({ depth, entries, root }) => `${depth} ${entries} ${root}`,
  );
  return trees[0] === trees[2] && trees[1] === trees[3] && one.lastPage === other.lastPage;
}

/** What the page, or the part of one, that begins at `start` says; nothing of it is checked. */
export function metaAt(pages: Buffer, start: number): Meta {
  const at = start + HEAD_BYTES;
  const free = treeAt(pages, at + FREE_AT);
  return {
    pageBytes: pages.readUInt32LE(at + FREE_AT), // its record has no other use for the field
    overlapping: (free.flags & OVERLAPPING) !== 0,
    free,
    main: treeAt(pages, at + MAIN_AT),
    lastPage: uint64(pages, at + LAST_AT),
    transaction: uint64(pages, at + TRANSACTION_AT),
  };
}

export function treeAt(bytes: Buffer, at: number): TreeRecord {
  return {
    flags: bytes.readUInt16LE(at + 4),
    depth: bytes.readUInt16LE(at + 6),
    entries: uint64(bytes, at + 32),
    root: uint64(bytes, at + 40),
  };
}

/** Whether the page says that it is one of these. */
export function isMetaPage(page: Buffer): boolean {
  return page.readUInt16LE(KIND_AT) === META_PAGE;
}

/**
 * Whether a tree has the flags of one that we made. They say how keys are ordered and how values lie, and, in the free tree,
 * whether the environment is encrypted: LMDB believes them.
 */
export function hasOurFlags({ flags }: TreeRecord, isFree: boolean): boolean {
  return isFree ? (flags & ~(SAFE_RESTORE | OVERLAPPING)) === INTEGER_KEYS : flags === 0;
}

/** Exact below 2^53, which all numbers that count are. */
export function uint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
