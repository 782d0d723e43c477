/** Lists of entries or extended attributes as payloads. Pure. Format: engine/PROTOCOL.md "Entry lists". */
import { CacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { ENTRIES_MAX, ENTRY_HEAD_BYTES, ENTRY_NAME_BYTES_MAX, XATTR_BYTES_MAX } from "../metadata-api.js";

export interface ListedEntry {
  readonly name: Buffer;
  readonly inode: Buffer;
  /** A number of FILE_TYPES. */
  readonly type: number;
  readonly value: Buffer;
}

const INODE_BYTES_AT = 2;
const VALUE_BYTES_AT = 4;
const TYPE_AT = 8;

export function encodeEntryList(entries: readonly ListedEntry[]): Buffer {
  const parts: Buffer[] = [];
  for (const { name, inode, type, value } of entries) {
    const head = Buffer.alloc(ENTRY_HEAD_BYTES);
    head.writeUInt16LE(name.length, 0);
    head.writeUInt16LE(inode.length, INODE_BYTES_AT);
    head.writeUInt32LE(value.length, VALUE_BYTES_AT);
    head[TYPE_AT] = type;
    parts.push(head, name, inode, value);
  }
  return Buffer.concat(parts);
}

/**
 * Views on `bytes`. @throws {CacheError} `code` unless whole entries, ENTRIES_MAX at most, each with a name and no part
 * longer than in any use; narrower limits are for others to check.
 */
export function decodeEntryList(bytes: Buffer, code: CacheErrorCode): ListedEntry[] {
  const entries: ListedEntry[] = [];
  for (let at = 0; at < bytes.length;) {
    const bodyAt = at + ENTRY_HEAD_BYTES;
    if (bodyAt > bytes.length || entries.length === ENTRIES_MAX) throw malformed(code, at, bytes.length);
    const nameBytes = bytes.readUInt16LE(at);
    const valueBytes = bytes.readUInt32LE(at + VALUE_BYTES_AT);
    const inodeAt = bodyAt + nameBytes;
    const valueAt = inodeAt + bytes.readUInt16LE(at + INODE_BYTES_AT);
    const end = valueAt + valueBytes;
    const fits = nameBytes >= 1 && nameBytes <= ENTRY_NAME_BYTES_MAX && valueBytes <= XATTR_BYTES_MAX;
    if (!fits || end > bytes.length) throw malformed(code, at, bytes.length);
    entries.push({
      name: bytes.subarray(bodyAt, inodeAt),
      inode: bytes.subarray(inodeAt, valueAt),
      type: bytes[at + TYPE_AT] ?? 0,
      value: bytes.subarray(valueAt, end),
    });
    at = end;
  }
  return entries;
}

function malformed(code: CacheErrorCode, at: number, length: number): CacheError {
  const wanted = `whole entries, at most ${ENTRIES_MAX}`;
  return new CacheError(
    code,
    `Cannot read a list of entries: byte ${at} of ${length} begins another, want ${wanted}`,
  );
}
