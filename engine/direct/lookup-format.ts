/**
 * The bytes of the lookup file, in which the owner of a cache publishes where blocks lie, for readers in other processes:
 * FORMAT.md "Lookup file". Pure: bytes in, values out.
 *
 * A header, then buckets of equal size; a block has its place in one bucket, by a hash. Header and buckets have checksums
 * of their own, since readers take no lock: bytes that do not fit their checksum were being written, and are read again.
 */
import assert from "node:assert/strict";
import { crc32 } from "@node-rs/crc32";
import { CACHE_ID_BYTES } from "../../index/core/layout.js";
import { ENTRY_BYTES, type Entry, readEntry, writeEntry } from "../../index/entry.js";

export const HEADER_BYTES = 512;
export const BUCKET_BYTES = 512;
/** Object id and block, 6 bytes each, and the entry. */
export const ITEM_BYTES = 12 + ENTRY_BYTES;
const BUCKET_HEAD_BYTES = 8;
export const BUCKET_ITEMS = (BUCKET_BYTES - BUCKET_HEAD_BYTES) / ITEM_BYTES;
/** The last so many notices are in the header. */
export const NOTICES = 24;

const MAGIC = Buffer.from("TAGLOOK1", "latin1");
const TWO_32 = 2 ** 32;
const NOTICES_AT = 48;
const NOTICE_BYTES = 16;
const EPOCH_AT = NOTICES_AT + NOTICES * NOTICE_BYTES;
const WITHDRAWALS_AT = EPOCH_AT + 4;
const HEADER_SUM_AT = HEADER_BYTES - 4;
/** From the epoch to the checksum: one look at it tells whether anything in the header has changed. */
export const HEADER_TAIL_AT = EPOCH_AT;
export const HEADER_TAIL_BYTES = HEADER_BYTES - HEADER_TAIL_AT;

assert.equal(BUCKET_HEAD_BYTES + 6 * ITEM_BYTES, BUCKET_BYTES, "six items fill a bucket");
assert.ok(WITHDRAWALS_AT + 8 <= HEADER_SUM_AT);

/** Whose names mean something else from now on: all blocks of a volume, of a file, or of everything. */
export type Noticed =
  | { readonly kind: "volume"; readonly id: number }
  | { readonly kind: "object"; readonly id: number }
  | { readonly kind: "all" };

export interface LookupHeader {
  readonly cacheId: Buffer;
  /** Of the owner's generations; older entries are of before an unclean end and were perhaps not checked since. */
  readonly epoch: number;
  /** Drawn for each lookup file. */
  readonly instance: bigint;
  readonly buckets: number;
  /** Whether what stands in the file may be used. */
  readonly open: boolean;
  /** How many items were taken out of buckets: while it is the same, what was there still is. */
  readonly withdrawals: number;
  /** How many notices there were. */
  readonly notices: number;
  /** The last of them, the latest last; at most NOTICES. */
  readonly latest: readonly Noticed[];
}

const KINDS = { volume: 1, object: 2, all: 3 } as const;

export function encodeHeader(header: LookupHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(bytes);
  header.cacheId.copy(bytes, 8, 0, CACHE_ID_BYTES);
  bytes.writeBigUInt64LE(header.instance, 24);
  bytes.writeUInt32LE(header.buckets, 32);
  bytes.writeUInt32LE(header.open ? 1 : 0, 36);
  bytes.writeUInt32LE(header.epoch, EPOCH_AT);
  bytes.writeBigUInt64LE(BigInt(header.notices), 40);
  const { latest, notices } = header;
  for (const [place, noticed] of latest.entries()) {
    const at = NOTICES_AT + ((notices - latest.length + place) % NOTICES) * NOTICE_BYTES;
    bytes.writeUInt32LE(KINDS[noticed.kind], at);
    if (noticed.kind !== "all") bytes.writeUIntLE(noticed.id, at + 8, 6);
  }
  setWithdrawals(bytes, header.withdrawals);
  return bytes;
}

/** Changes an encoded header, which most often differs in this alone. */
export function setWithdrawals(bytes: Buffer, withdrawals: number): void {
  bytes.writeUInt32LE(withdrawals >>> 0, WITHDRAWALS_AT);
  bytes.writeUInt32LE(Math.floor(withdrawals / TWO_32), WITHDRAWALS_AT + 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_SUM_AT)), HEADER_SUM_AT);
}

/** Whether a file that begins so is a lookup file, of whichever state. */
export function isLookup(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC);
}

/** Undefined when the bytes are no header, or were being written. */
export function decodeHeader(bytes: Buffer): LookupHeader | undefined {
  if (bytes.length < HEADER_BYTES || !isLookup(bytes)) return undefined;
  if (crc32(bytes.subarray(0, HEADER_SUM_AT)) !== bytes.readUInt32LE(HEADER_SUM_AT)) return undefined;
  const notices = Number(bytes.readBigUInt64LE(40));
  if (!Number.isSafeInteger(notices)) return undefined;
  const latest: Noticed[] = [];
  for (let number = Math.max(0, notices - NOTICES); number < notices; number += 1) {
    const at = NOTICES_AT + (number % NOTICES) * NOTICE_BYTES;
    const kind = bytes.readUInt32LE(at);
    const id = bytes.readUIntLE(at + 8, 6);
    if (kind === KINDS.volume) latest.push({ kind: "volume", id });
    else if (kind === KINDS.object) latest.push({ kind: "object", id });
    else latest.push({ kind: "all" }); // one that is not known here may be about anything
  }
  return {
    cacheId: Buffer.from(bytes.subarray(8, 8 + CACHE_ID_BYTES)),
    epoch: bytes.readUInt32LE(EPOCH_AT),
    instance: bytes.readBigUInt64LE(24),
    buckets: bytes.readUInt32LE(32),
    open: bytes.readUInt32LE(36) === 1,
    withdrawals: Number(bytes.readBigUInt64LE(WITHDRAWALS_AT)),
    notices,
    latest,
  };
}

/** In which bucket of so many a block has its place. */
export function bucketOf(objectId: number, block: number, buckets: number): number {
  let mixed = Math.imul(objectId ^ Math.imul(block, 0x9e3779b1), 0x85ebca6b);
  mixed ^= Math.floor(objectId / TWO_32) ^ Math.imul(Math.floor(block / TWO_32), 0xc2b2ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  mixed = Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39);
  return ((mixed ^ (mixed >>> 15)) >>> 0) % buckets;
}

/** Where a bucket begins in the file. */
export function bucketAt(bucket: number): number {
  return HEADER_BYTES + bucket * BUCKET_BYTES;
}

/** How many buckets a file of at most so many bytes has; 0 if it is too small for one. */
export function bucketsIn(fileBytesMax: number): number {
  return Math.max(0, Math.min(TWO_32 - 1, Math.floor((fileBytesMax - HEADER_BYTES) / BUCKET_BYTES)));
}

/** Whether the bucket's bytes fit its checksum. One that was never written, all zeros, does not, and holds nothing. */
export function isBucketIntact(bytes: Buffer): boolean {
  return crc32(bytes.subarray(4)) === bytes.readUInt32LE(0);
}

/**
 * Where in an intact bucket the item of a block begins; -1 if it is not there.
 * @param words the same bytes as 32-bit words, on a little-endian machine.
 */
export function findItem(words: Uint32Array, objectId: number, block: number): number {
  const objectLow = objectId >>> 0;
  const high = objectId < TWO_32 && block < TWO_32 ? 0 : highHalves(objectId, block);
  const blockLow = block >>> 0;
  const items = words[1] as number;
  for (let item = 0, at = 2; item < BUCKET_ITEMS && item < items; item += 1, at += ITEM_BYTES / 4) {
    if (words[at] === objectLow && words[at + 1] === high && words[at + 2] === blockLow) return at * 4;
  }
  return -1;
}

function highHalves(objectId: number, block: number): number {
  return (Math.floor(objectId / TWO_32) | (Math.floor(block / TWO_32) << 16)) >>> 0;
}

/** The entry of the item that begins at `at`. @throws {CacheError} E_INDEX_CORRUPT when it is none. */
export function itemEntry(bytes: Buffer, at: number): Entry {
  return readEntry(bytes, at + ITEM_BYTES - ENTRY_BYTES);
}

/** One bucket in memory, to be changed and written back. */
export class Bucket {
  readonly #words = new Uint32Array(BUCKET_BYTES / 4);
  readonly bytes = Buffer.from(this.#words.buffer);

  /** What tells its bytes from others. */
  get sum(): number {
    return this.#words[0] as number;
  }

  /** Whether what was read into `bytes` is the bucket that had this sum; one never written is all zeros. */
  isAsWritten(sum: number): boolean {
    return (
      this.sum === sum &&
      (isBucketIntact(this.bytes) || (sum === 0 && this.#words.every((word) => word === 0)))
    );
  }

  has(objectId: number, block: number): boolean {
    return findItem(this.#words, objectId, block) !== -1;
  }

  /**
   * Puts an item first, in place of the block's old one, of the last one if all places are taken.
   * @returns whether it took the place of one.
   */
  put(objectId: number, block: number, entry: Entry): boolean {
    const at = findItem(this.#words, objectId, block);
    const items = this.#words[1] as number;
    const end = at !== -1 ? at : Math.min(items, BUCKET_ITEMS - 1) * ITEM_BYTES + BUCKET_HEAD_BYTES;
    this.bytes.copyWithin(BUCKET_HEAD_BYTES + ITEM_BYTES, BUCKET_HEAD_BYTES, end);
    if (at === -1) this.#words[1] = Math.min(items + 1, BUCKET_ITEMS);
    this.#words[2] = objectId;
    this.#words[3] = highHalves(objectId, block);
    this.#words[4] = block;
    writeEntry(entry, this.bytes, BUCKET_HEAD_BYTES + ITEM_BYTES - ENTRY_BYTES);
    this.#seal();
    return at !== -1 || items === BUCKET_ITEMS;
  }

  /** @returns whether it was there. */
  remove(objectId: number, block: number): boolean {
    const at = findItem(this.#words, objectId, block);
    if (at === -1) return false;
    const items = this.#words[1] as number;
    const end = BUCKET_HEAD_BYTES + items * ITEM_BYTES;
    this.bytes.copyWithin(at, at + ITEM_BYTES, end);
    this.bytes.fill(0, end - ITEM_BYTES, end);
    this.#words[1] = items - 1;
    this.#seal();
    return true;
  }

  #seal(): void {
    this.#words[0] = crc32(this.bytes.subarray(4));
  }
}
