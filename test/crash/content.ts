/** Seeded chance, and blocks whose bytes tell which they are; apart from the rest, for processes that must start fast. */
import type { Tag } from "../../engine/api.js";
import { SLOT_BYTES } from "../../index/core/layout.js";

const PAGE_BYTES = 4096;
const PATTERN_BYTES = 2 * SLOT_BYTES;
const HEADER_BYTES = 16;

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const pattern = Buffer.alloc(PATTERN_BYTES);
const patternRandom = seededRandom(1);
for (let at = 0; at < PATTERN_BYTES; at += 4) pattern.writeUInt32LE((patternRandom() * 2 ** 32) >>> 0, at);

/** The bytes of a version of a block; every page of it says which block and version it belongs to. */
export function contentOf(tag: Tag, version: number, lengthBytes: number): Buffer {
  const name = Buffer.from(`${String(tag.fs)}/${String(tag.volume)}/${String(tag.inode)}/${tag.block}`);
  let hash = 2166136261;
  for (const byte of name) hash = Math.imul(hash ^ byte, 16777619) >>> 0;
  const from = (hash + version * 7919) % SLOT_BYTES;
  const bytes = Buffer.from(pattern.subarray(from, from + lengthBytes));
  for (let at = 0; at + HEADER_BYTES <= lengthBytes; at += PAGE_BYTES) {
    bytes.writeUInt32LE(hash, at);
    bytes.writeUInt32LE(version >>> 0, at + 4);
    bytes.writeUInt32LE(lengthBytes, at + 8);
    bytes.writeUInt32LE(at, at + 12);
  }
  return bytes;
}
