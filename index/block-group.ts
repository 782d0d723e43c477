/**
 * A block record: the entries of up to eight neighbouring blocks of one object in one LMDB value. Pure.
 *
 * One record a block would cost 172 bytes a block when many files grow at once, because LMDB splits a page in the
 * middle and the halves behind the growing ends of files never fill up; eight blocks a record cost at most 131.
 * Format: engine/FORMAT.md "Block record".
 */
import type { Entry } from "./entry.js";
import { ENTRY_BYTES, readEntry, readEntrySlot, writeEntry } from "./entry.js";
import { CacheError } from "./core/errors.js";

/** Blocks n * GROUP_BLOCKS to n * GROUP_BLOCKS + 7 share a record, under the key of the first of them. */
export const GROUP_BLOCKS = 8;
const HEAD_BYTES = 1;

/** Number of the first block of the group that `block` belongs to. */
export function groupFirstBlock(block: number): number {
  return block - (block % GROUP_BLOCKS);
}

/**
 * The entry of one block out of a record; copies.
 * @returns undefined when the record has none for it. @throws {CacheError} E_INDEX_CORRUPT.
 */
export function readGroupEntry(record: Uint8Array, block: number): Entry | undefined {
  const offset = entryOffset(record, block);
  return offset === undefined ? undefined : readEntry(record, offset);
}

/** The slot alone of what readGroupEntry returns. @throws {CacheError} E_INDEX_CORRUPT. */
export function readGroupSlot(record: Uint8Array, block: number): number | undefined {
  const offset = entryOffset(record, block);
  return offset === undefined ? undefined : readEntrySlot(record, offset);
}

function entryOffset(record: Uint8Array, block: number): number | undefined {
  const bits = checkGroup(record);
  const place = block % GROUP_BLOCKS;
  if ((bits & (1 << place)) === 0) return undefined;
  return HEAD_BYTES + ENTRY_BYTES * bitCount(bits & ((1 << place) - 1));
}

/** Every block of a record, ascending. @throws {CacheError} E_INDEX_CORRUPT. */
export function readGroup(record: Uint8Array, firstBlock: number): Array<{ block: number; entry: Entry }> {
  const bits = checkGroup(record);
  const blocks: Array<{ block: number; entry: Entry }> = [];
  for (let place = 0; place < GROUP_BLOCKS; place++) {
    if ((bits & (1 << place)) === 0) continue;
    const entry = readEntry(record, HEAD_BYTES + ENTRY_BYTES * blocks.length);
    blocks.push({ block: firstBlock + place, entry });
  }
  return blocks;
}

/** How many entries a record holds. @throws {CacheError} E_INDEX_CORRUPT. */
export function groupEntryCount(record: Uint8Array): number {
  return bitCount(checkGroup(record));
}

/**
 * The record with changes made: an entry replaces or adds, null removes.
 * @param record what is stored, or undefined. @param changes by block number, all of one group.
 * @param take where the bytes of the new record come from.
 * @returns undefined when no entry is left. @throws {CacheError} E_INDEX_CORRUPT.
 */
export function changeGroup(
  record: Uint8Array | undefined,
  changes: ReadonlyMap<number, Entry | null>,
  take: (lengthBytes: number) => Buffer = (lengthBytes) => Buffer.allocUnsafeSlow(lengthBytes),
): Buffer | undefined {
  const oldBits = record === undefined ? 0 : checkGroup(record);
  let bits = oldBits;
  for (const [block, entry] of changes) {
    const bit = 1 << (block % GROUP_BLOCKS);
    bits = entry === null ? bits & ~bit : bits | bit;
  }
  if (bits === 0) return undefined;
  const changed = take(HEAD_BYTES + ENTRY_BYTES * bitCount(bits));
  changed[0] = bits;
  copyKept(record, oldBits, changed, bits);
  for (const [block, entry] of changes) {
    if (entry === null) continue;
    const before = bits & ((1 << (block % GROUP_BLOCKS)) - 1);
    writeEntry(entry, changed, HEAD_BYTES + ENTRY_BYTES * bitCount(before));
  }
  return changed;
}

function copyKept(from: Uint8Array | undefined, fromBits: number, to: Buffer, toBits: number): void {
  if (from === undefined) return;
  let fromOffset = HEAD_BYTES;
  let toOffset = HEAD_BYTES;
  for (let place = 0; place < GROUP_BLOCKS; place++) {
    const bit = 1 << place;
    // Entries about to be replaced are copied too: cheaper than finding out.
    if ((fromBits & toBits & bit) !== 0)
      to.set(from.subarray(fromOffset, fromOffset + ENTRY_BYTES), toOffset);
    if ((fromBits & bit) !== 0) fromOffset += ENTRY_BYTES;
    if ((toBits & bit) !== 0) toOffset += ENTRY_BYTES;
  }
}

function checkGroup(record: Uint8Array): number {
  const bits = record[0] ?? 0;
  const wanted = HEAD_BYTES + ENTRY_BYTES * bitCount(bits);
  if (bits === 0 || record.length !== wanted) {
    throw new CacheError(
      "E_INDEX_CORRUPT",
      `Cannot read a block record: it has ${record.length} bytes and bits ${bits}, want ${wanted} bytes and some bit`,
    );
  }
  return bits;
}

function bitCount(bits: number): number {
  const pairs = bits - ((bits >>> 1) & 0x55);
  const quads = (pairs & 0x33) + ((pairs >>> 2) & 0x33);
  return (quads + (quads >>> 4)) & 0x0f;
}
