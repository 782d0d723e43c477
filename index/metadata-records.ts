/**
 * Metadata records: what is cached of a file besides its blocks, one record a value, so that a directory of any size is
 * changed by one record. A version byte, then one msgpack array. Pure. Format: engine/FORMAT.md "Metadata records".
 */
import assert from "node:assert/strict";
import { CacheError } from "./core/errors.js";
import {
  ATTRIBUTES_BYTES_MAX,
  COHERENCY_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  NAME_BYTES_MAX,
  OBJECT_IDS_MAX,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
} from "./core/layout.js";
import { ID_BYTES, decodeMetadataKey, metadataKey } from "./keys.js";
import { number, pack, readBytes, readNumber, unpack } from "./records.js";

/** Kinds by the byte that stands for them in a key; each is a range of an object's keys. */
export const METADATA_KINDS = {
  /** Of object id 0 only: an object whose records are to be removed, by its id. */
  reclaim: 0,
  attributes: 1,
  symlink: 2,
  /** The set of extended attributes as a whole. */
  xattrs: 3,
  xattr: 4,
  /** The directory as a whole. */
  directory: 5,
  entry: 6,
} as const;

export type MetadataKind = keyof typeof METADATA_KINDS;

/** Holds the list of objects whose records are to be removed; no object has this id. */
export const RECLAIM_OBJECT_ID = 0;

const NO_NAME = Buffer.alloc(0);
const KIND_NAMES = new Map<number, MetadataKind>(
  Object.entries(METADATA_KINDS).map(([name, byte]) => [byte, name as MetadataKind]),
);

/** One opaque value of an object. */
export interface ValueRecord {
  readonly kind: "attributes" | "symlink";
  readonly objectId: number;
  /** Number of the write, of the sequence that stamps share. */
  readonly sequence: number;
  readonly coherency: Buffer;
  readonly value: Buffer;
}

/** A set of named records as a whole: those with lower sequence numbers than its own do not exist. */
export interface SetRecord {
  readonly kind: "xattrs" | "directory";
  readonly objectId: number;
  readonly sequence: number;
  readonly coherency: Buffer;
  /** Names that have no record do not exist. */
  readonly complete: boolean;
}

export interface XattrRecord {
  readonly kind: "xattr";
  readonly objectId: number;
  readonly name: Buffer;
  readonly sequence: number;
  readonly value: Buffer;
}

/** What a name in a directory stands for: a file, or, until `expiresMs` on the clock of the session that wrote it, nothing. */
export type EntryTarget =
  | { readonly type: number; readonly inode: Buffer; readonly value: Buffer }
  | { readonly expiresMs: number };

export interface EntryRecord {
  readonly kind: "entry";
  readonly objectId: number;
  readonly name: Buffer;
  readonly sequence: number;
  readonly target: EntryTarget;
}

/** Records of `name`, an object id, with lower sequence numbers than this one are to be removed. */
export interface ReclaimRecord {
  readonly kind: "reclaim";
  readonly objectId: typeof RECLAIM_OBJECT_ID;
  readonly name: Buffer;
  readonly sequence: number;
}

export type MetadataRecord = ValueRecord | SetRecord | XattrRecord | EntryRecord | ReclaimRecord;

/** File types of entries fit one byte. */
const TYPE_MAX = 255;

export function metadataKeyOf(objectId: number, kind: MetadataKind, name: Buffer = NO_NAME): Buffer {
  return metadataKey(objectId, METADATA_KINDS[kind], name);
}

export function encodeMetadata(record: MetadataRecord): { key: Buffer; value: Buffer } {
  const name = "name" in record ? record.name : NO_NAME;
  return { key: metadataKeyOf(record.objectId, record.kind, name), value: pack(fieldsOf(record)) };
}

function fieldsOf(record: MetadataRecord): unknown[] {
  const sequence = number(record.sequence);
  switch (record.kind) {
    case "attributes":
    case "symlink":
      assert.ok(record.value.length <= VALUE_BYTES_MAX[record.kind], "value is within its limit");
      assert.ok(record.coherency.length <= COHERENCY_BYTES_MAX, "coherency data is within its limit");
      return [sequence, record.coherency, record.value];
    case "xattrs":
    case "directory":
      assert.ok(record.coherency.length <= COHERENCY_BYTES_MAX, "coherency data is within its limit");
      return [sequence, record.coherency, record.complete];
    case "xattr":
      assert.ok(record.value.length <= XATTR_BYTES_MAX, "value is within its limit");
      return [sequence, record.value];
    case "entry":
      return [sequence, ...targetFields(record.target)];
    case "reclaim":
      return [sequence];
  }
}

const VALUE_BYTES_MAX = { attributes: ATTRIBUTES_BYTES_MAX, symlink: SYMLINK_BYTES_MAX };

function targetFields(target: EntryTarget): unknown[] {
  if ("expiresMs" in target) return [null, number(target.expiresMs)];
  const { type, inode, value } = target;
  assert.ok(type <= TYPE_MAX && inode.length <= NAME_BYTES_MAX && value.length <= ENTRY_VALUE_BYTES_MAX);
  return [type, inode, value];
}

/** @throws {CacheError} E_INDEX_CORRUPT when key or value does not read back. */
export function decodeMetadata(key: Uint8Array, value: Uint8Array): MetadataRecord {
  const { objectId, kind: byte, name } = decodeMetadataKey(key);
  const kind = KIND_NAMES.get(byte);
  if (kind === undefined) throw corrupt(`kind ${byte}`);
  checkName(kind, objectId, name);
  const fields = unpack("a metadata record", value);
  const sequence = readNumber("a metadata record", fields[0]);
  switch (kind) {
    case "attributes":
    case "symlink": {
      const coherency = bytesUpTo(fields[1], COHERENCY_BYTES_MAX);
      return { kind, objectId, sequence, coherency, value: bytesUpTo(fields[2], VALUE_BYTES_MAX[kind]) };
    }
    case "xattrs":
    case "directory": {
      const complete = fields[2];
      if (typeof complete !== "boolean") throw corrupt("no flag where one is wanted");
      return { kind, objectId, sequence, coherency: bytesUpTo(fields[1], COHERENCY_BYTES_MAX), complete };
    }
    case "xattr":
      return { kind, objectId, name, sequence, value: bytesUpTo(fields[1], XATTR_BYTES_MAX) };
    case "entry":
      return { kind, objectId, name, sequence, target: readTarget(fields) };
    case "reclaim":
      return { kind, objectId: RECLAIM_OBJECT_ID, name, sequence };
  }
}

function readTarget([, type, second, third]: unknown[]): EntryTarget {
  if (type === null) return { expiresMs: readNumber("a metadata record", second) };
  const number = readNumber("a metadata record", type);
  if (number > TYPE_MAX) throw corrupt(`file type ${number}`);
  const inode = bytesUpTo(second, NAME_BYTES_MAX);
  return { type: number, inode, value: bytesUpTo(third, ENTRY_VALUE_BYTES_MAX) };
}

const NAME_MAX: Record<MetadataKind, number> = {
  reclaim: ID_BYTES,
  attributes: 0,
  symlink: 0,
  xattrs: 0,
  xattr: XATTR_NAME_BYTES_MAX,
  directory: 0,
  entry: ENTRY_NAME_BYTES_MAX,
};

function checkName(kind: MetadataKind, objectId: number, name: Buffer): void {
  const bytesMin = kind === "reclaim" ? ID_BYTES : Math.min(1, NAME_MAX[kind]);
  const fits = name.length >= bytesMin && name.length <= NAME_MAX[kind];
  if (!fits || (kind === "reclaim") !== (objectId === RECLAIM_OBJECT_ID)) {
    throw corrupt(`kind ${kind} of object ${objectId} with a name of ${name.length} bytes`);
  }
}

/** The name of a reclaim record, and back. */
export function reclaimName(objectId: number): Buffer {
  assert.ok(objectId > RECLAIM_OBJECT_ID && objectId < OBJECT_IDS_MAX);
  const name = Buffer.allocUnsafe(ID_BYTES);
  name.writeUIntBE(objectId, 0, ID_BYTES);
  return name;
}

export function reclaimedId(name: Buffer): number {
  return name.readUIntBE(0, ID_BYTES);
}

function bytesUpTo(field: unknown, bytesMax: number): Buffer {
  const bytes = readBytes("a metadata record", field);
  if (bytes.length > bytesMax) throw corrupt(`${bytes.length} bytes, want at most ${bytesMax}`);
  return bytes;
}

function corrupt(found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read a metadata record: it has ${found}`);
}
