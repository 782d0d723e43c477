/**
 * Cached metadata of a file, in types alone: opaque attributes, the target of a symbolic link, extended attributes, and
 * the entries of a directory, those that are known not to exist included. Part of api.ts.
 *
 * It is kept in the index beside its file, ends with it (invalidate, retire, wipe, and the same of its volume), and is
 * culled with it when the index's share is used up. A miss means "ask the origin", as everywhere. Besides the coherency
 * data of file and volume each group has its own: a read that names other data than what the group was stored with is
 * a miss and drops the group; a write that names other data drops what the group held before.
 *
 * A change of a set or directory that is refused (a bypass) makes it incomplete, and what the change was to replace is
 * dropped. A change that a client gets no answer to may or may not have happened: drop the group, or its file.
 */
import {
  ATTRIBUTES_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
} from "../index/core/layout.js";
import type { NameBytes } from "../index/core/names.js";
import type { Bypass, PutResult } from "./api.js";

export {
  ATTRIBUTES_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
};

/** Entries or extended attributes that one call takes or gives. */
export const ENTRIES_MAX = 1024;
/** Bytes of what one call takes or gives: names, inodes, values, and ENTRY_HEAD_BYTES for each. */
export const ENTRY_LIST_BYTES_MAX = 1024 * 1024;
export const ENTRY_HEAD_BYTES = 12;
/** How long a name may count as absent: 1 ms to a day. */
export const NEGATIVE_MS_MAX = 24 * 3600 * 1000;

/** By the numbers of d_type, which stand on the disk and on the wire. */
export const FILE_TYPES = {
  unknown: 0,
  fifo: 1,
  character: 2,
  directory: 4,
  block: 6,
  file: 8,
  symlink: 10,
  socket: 12,
} as const;

export type FileType = keyof typeof FILE_TYPES;

/** Parts of a file's metadata that are stored, compared and dropped together. */
export type MetadataGroup = "attributes" | "symlink" | "xattrs" | "directory";

export interface MetadataReadOptions {
  /** What the group has to have been stored with; anything unless given. 0 to 4096 bytes. */
  readonly coherency?: Uint8Array;
}

export interface MetadataWriteOptions {
  /** Stored with the group. What the group held with other data is dropped. Left as it is unless given. */
  readonly coherency?: Uint8Array;
}

export interface SetChangeOptions extends MetadataWriteOptions {
  /** What the group's coherency data is after this change: for a version that the change itself brought about. */
  readonly nextCoherency?: Uint8Array;
}

export type ValueResult =
  | { readonly kind: "found"; readonly value: Buffer }
  | { readonly kind: "miss" }
  | Bypass;

export type RemoveResult = { readonly kind: "removed" } | Bypass;

export interface Xattr {
  /** 1 to 255 bytes. */
  readonly name: NameBytes;
  /** 0 to 65,536 bytes. */
  readonly value: Uint8Array;
}

/** `absent`: the set is complete and has no such name. */
export type XattrResult = ValueResult | { readonly kind: "absent" };

export interface DirectoryEntry {
  /** 1 to 1024 bytes of any content. */
  readonly name: NameBytes;
  /** What acquireCookie names the file by. */
  readonly inode: NameBytes;
  /** `unknown` unless given. */
  readonly type?: FileType;
  /** Opaque, 0 to 4096 bytes; empty unless given. */
  readonly value?: Uint8Array;
}

export interface FoundEntry {
  readonly name: Buffer;
  readonly inode: Buffer;
  readonly type: FileType;
  readonly value: Buffer;
}

/** `absent`: the name is known not to exist, for the directory is complete or a negative entry has not expired. */
export type LookupResult =
  | { readonly kind: "found"; readonly entry: FoundEntry }
  | { readonly kind: "absent" }
  | { readonly kind: "miss" }
  | Bypass;

export interface ListOptions extends MetadataReadOptions {
  /** A cookie: names behind this one, which need not exist any more; from the start unless given. */
  readonly after?: NameBytes;
  /** 1 to ENTRIES_MAX, which it is unless given. */
  readonly countMax?: number;
}

/**
 * In the order of their names' bytes. `complete`: nothing else was in the covered range at the time of the call. `next`:
 * there may be more behind this name; absent at the end. A page may have fewer entries than asked for, none even, and a
 * `next` all the same. Going on from each `next`, with every page complete, gives each entry that was there all the
 * while exactly once, whatever else was changed meanwhile.
 */
export type ListResult =
  | {
      readonly kind: "listed";
      readonly entries: readonly FoundEntry[];
      readonly complete: boolean;
      readonly next?: Buffer;
    }
  | { readonly kind: "miss" }
  | Bypass;

export type XattrListResult =
  | {
      readonly kind: "listed";
      readonly names: readonly Buffer[];
      readonly complete: boolean;
      readonly next?: Buffer;
    }
  | { readonly kind: "miss" }
  | Bypass;

export interface PutEntriesOptions extends SetChangeOptions {
  /** The entries are part of this listing: names that were changed otherwise since it began are left as they are. */
  readonly listing?: number;
}

export type BeginListingResult = { readonly kind: "begun"; readonly listing: number } | Bypass;

/** `superseded`: the directory stays incomplete, for its listing was ended by another one, by an invalidation or by trouble. */
export type CompleteListingResult = { readonly kind: "completed" } | { readonly kind: "superseded" } | Bypass;

/**
 * Metadata of the file of a cookie handle. Calls on a handle that went stale answer `stale`. Every call throws
 * E_ARGUMENT for what is out of its limits, E_CLOSED and E_STALE as the handle's other calls. Writes resolve when every
 * later call sees them; removals and drops after their commit.
 */
export interface FileMetadata {
  /** 0 to 4096 bytes. */
  setAttributes(value: Uint8Array, options?: MetadataWriteOptions): Promise<PutResult>;
  getAttributes(options?: MetadataReadOptions): Promise<ValueResult>;
  /** 0 to 4096 bytes. */
  setSymlink(target: NameBytes, options?: MetadataWriteOptions): Promise<PutResult>;
  getSymlink(options?: MetadataReadOptions): Promise<ValueResult>;

  setXattr(xattr: Xattr, options?: SetChangeOptions): Promise<PutResult>;
  /** Puts these in place of all that are cached; from then on the set is complete. At most ENTRY_LIST_BYTES_MAX together. */
  replaceXattrs(xattrs: readonly Xattr[], options?: MetadataWriteOptions): Promise<PutResult>;
  /** The file has no such attribute any more. @throws {CacheError} E_TIMEOUT, E_UNAVAILABLE, E_LIMIT from a client. */
  removeXattr(name: NameBytes, options?: SetChangeOptions): Promise<RemoveResult>;
  getXattr(name: NameBytes, options?: MetadataReadOptions): Promise<XattrResult>;
  listXattrs(options?: ListOptions): Promise<XattrListResult>;

  /** At most ENTRIES_MAX, and ENTRY_LIST_BYTES_MAX together; all or none. */
  putEntries(entries: readonly DirectoryEntry[], options?: PutEntriesOptions): Promise<PutResult>;
  /** The name is known not to exist, for this long. In a complete directory: until it is put. */
  putNegative(name: NameBytes, options: SetChangeOptions & { readonly ttlMs: number }): Promise<PutResult>;
  /** The directory has no such entry any more. @throws {CacheError} as removeXattr. */
  removeEntry(name: NameBytes, options?: SetChangeOptions): Promise<RemoveResult>;
  lookup(name: NameBytes, options?: MetadataReadOptions): Promise<LookupResult>;
  list(options?: ListOptions): Promise<ListResult>;
  /** Begins to cache the directory anew: what it held is gone, and the last listing that was begun is superseded. */
  beginListing(options?: MetadataWriteOptions): Promise<BeginListingResult>;
  /** Everything that the directory held when the listing began was put: from now on it is complete, until it is culled. */
  completeListing(listing: number): Promise<CompleteListingResult>;

  /** Forgets a group. @throws {CacheError} as removeXattr. */
  drop(group: MetadataGroup): Promise<void>;
}
