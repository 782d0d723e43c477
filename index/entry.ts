/**
 * The entry: what the index knows of one block, in 72 bytes, little-endian. Pure.
 * Format: engine/FORMAT.md "Entry". The layout holds what partly present blocks need from its first version on.
 */
import assert from "node:assert/strict";
import { CacheError } from "./core/errors.js";
import { NO_SLOT, SEQUENCES_MAX, SLOT_BYTES, SLOT_GROUPS } from "./core/layout.js";

export const ENTRY_BYTES = 72;
export const ENTRY_LAYOUT_VERSION = 1;
export const CHECKSUM_NONE = 0;
/** CRC-32 (IEEE) of each 32 KiB group. */
export const CHECKSUM_CRC32 = 1;

const VERSIONS_MAX = 0x1_0000;
const U32_MAX = 0xffff_ffff;
const SLOT_OFFSET_BYTES = 4;
const SUMS_OFFSET_BYTES = 40;

assert.equal(SUMS_OFFSET_BYTES + 4 * SLOT_GROUPS, ENTRY_BYTES);

/**
 * What the index knows of one block. The maps have a bit a 4 KiB page, page 0 the lowest bit of the low half. Treat an
 * entry as immutable once it is given to, or taken from, the index.
 */
export interface Entry {
  /** 0 to 65535; every commit that changes the entry raises it, modulo 2^16. */
  version: number;
  /** Slot number, or NO_SLOT when no page is present. */
  slot: number;
  /** With `sequence`, the generation of the slot's tenancy. */
  epoch: number;
  /** 0 to 2^48 - 1. */
  sequence: number;
  /** How much of the block belongs to the file, from its start: 0 to SLOT_BYTES. Pages past it are in neither map. */
  validBytes: number;
  presentLow: number;
  presentHigh: number;
  zeroLow: number;
  zeroHigh: number;
  checksumKind: number;
  /** One a group, 8 of them. */
  sums: Uint32Array;
}

/** The 72 bytes of an entry. Its values must be in range: that is asserted. */
export function encodeEntry(entry: Entry): Buffer {
  const bytes = Buffer.allocUnsafe(ENTRY_BYTES);
  writeEntry(entry, bytes, 0);
  return bytes;
}

/** Writes what encodeEntry returns into `target` from `offset` on; for hot paths. */
export function writeEntry(entry: Entry, target: Uint8Array, offset: number): void {
  const { version, sequence, sums } = entry;
  assert.equal(problemOf(entry), undefined);
  assert.ok(
    version >= 0 && version < VERSIONS_MAX && Number.isInteger(version),
    "entry version fits 16 bits",
  );
  assert.ok(sequence >= 0 && sequence < SEQUENCES_MAX && Number.isInteger(sequence), "sequence fits 48 bits");
  assert.ok(isU32(entry.slot) && isU32(entry.epoch), "slot and epoch fit 32 bits");
  assert.equal(sums.length, SLOT_GROUPS);
  const sequenceHigh = Math.floor(sequence / 0x1_0000_0000);
  target[offset] = ENTRY_LAYOUT_VERSION;
  target[offset + 1] = entry.checksumKind;
  target[offset + 2] = version;
  target[offset + 3] = version >>> 8;
  writeU32(target, offset + SLOT_OFFSET_BYTES, entry.slot);
  writeU32(target, offset + 8, entry.epoch);
  writeU32(target, offset + 12, sequence);
  target[offset + 16] = sequenceHigh;
  target[offset + 17] = sequenceHigh >>> 8;
  target[offset + 18] = 0;
  target[offset + 19] = 0;
  writeU32(target, offset + 20, entry.validBytes);
  writeU32(target, offset + 24, entry.presentLow);
  writeU32(target, offset + 28, entry.presentHigh);
  writeU32(target, offset + 32, entry.zeroLow);
  writeU32(target, offset + 36, entry.zeroHigh);
  for (let group = 0; group < SLOT_GROUPS; group++) {
    writeU32(target, offset + SUMS_OFFSET_BYTES + 4 * group, sums[group] ?? 0);
  }
}

/**
 * Reads an entry; copies, so that `bytes` may be reused at once.
 * @throws {CacheError} E_INDEX_CORRUPT on another length, layout version or checksum kind, on flags, on more valid bytes
 * than a slot has, on a page that is past them or in both maps, and on present pages without a slot.
 */
export function decodeEntry(bytes: Uint8Array): Entry {
  if (bytes.length !== ENTRY_BYTES) throw corrupt(`${bytes.length} bytes, want ${ENTRY_BYTES}`);
  return readEntry(bytes, 0);
}

/** decodeEntry of the 72 bytes from `offset` on, which must be there. @throws {CacheError} E_INDEX_CORRUPT likewise. */
export function readEntry(bytes: Uint8Array, offset: number): Entry {
  checkLayout(bytes, offset);
  if (readU16(bytes, offset + 18) !== 0) throw corrupt(`flags ${readU16(bytes, offset + 18)}, want 0`);
  const sums = new Uint32Array(SLOT_GROUPS);
  for (let group = 0; group < SLOT_GROUPS; group++) {
    sums[group] = readU32(bytes, offset + SUMS_OFFSET_BYTES + 4 * group);
  }
  const entry: Entry = {
    version: readU16(bytes, offset + 2),
    slot: readU32(bytes, offset + SLOT_OFFSET_BYTES),
    epoch: readU32(bytes, offset + 8),
    sequence: readU32(bytes, offset + 12) + readU16(bytes, offset + 16) * 0x1_0000_0000,
    validBytes: readU32(bytes, offset + 20),
    presentLow: readU32(bytes, offset + 24),
    presentHigh: readU32(bytes, offset + 28),
    zeroLow: readU32(bytes, offset + 32),
    zeroHigh: readU32(bytes, offset + 36),
    checksumKind: bytes[offset + 1] ?? 0,
    sums,
  };
  const problem = problemOf(entry);
  if (problem !== undefined) throw corrupt(problem);
  return entry;
}

/** The slot of the entry from `offset` on, for who needs nothing else: no object is made. @throws {CacheError} E_INDEX_CORRUPT. */
export function readEntrySlot(bytes: Uint8Array, offset: number): number {
  checkLayout(bytes, offset);
  return readU32(bytes, offset + SLOT_OFFSET_BYTES);
}

function checkLayout(bytes: Uint8Array, offset: number): void {
  if (bytes[offset] === ENTRY_LAYOUT_VERSION) return;
  throw corrupt(`layout version ${bytes[offset]}, want ${ENTRY_LAYOUT_VERSION}`);
}

/** What contradicts itself in an entry, or undefined. */
function problemOf(entry: Entry): string | undefined {
  const { validBytes, presentLow, presentHigh, zeroLow, zeroHigh } = entry;
  if (entry.checksumKind !== CHECKSUM_CRC32 && entry.checksumKind !== CHECKSUM_NONE) {
    return `checksum kind ${entry.checksumKind}, want 0 or 1`;
  }
  if (!(validBytes >= 0 && validBytes <= SLOT_BYTES)) {
    return `${validBytes} valid bytes, want at most ${SLOT_BYTES}`;
  }
  if ((presentLow & zeroLow) !== 0 || (presentHigh & zeroHigh) !== 0) return "a page both present and zero";
  const pages = (validBytes + 4095) >>> 12;
  const pastLow = pages >= 32 ? 0 : (presentLow | zeroLow) >>> pages;
  const pastHigh = pages >= 64 ? 0 : (presentHigh | zeroHigh) >>> (pages <= 32 ? 0 : pages - 32);
  if (pastLow !== 0 || pastHigh !== 0) return `pages past its ${validBytes} valid bytes`;
  if (entry.slot === NO_SLOT && (presentLow | presentHigh) !== 0) return "present pages without a slot";
  return undefined;
}

function isU32(value: number): boolean {
  return value >= 0 && value <= U32_MAX && Number.isInteger(value);
}

function writeU32(target: Uint8Array, offset: number, value: number): void {
  target[offset] = value;
  target[offset + 1] = value >>> 8;
  target[offset + 2] = value >>> 16;
  target[offset + 3] = value >>> 24;
}

function readU16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

function readU32(bytes: Uint8Array, offset: number): number {
  return (
    ((bytes[offset] ?? 0) |
      ((bytes[offset + 1] ?? 0) << 8) |
      ((bytes[offset + 2] ?? 0) << 16) |
      ((bytes[offset + 3] ?? 0) << 24)) >>>
    0
  );
}

function corrupt(found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read an entry: it has ${found}`);
}
