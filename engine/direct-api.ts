/** What the owner of a cache offers to readers in other processes who read slot files themselves; in types alone. */
import type { NameBytes } from "../index/core/names.js";
import type { CookieHandle } from "./api.js";

/** A file or directory, and which one: readers use it only if what they open under the path is that. */
export interface Place {
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
}

/** What is published at the moment. */
export interface Publication {
  readonly lookup: Place;
  readonly slots: Place;
}

/** Blocks `firstBlock` to `endBlock` - 1 with a lower sequence number than `stamp` do not exist. */
export interface StampedRange {
  readonly firstBlock: number;
  readonly endBlock: number;
  readonly stamp: number;
}

/** What the names of a file mean, and what of its entries counts, as of a notice. */
export interface Resolution {
  readonly objectId: number;
  readonly volumeId: number;
  /** Entries with a lower sequence number do not exist. */
  readonly stamp: number;
  readonly ranges: readonly StampedRange[];
  /** The lookup file that was published then, and how many notices it had: see LookupHeader. */
  readonly instance: bigint;
  readonly notices: number;
}

/** The same of a file by a handle, which holds as long as the handle's version does. */
export interface FileResolution extends Resolution {
  readonly sizeBytes: bigint;
}

/** What one reader did with one block since it last told. */
export interface Use {
  readonly slot: number;
  readonly objectId: number;
  readonly block: number;
  readonly hits: number;
  readonly bytes: number;
}

/** The owner's side of direct reads. */
export interface DirectSource {
  readonly publication: Publication | undefined;
  /** The same for a reader who could not use the last one: sees to it that there will be one that can be used. */
  republish(): Publication | undefined;
  /**
   * What the names of a file mean to a reader; undefined where nothing of it is stored, or nothing published. @param block
   * one that was asked for: it is shown again if others took its place. @throws {CacheError} E_ARGUMENT.
   */
  resolve(fs: NameBytes, volume: NameBytes, inode: NameBytes, block?: number): Resolution | undefined;
  /** The same by a cookie's handle, for reads through it; undefined when its version is gone, too. */
  resolveHandle(handle: CookieHandle): FileResolution | undefined;
  /** Takes what a reader did into account, about in the order of use. What is not so any more counts for nothing. */
  noteUses(uses: Iterable<Use>): void;
}
