/**
 * What a reader of a cache may find, told from one process to others: each block has a floor, the lowest version that a read
 * which begins now may return, in a file that all of them read and write without a lock. The content of a block says which
 * block and version it is in every eight bytes, so that a wrong, torn or stale byte shows.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import type { Tag } from "../../engine/api.js";

export const FILES = 8;
export const BLOCKS_A_FILE = 24;
export const BLOCKS = FILES * BLOCKS_A_FILE;
const FLOOR_BYTES = 8;

/** Block `number` of all blocks; files lie in two volumes. */
export function tagOf(number: number): Tag {
  const file = number % FILES;
  return {
    fs: "test",
    volume: `volume ${file % 2}`,
    inode: `file ${file}`,
    block: Math.floor(number / FILES),
  };
}

export class Floors {
  readonly #fd: number;
  readonly #word = Buffer.alloc(FLOOR_BYTES);

  constructor(path: string) {
    this.#fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600);
  }

  of(number: number): number {
    if (fs.readSync(this.#fd, this.#word, 0, FLOOR_BYTES, number * FLOOR_BYTES) < FLOOR_BYTES) return 0;
    return this.#word.readDoubleLE();
  }

  raise(number: number, version: number): void {
    this.#word.writeDoubleLE(Math.max(version, this.of(number)));
    fs.writeSync(this.#fd, this.#word, 0, FLOOR_BYTES, number * FLOOR_BYTES);
  }

  close(): void {
    fs.closeSync(this.#fd);
  }
}

/** From one byte to a whole slot, most often one of the two ends. */
export function sizeOf(number: number, version: number): number {
  const mixed = Math.imul(number * 7919 + version, 0x9e3779b1) >>> 0;
  if (mixed % 3 === 0) return SLOT_BYTES;
  return mixed % 3 === 1 ? 1 + (mixed % (3 * PAGE_BYTES)) : 1 + (mixed % SLOT_BYTES);
}

/** Fills a buffer with what bytes `from` to `from + length` - 1 of a version are. */
export function fillVersion(into: Buffer, number: number, version: number, from: number): void {
  const words = Buffer.alloc(16);
  for (let at = from - (from % PAGE_BYTES); at < from + into.length; at += PAGE_BYTES) {
    words.writeUInt32LE(version >>> 0, 0);
    words.writeUInt16LE(number, 4);
    words.writeUInt16LE(at / PAGE_BYTES, 6);
    words.copy(words, 8, 0, 8);
    const start = Math.max(at, from);
    const page = into.subarray(start - from, Math.min(at + PAGE_BYTES, from + into.length) - from);
    const shift = (start - at) % 8;
    page.fill(words.subarray(shift, shift + 8));
  }
}

/** A whole block of a version. */
export function versionBytes(number: number, version: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeOf(number, version));
  fillVersion(bytes, number, version, 0);
  return bytes;
}

/**
 * Wants the bytes to be those of one version, at least of `floor`. @param from where in the block they begin, a multiple
 * of 8. @returns the version; undefined where there are too few bytes to tell.
 */
export function checkVersion(
  bytes: Buffer,
  wanted: {
    readonly number: number;
    readonly from: number;
    readonly lengthBytes: number;
    readonly floor: number;
  },
): number | undefined {
  const { number, from, lengthBytes, floor } = wanted;
  if (bytes.length < 8) return undefined;
  const version = bytes.readUInt32LE(0);
  const right = Buffer.allocUnsafe(bytes.length);
  fillVersion(right, number, version, from);
  if (!bytes.equals(right)) {
    const at = right.findIndex((byte, place) => byte !== bytes[place]);
    const [is, wanted] = [bytes, right].map((all) => all.subarray(at, at + 16).toString("hex"));
    const where = `block ${number} from ${from}, ${bytes.length} bytes of version ${version} or so`;
    assert.fail(`${where}: from byte ${at} they are ${is}, want ${wanted}`);
  }
  assert.ok(
    version >= floor,
    `block ${number} from ${from}: version ${version} is stale, want ${floor} at least`,
  );
  const ends = Math.min(from + lengthBytes, sizeOf(number, version));
  assert.equal(bytes.length, ends - from, `block ${number}: the length of version ${version}`);
  return version;
}
