/**
 * Volume and object records, and the record that binds an index to its cache: a version byte, then one msgpack array.
 * Pure. Format: engine/FORMAT.md "Records".
 *
 * A field that is added later goes to the end of the array: whoever does not know it carries it along in `extra`, and
 * whoever knows it takes its stated default where it is missing. Only a changed meaning raises the version.
 */
import assert from "node:assert/strict";
import { Packr } from "msgpackr";
import { CacheError } from "./core/errors.js";
import { CACHE_ID_BYTES, COHERENCY_BYTES_MAX, FORMAT_VERSION, OBJECT_IDS_MAX } from "./core/layout.js";
import { decodeObjectKey, decodeVolumeKey, fsKey, nameDigest, objectKey, volumeKey } from "./keys.js";
import { fitsMsgpack } from "./msgpack-fits.js";

export const RECORD_VERSION = 1;

const U32_MAX = 0xffff_ffff;
const SIZE_BYTES_MAX = 2n ** 63n - 1n;
const packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: "bigint" });

export interface VolumeRecord {
  id: number;
  fs: Buffer;
  volume: Buffer;
  coherency: Buffer;
  /** Number of the last invalidation that covers the volume. */
  stamp: number;
  /** Fields of a later version, kept as they are. */
  extra?: readonly unknown[];
}

/** Blocks `firstBlock` to `endBlock` - 1, and the number of the invalidation that covers them. */
export interface BlockRangeStamp {
  readonly firstBlock: number;
  readonly endBlock: number;
  readonly stamp: number;
}

/** What the index knows of a file system as a whole. */
export interface FsRecord {
  fs: Buffer;
  /** Number of the last invalidation that covers the file system. */
  stamp: number;
}

export interface ObjectRecord {
  id: number;
  volumeId: number;
  inode: Buffer;
  coherency: Buffer;
  /** 0 to 2^63 - 1. */
  sizeBytes: bigint;
  /** Number of the last invalidation that covers the object. */
  stamp: number;
  /** Blocks that were invalidated by themselves. */
  ranges?: readonly BlockRangeStamp[];
  /** Fields of a later version, kept as they are. */
  extra?: readonly unknown[];
}

/** What an index belongs to. */
export interface IndexIdentity {
  formatVersion: number;
  cacheId: Buffer;
  epoch: number;
}

/** Key and value of a volume; the names are in the value only when the key holds a digest. */
export function encodeVolumeRecord(record: VolumeRecord): { key: Buffer; value: Buffer } {
  const { id, fs, volume, coherency, stamp, extra = [] } = record;
  const key = volumeKey(fs, volume);
  const names = decodeVolumeKey(key).kind === "digest" ? [fs, volume] : null;
  assert.ok(coherency.length <= COHERENCY_BYTES_MAX, "coherency data is within its limit");
  return { key, value: pack([idNumber(id), number(stamp), coherency, names, ...extra]) };
}

/** @throws {CacheError} E_INDEX_CORRUPT when key or value does not read back, or one contradicts the other. */
export function decodeVolumeRecord(key: Uint8Array, value: Uint8Array): VolumeRecord {
  const parts = decodeVolumeKey(key);
  if (parts.kind === "fs") throw corrupt("a volume record", "the key of a file system");
  const [id, stamp, coherency, names, ...extra] = unpack("a volume record", value);
  let volume: Buffer;
  if (parts.kind === "whole") volume = parts.volume;
  else {
    const pair = Array.isArray(names) ? (names as unknown[]) : [];
    volume = readBytes("a volume record", pair[1]);
    const wrong =
      !nameDigest(volume).equals(parts.digest) || !parts.fs.equals(readBytes("a volume record", pair[0]));
    if (wrong) throw corrupt("a volume record", "a name that is not its key's");
  }
  return {
    id: readId("a volume record", id),
    fs: parts.fs,
    volume,
    coherency: readBytes("a volume record", coherency),
    stamp: readNumber("a volume record", stamp),
    ...(extra.length > 0 && { extra }),
  };
}

/** Key and value of an object; the inode is in the value only when the key holds a digest. */
export function encodeObjectRecord(record: ObjectRecord): { key: Buffer; value: Buffer } {
  const { id, volumeId, inode, coherency, sizeBytes, stamp, ranges = [], extra = [] } = record;
  const key = objectKey(volumeId, inode);
  const name = decodeObjectKey(key).kind === "digest" ? inode : null;
  assert.ok(coherency.length <= COHERENCY_BYTES_MAX, "coherency data is within its limit");
  assert.ok(sizeBytes >= 0n && sizeBytes <= SIZE_BYTES_MAX, "size is within its limit");
  const size = sizeBytes <= U32_MAX ? Number(sizeBytes) : sizeBytes;
  const triples = ranges.map((range) => [range.firstBlock, range.endBlock, range.stamp].map(number));
  const more = triples.length + extra.length > 0 ? [triples, ...extra] : [];
  return { key, value: pack([idNumber(id), number(stamp), size, coherency, name, ...more]) };
}

/** @throws {CacheError} E_INDEX_CORRUPT when key or value does not read back, or one contradicts the other. */
export function decodeObjectRecord(key: Uint8Array, value: Uint8Array): ObjectRecord {
  const parts = decodeObjectKey(key);
  const [id, stamp, size, coherency, name, triples, ...extra] = unpack("an object record", value);
  let inode: Buffer;
  if (parts.kind === "whole") inode = parts.inode;
  else {
    inode = readBytes("an object record", name);
    if (!nameDigest(inode).equals(parts.digest))
      throw corrupt("an object record", "a name that is not its key's");
  }
  const sizeBytes =
    typeof size === "bigint" || Number.isSafeInteger(size) ? BigInt(size as number | bigint) : -1n;
  if (sizeBytes < 0n || sizeBytes > SIZE_BYTES_MAX)
    throw corrupt("an object record", "a size out of its range");
  return {
    id: readId("an object record", id),
    volumeId: parts.volumeId,
    inode,
    coherency: readBytes("an object record", coherency),
    sizeBytes,
    stamp: readNumber("an object record", stamp),
    ...(triples !== undefined && { ranges: readRanges(triples) }),
    ...(extra.length > 0 && { extra }),
  };
}

/** Key and value of a file system's own record. */
export function encodeFsRecord(record: FsRecord): { key: Buffer; value: Buffer } {
  return { key: fsKey(record.fs), value: pack([number(record.stamp)]) };
}

/** @throws {CacheError} E_INDEX_CORRUPT when it does not read back. */
export function decodeFsRecord(fs: Buffer, value: Uint8Array): FsRecord {
  const [stamp] = unpack("a file system's record", value);
  return { fs, stamp: readNumber("a file system's record", stamp) };
}

function readRanges(triples: unknown): BlockRangeStamp[] {
  if (!Array.isArray(triples)) throw corrupt("an object record", "no list of ranges");
  return (triples as unknown[]).map((triple) => {
    const [firstBlock, endBlock, stamp] = (Array.isArray(triple) ? (triple as unknown[]) : []).map((field) =>
      readNumber("an object record", field),
    );
    if (firstBlock === undefined || endBlock === undefined || stamp === undefined || firstBlock >= endBlock) {
      throw corrupt("an object record", "no range where one is wanted");
    }
    return { firstBlock, endBlock, stamp };
  });
}

export function encodeIdentity(identity: IndexIdentity): Buffer {
  assert.equal(identity.cacheId.length, CACHE_ID_BYTES);
  return pack([identity.formatVersion, identity.cacheId, number(identity.epoch)]);
}

/** @throws {CacheError} E_INDEX_CORRUPT when it does not read back; another format version is for the caller to judge. */
export function decodeIdentity(value: Uint8Array): IndexIdentity {
  const [formatVersion, cacheId, epoch] = unpack("the index identity", value);
  return {
    formatVersion: readNumber("the index identity", formatVersion ?? FORMAT_VERSION),
    cacheId: readBytes("the index identity", cacheId),
    epoch: readNumber("the index identity", epoch),
  };
}

/** A whole number as msgpack writes it exactly: what passes 32 bits would become a float otherwise. */
export function number(value: number): number | bigint {
  assert.ok(Number.isSafeInteger(value) && value >= 0, "a whole number, not negative");
  return value <= U32_MAX ? value : BigInt(value);
}

/** A version byte and a msgpack array. */
export function pack(fields: readonly unknown[], version = RECORD_VERSION): Buffer {
  return Buffer.concat([Buffer.of(version), packr.pack(fields)]);
}

/** @throws {CacheError} E_INDEX_CORRUPT unless the version byte and one msgpack array. */
export function unpack(what: string, value: Uint8Array, version = RECORD_VERSION): unknown[] {
  if (value.length === 0) throw corrupt(what, "no bytes that pass their checksum");
  if (value[0] !== version) throw corrupt(what, `version ${value[0]}, want ${version}`);
  let fields: unknown;
  const packed = Buffer.from(value.subarray(1));
  if (!fitsMsgpack(packed)) throw corrupt(what, "no msgpack");
  try {
    fields = packr.unpack(packed);
  } catch (cause) {
    throw corrupt(what, "no msgpack", cause);
  }
  if (!Array.isArray(fields)) throw corrupt(what, "no array");
  return fields as unknown[];
}

/** @throws {CacheError} E_INDEX_CORRUPT unless bytes. */
export function readBytes(what: string, field: unknown): Buffer {
  if (!(field instanceof Uint8Array)) throw corrupt(what, "no bytes where bytes are wanted");
  return Buffer.from(field);
}

/** @throws {CacheError} E_INDEX_CORRUPT unless a whole number from 0 to 2^53 - 1. */
export function readNumber(what: string, field: unknown): number {
  const value = typeof field === "bigint" ? Number(field) : field;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
    throw corrupt(what, "no whole number where one is wanted");
  }
  return value;
}

function idNumber(id: number): number | bigint {
  assert.ok(id < OBJECT_IDS_MAX, "id fits six bytes");
  return number(id);
}

function readId(what: string, field: unknown): number {
  const id = readNumber(what, field);
  if (id >= OBJECT_IDS_MAX) throw corrupt(what, `id ${id}, want below 2^48`);
  return id;
}

function corrupt(what: string, found: string, cause?: unknown): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read ${what}: it has ${found}`, { cause });
}
