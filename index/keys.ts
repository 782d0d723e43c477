/**
 * The only maker and reader of LMDB key bytes. Pure: names and numbers in, bytes out, and back.
 *
 * Name keys keep the order of the names they are made of, so that the volumes of a file system and the objects of a
 * volume are contiguous ranges. A name that does not fit LMDB's key limit is replaced by its digest, behind a marker
 * that no short form can contain; the record then holds the name, and a lookup compares it.
 * Format: engine/FORMAT.md "Keys".
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { CacheError } from "./core/errors.js";
import {
  BLOCK_NUMBERS_MAX,
  ENTRY_NAME_BYTES_MAX,
  FS_NAME_BYTES_MAX,
  NAME_BYTES_MAX,
  OBJECT_IDS_MAX,
} from "./core/layout.js";

/** What lmdb-js accepts; a put beyond it throws, a get beyond it says "absent" without an error. */
export const KEY_BYTES_MAX = 1978;
export const DIGEST_BYTES = 32;
export const ID_BYTES = 6;
export const BLOCK_KEY_BYTES = 12;
/** Object id and kind: what stands before the name in a metadata key. */
export const METADATA_HEAD_BYTES = ID_BYTES + 1;

const ESCAPE = 0x00;
const TERMINATOR = 0x01;
const DIGEST_FOLLOWS = 0x02;
const ESCAPED_ZERO = 0xff;

const INODE_WHOLE = 0x00;
const INODE_DIGEST = 0x01;
const OBJECT_HEAD_BYTES = ID_BYTES + 1;
/** The longest inode that a key holds whole. */
export const KEY_INODE_BYTES_MAX = KEY_BYTES_MAX - OBJECT_HEAD_BYTES;

assert.ok(
  2 * FS_NAME_BYTES_MAX + 2 + 2 + DIGEST_BYTES <= KEY_BYTES_MAX,
  "a long volume name leaves room for its fs",
);
assert.ok(METADATA_HEAD_BYTES + ENTRY_NAME_BYTES_MAX <= KEY_BYTES_MAX, "a metadata key holds its name whole");

/** Keys from `start` to `end`, `end` left out. */
export interface KeyRange {
  readonly start: Buffer;
  readonly end: Buffer;
}

/** What a volume key says: a file system's own record, a volume by name, or one by the digest of its name. */
export type VolumeKeyParts =
  | { readonly kind: "fs"; readonly fs: Buffer }
  | { readonly kind: "whole"; readonly fs: Buffer; readonly volume: Buffer }
  | { readonly kind: "digest"; readonly fs: Buffer; readonly digest: Buffer };

export type ObjectKeyParts =
  | { readonly kind: "whole"; readonly volumeId: number; readonly inode: Buffer }
  | { readonly kind: "digest"; readonly volumeId: number; readonly digest: Buffer };

/** SHA-256, which stands for a name that is too long for a key. */
export function nameDigest(name: Uint8Array): Buffer {
  return createHash("sha256").update(name).digest();
}

/** Key of a file system's own record, reserved: it sorts directly before the volumes of that file system. */
export function fsKey(fs: Buffer): Buffer {
  assert.ok(fs.length <= FS_NAME_BYTES_MAX, "fs name is within its limit");
  return encodePart(fs);
}

/**
 * Key of a volume; keys sort as (fs, volume) do, byte by byte, volumes with names beyond the key limit apart.
 * @param fs at most FS_NAME_BYTES_MAX bytes. @param volume at most NAME_BYTES_MAX bytes.
 */
export function volumeKey(fs: Buffer, volume: Buffer): Buffer {
  assert.ok(volume.length <= NAME_BYTES_MAX, "volume name is within its limit");
  const head = fsKey(fs);
  if (head.length + volume.length + 2 <= KEY_BYTES_MAX) {
    const part = encodePart(volume);
    if (head.length + part.length <= KEY_BYTES_MAX) return Buffer.concat([head, part]);
  }
  return Buffer.concat([head, Buffer.of(ESCAPE, DIGEST_FOLLOWS), nameDigest(volume)]);
}

/** @throws {CacheError} E_INDEX_CORRUPT unless the bytes are a key that fsKey or volumeKey makes. */
export function decodeVolumeKey(key: Uint8Array): VolumeKeyParts {
  const first = decodePart(key, 0);
  const { name: fs, end } = first;
  if (fs.length > FS_NAME_BYTES_MAX) throw corrupt("a volume key", `fs of ${fs.length} bytes`);
  if (end === key.length) return { kind: "fs", fs };
  if (key[end] === ESCAPE && key[end + 1] === DIGEST_FOLLOWS) {
    const digest = Buffer.from(key.subarray(end + 2));
    if (digest.length !== DIGEST_BYTES) {
      throw corrupt("a volume key", `digest of ${digest.length} bytes, want ${DIGEST_BYTES}`);
    }
    return { kind: "digest", fs, digest };
  }
  const second = decodePart(key, end);
  if (second.end !== key.length) throw corrupt("a volume key", "bytes after its end");
  return { kind: "whole", fs, volume: second.name };
}

/** Key of a note: as that of a volume. @param name at most NAME_BYTES_MAX bytes. */
export function noteKey(fs: Buffer, name: Buffer): Buffer {
  return volumeKey(fs, name);
}

/** Every key of a file system: its own record and its volumes. */
export function fsRange(fs: Buffer): KeyRange {
  const start = fsKey(fs);
  const end = Buffer.from(start);
  end[end.length - 1] = TERMINATOR + 1;
  return { start, end };
}

/** Key of an object; the keys of a volume sort as their inodes do, inodes beyond the key limit last. */
export function objectKey(volumeId: number, inode: Buffer): Buffer {
  assert.ok(inode.length <= NAME_BYTES_MAX, "inode is within its limit");
  const whole = inode.length <= KEY_INODE_BYTES_MAX;
  const key = Buffer.allocUnsafe(OBJECT_HEAD_BYTES + (whole ? inode.length : DIGEST_BYTES));
  writeId(key, volumeId, 0);
  key[ID_BYTES] = whole ? INODE_WHOLE : INODE_DIGEST;
  (whole ? inode : nameDigest(inode)).copy(key, OBJECT_HEAD_BYTES);
  return key;
}

/** @throws {CacheError} E_INDEX_CORRUPT unless the bytes are a key that objectKey makes. */
export function decodeObjectKey(key: Uint8Array): ObjectKeyParts {
  if (key.length < OBJECT_HEAD_BYTES || key.length > KEY_BYTES_MAX) {
    throw corrupt("an object key", `${key.length} bytes`);
  }
  const volumeId = readId(key, 0);
  const rest = Buffer.from(key.subarray(OBJECT_HEAD_BYTES));
  const form = key[ID_BYTES];
  if (form === INODE_WHOLE) return { kind: "whole", volumeId, inode: rest };
  if (form !== INODE_DIGEST) throw corrupt("an object key", `form ${form}, want 0 or 1`);
  if (rest.length !== DIGEST_BYTES) {
    throw corrupt("an object key", `digest of ${rest.length} bytes, want ${DIGEST_BYTES}`);
  }
  return { kind: "digest", volumeId, digest: rest };
}

/** Every key of a volume's objects: the form byte after the id is never 0xFF. */
export function volumeRange(volumeId: number): KeyRange {
  return idRange(volumeId);
}

/** Every key of a volume's objects whose inode begins with `prefix`, those with inodes beyond the key limit apart. */
export function inodePrefixRange(volumeId: number, prefix: Buffer): KeyRange {
  const start = Buffer.alloc(OBJECT_HEAD_BYTES + prefix.length);
  writeId(start, volumeId, 0);
  start[ID_BYTES] = INODE_WHOLE;
  prefix.copy(start, OBJECT_HEAD_BYTES);
  // The next byte string that does not begin so; the form byte before the prefix is small, so there is one.
  let length = start.length;
  while (start[length - 1] === 0xff) length -= 1;
  const end = Buffer.from(start.subarray(0, length));
  end[length - 1] = (end[length - 1] ?? 0) + 1;
  return { start, end };
}

/** Every key of a volume's objects whose inode is beyond the key limit. */
export function inodeDigestRange(volumeId: number): KeyRange {
  const { start, end } = idRange(volumeId);
  return { start: Buffer.concat([start, Buffer.of(INODE_DIGEST)]), end };
}

/** Object id and block number, 6 bytes each, big-endian: an object's blocks are one range, ascending. */
export function blockKey(objectId: number, block: number): Buffer {
  const key = Buffer.allocUnsafe(BLOCK_KEY_BYTES);
  writeBlockKey(key, objectId, block);
  return key;
}

/** Writes what blockKey returns into the first 12 bytes of `target`; for hot paths. */
export function writeBlockKey(target: Buffer, objectId: number, block: number): void {
  assert.ok(block >= 0 && block < BLOCK_NUMBERS_MAX, "block number is within its limit");
  writeId(target, objectId, 0);
  writeId(target, block, ID_BYTES);
}

/** @throws {CacheError} E_INDEX_CORRUPT unless 12 bytes with a block number below BLOCK_NUMBERS_MAX. */
export function decodeBlockKey(key: Uint8Array): { objectId: number; block: number } {
  if (key.length !== BLOCK_KEY_BYTES) {
    throw corrupt("a block key", `${key.length} bytes, want ${BLOCK_KEY_BYTES}`);
  }
  const block = readId(key, ID_BYTES);
  if (block >= BLOCK_NUMBERS_MAX) throw corrupt("a block key", `block ${block}, want below 2^45`);
  return { objectId: readId(key, 0), block };
}

/** Every key of an object's blocks: the first byte of a block number is never 0xFF. */
export function objectBlocksRange(objectId: number): KeyRange {
  return idRange(objectId);
}

/**
 * Key of a metadata record: object id, kind, name. All metadata of an object is one range, each kind of it another in
 * that, by name. @param kind below 255. @param name at most ENTRY_NAME_BYTES_MAX bytes.
 */
export function metadataKey(objectId: number, kind: number, name: Buffer): Buffer {
  assert.ok(name.length <= ENTRY_NAME_BYTES_MAX, "name is within its limit");
  const key = Buffer.allocUnsafe(METADATA_HEAD_BYTES + name.length);
  writeId(key, objectId, 0);
  key[ID_BYTES] = kind;
  name.copy(key, METADATA_HEAD_BYTES);
  return key;
}

/** @throws {CacheError} E_INDEX_CORRUPT unless the bytes are a key that metadataKey makes. */
export function decodeMetadataKey(key: Uint8Array): { objectId: number; kind: number; name: Buffer } {
  if (key.length < METADATA_HEAD_BYTES || key.length > METADATA_HEAD_BYTES + ENTRY_NAME_BYTES_MAX) {
    throw corrupt("a metadata key", `${key.length} bytes`);
  }
  return {
    objectId: readId(key, 0),
    kind: key[ID_BYTES] ?? 0,
    name: Buffer.from(key.subarray(METADATA_HEAD_BYTES)),
  };
}

/** Whose metadata a key is about, however damaged the rest of it is. */
export function metadataKeyOwner(key: Uint8Array): number {
  return readId(key, 0);
}

/** Every key of an object's metadata, or of one kind of it: the byte of the kind is never 0xFF. */
export function metadataRange(objectId: number, kind?: number): KeyRange {
  if (kind === undefined) return idRange(objectId);
  const none = Buffer.alloc(0);
  return { start: metadataKey(objectId, kind, none), end: metadataKey(objectId, kind + 1, none) };
}

function idRange(id: number): KeyRange {
  const end = Buffer.alloc(ID_BYTES + 1, 0xff);
  writeId(end, id, 0);
  return { start: Buffer.from(end.subarray(0, ID_BYTES)), end };
}

function encodePart(name: Buffer): Buffer {
  const part = Buffer.allocUnsafe(2 * name.length + 2);
  let length = 0;
  for (const byte of name) {
    part[length++] = byte;
    if (byte === ESCAPE) part[length++] = ESCAPED_ZERO;
  }
  part[length++] = ESCAPE;
  part[length++] = TERMINATOR;
  return part.subarray(0, length);
}

function decodePart(key: Uint8Array, start: number): { name: Buffer; end: number } {
  const name = Buffer.alloc(key.length - start);
  let length = 0;
  for (let at = start; at < key.length; at++) {
    const byte = key[at] ?? 0;
    if (byte === ESCAPE) {
      const next = key[++at];
      if (next === TERMINATOR) return { name: name.subarray(0, length), end: at + 1 };
      if (next !== ESCAPED_ZERO) throw corrupt("a volume key", `escape ${next} at byte ${at}`);
    }
    name[length++] = byte;
  }
  throw corrupt("a volume key", "a part without an end");
}

function writeId(target: Buffer, id: number, offset: number): void {
  assert.ok(id >= 0 && id < OBJECT_IDS_MAX && Number.isInteger(id), "id fits six bytes");
  const high = Math.floor(id / 0x1_0000_0000);
  target[offset] = high >>> 8;
  target[offset + 1] = high;
  target[offset + 2] = id >>> 24;
  target[offset + 3] = id >>> 16;
  target[offset + 4] = id >>> 8;
  target[offset + 5] = id;
}

function readId(source: Uint8Array, offset: number): number {
  let id = 0;
  for (let at = offset; at < offset + ID_BYTES; at++) id = id * 256 + (source[at] ?? 0);
  return id;
}

function corrupt(what: string, found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read ${what}: it has ${found}`);
}
