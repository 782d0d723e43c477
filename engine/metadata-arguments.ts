/** What callers pass about metadata: checked, copied where it is kept. The library, the client and the model share it. */
import { CacheError } from "../index/core/errors.js";
import { COHERENCY_BYTES_MAX } from "../index/core/layout.js";
import { type NameBytes, checkName, nameBuffer } from "../index/core/names.js";
import {
  type DirectoryEntry,
  ENTRIES_MAX,
  ENTRY_HEAD_BYTES,
  ENTRY_LIST_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  FILE_TYPES,
  type FileType,
  type FoundEntry,
  type ListOptions,
  type MetadataGroup,
  NEGATIVE_MS_MAX,
  type SetChangeOptions,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
  type Xattr,
} from "./metadata-api.js";

const GROUPS: readonly MetadataGroup[] = ["attributes", "symlink", "xattrs", "directory"];
const EMPTY = Buffer.alloc(0);

export interface CheckedXattr {
  readonly name: Buffer;
  readonly value: Buffer;
}

export interface CheckedOptions {
  readonly coherency: Buffer | undefined;
  readonly nextCoherency: Buffer | undefined;
}

/** Copies. @throws {CacheError} E_ARGUMENT. */
export function checkChange(options: SetChangeOptions | undefined): CheckedOptions {
  const { coherency, nextCoherency } = options ?? {};
  return {
    coherency: coherency && ownedUpTo("coherency", coherency, COHERENCY_BYTES_MAX),
    nextCoherency: nextCoherency && ownedUpTo("nextCoherency", nextCoherency, COHERENCY_BYTES_MAX),
  };
}

/** A copy. @throws {CacheError} E_ARGUMENT beyond so many bytes. */
export function ownedUpTo(what: string, bytes: NameBytes, bytesMax: number): Buffer {
  return Buffer.from(bounded(what, nameBuffer(bytes), 0, bytesMax));
}

/** A copy. @throws {CacheError} E_ARGUMENT unless 1 to ENTRY_NAME_BYTES_MAX bytes. */
export function checkEntryName(name: NameBytes): Buffer {
  return Buffer.from(bounded("name", nameBuffer(name), 1, ENTRY_NAME_BYTES_MAX));
}

/** A copy. @throws {CacheError} E_ARGUMENT unless 1 to XATTR_NAME_BYTES_MAX bytes. */
export function checkXattrName(name: NameBytes): Buffer {
  return Buffer.from(bounded("name", nameBuffer(name), 1, XATTR_NAME_BYTES_MAX));
}

/** Copies. @throws {CacheError} E_ARGUMENT beyond ENTRIES_MAX or ENTRY_LIST_BYTES_MAX, or for a name that comes twice. */
export function checkXattrs(xattrs: readonly Xattr[]): CheckedXattr[] {
  checkCount("xattrs", xattrs.length);
  const checked = xattrs.map(({ name, value }) => ({
    name: checkXattrName(name),
    value: ownedUpTo("value", value, XATTR_BYTES_MAX),
  }));
  checkListBytes(checked.map(({ name, value }) => listedBytes({ name, inode: EMPTY, value })));
  const names = new Set(checked.map(({ name }) => name.toString("latin1")));
  if (names.size < checked.length) throw refused("xattrs", "a name comes twice", "each once");
  return checked;
}

/** Copies. @throws {CacheError} E_ARGUMENT beyond ENTRIES_MAX or ENTRY_LIST_BYTES_MAX. Of a name that comes twice the last counts. */
export function checkEntries(entries: readonly DirectoryEntry[]): FoundEntry[] {
  checkCount("entries", entries.length);
  const checked = entries.map((entry): FoundEntry => {
    const { name, inode, type = "unknown", value } = entry;
    if (!Object.hasOwn(FILE_TYPES, type)) {
      throw refused("type", JSON.stringify(type), `one of ${Object.keys(FILE_TYPES).join(", ")}`);
    }
    return {
      name: checkEntryName(name),
      inode: Buffer.from(checkName("inode", inode)),
      type,
      value: value === undefined ? EMPTY : ownedUpTo("value", value, ENTRY_VALUE_BYTES_MAX),
    };
  });
  checkListBytes(checked.map(listedBytes));
  return checked;
}

/** @throws {CacheError} E_ARGUMENT. The name of a cookie may be as long as any. */
export function checkList(options: ListOptions | undefined): {
  coherency: Buffer | undefined;
  after: Buffer | undefined;
  countMax: number;
} {
  const { after, countMax = ENTRIES_MAX } = options ?? {};
  if (!Number.isSafeInteger(countMax) || countMax < 1 || countMax > ENTRIES_MAX) {
    throw refused("countMax", String(countMax), `a whole number from 1 to ${ENTRIES_MAX}`);
  }
  return {
    coherency: checkChange(options).coherency,
    after: after === undefined ? undefined : checkEntryName(after),
    countMax,
  };
}

/** @throws {CacheError} E_ARGUMENT. */
export function checkTtl(ttlMs: number): number {
  if (!Number.isSafeInteger(ttlMs) || ttlMs < 1 || ttlMs > NEGATIVE_MS_MAX) {
    throw refused("ttlMs", String(ttlMs), `a whole number from 1 to ${NEGATIVE_MS_MAX}`);
  }
  return ttlMs;
}

/** @throws {CacheError} E_ARGUMENT unless a number that beginListing may have given. */
export function checkListing(listing: number): number {
  if (Number.isSafeInteger(listing) && listing >= 0) return listing;
  throw refused("listing", String(listing), "a number that beginListing gave");
}

/** @throws {CacheError} E_ARGUMENT. */
export function checkGroup(group: string): MetadataGroup {
  const found = GROUPS.find((one) => one === group);
  if (found === undefined) throw refused("group", JSON.stringify(group), `one of ${GROUPS.join(", ")}`);
  return found;
}

/** What an entry counts for in ENTRY_LIST_BYTES_MAX. */
export function listedBytes({ name, inode, value }: Pick<FoundEntry, "name" | "inode" | "value">): number {
  return ENTRY_HEAD_BYTES + name.length + inode.length + value.length;
}

const TYPES_BY_NUMBER = new Map<number, FileType>(
  Object.entries(FILE_TYPES).map(([type, byte]) => [byte, type as FileType]),
);

/** The type that a number stands for; one that is not known here is `unknown`. */
export function fileTypeOf(number: number): FileType {
  return TYPES_BY_NUMBER.get(number) ?? "unknown";
}

function checkCount(what: string, count: number): void {
  if (count > ENTRIES_MAX) throw refused(what, `${count} of them`, `at most ${ENTRIES_MAX}`);
}

function checkListBytes(sizes: readonly number[]): void {
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  if (bytes > ENTRY_LIST_BYTES_MAX)
    throw refused("them", `${bytes} bytes`, `at most ${ENTRY_LIST_BYTES_MAX}`);
}

function bounded(what: string, bytes: Buffer, bytesMin: number, bytesMax: number): Buffer {
  if (bytes.length >= bytesMin && bytes.length <= bytesMax) return bytes;
  throw refused(what, `${bytes.length} bytes`, `${bytesMin} to ${bytesMax}`);
}

function refused(what: string, found: string, wanted: string): CacheError {
  return new CacheError("E_ARGUMENT", `Cannot use ${what}: found ${found}, want ${wanted}`);
}
