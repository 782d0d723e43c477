/** What operators ask of a cache besides its content: flush, list, explain and pins. In types alone, as api.ts. */
import type { NameBytes } from "../index/core/names.js";
import type { Selector } from "../index/core/selector.js";
import type { Tag } from "./api.js";

export type { Selector } from "../index/core/selector.js";

/** Entries of one page of `list` or `pins` at most; names count too, see LIST_NAME_BYTES_MAX. */
export const LIST_ENTRIES_MAX = 500;
/** A page ends before its names pass this many bytes together, but has one entry in any case. */
export const LIST_NAME_BYTES_MAX = 64 * 1024;
/** Pins of one cache. */
export const PINS_MAX = 10_000;
/** Names of all pins together: they are held in memory and in the ledger. */
export const PIN_NAME_BYTES_MAX = 16 * 1024 * 1024;
/** Blocks that `explain` looks at to tell how recently one was used, beginning with the least recently used one. */
export const RANK_LOOKS_MAX = 100_000;

export interface FlushReport {
  /** Valid bytes; with dryRun what would have been dropped. */
  readonly dropped: { readonly blocks: number; readonly bytes: number };
  /** Blocks that stayed. */
  readonly skipped: {
    /** They were being read or filled, or their file is open. */
    readonly inUse: number;
    /** A pin covers their file. */
    readonly pinned: number;
    /** Changes that the origin does not have yet. */
    readonly unsent: number;
  };
}

/** A file system, a volume or a file, and how much of it is cached. */
export interface ListEntry {
  readonly name: Buffer;
  readonly blocks: number;
  readonly bytes: number;
  /** Volumes that the cache knows, of a file system. */
  readonly volumes?: number;
  /** Size of a file, 0 where nobody told it. */
  readonly sizeBytes?: bigint;
  /** Whether a pin covers a file, or a whole volume. */
  readonly pinned?: boolean;
}

export interface ListPage {
  /** By name; names of more than about 1900 bytes come after the others. */
  readonly entries: readonly ListEntry[];
  /** There are more; go on after the name of the last entry. */
  readonly more: boolean;
}

export interface PageOptions<Position> {
  /** Entries after this one. */
  readonly after?: Position;
  /** 1 to LIST_ENTRIES_MAX, which it is unless given. */
  readonly limit?: number;
}

/** Why a block is where it is. */
export interface Explanation {
  /** `stale`: it was invalidated and is about to be dropped. */
  readonly state: "cached" | "stale" | "absent";
  /** Whether a cull may take it, sooner or later. */
  readonly victim: boolean;
  /** Why, or why not, in a sentence. */
  readonly why: string;
  /** It is being read or filled, or its file is open. */
  readonly inUse: boolean;
  /** `beyond-budget`: a pin covers its file, but there was no room for it among what is kept from culling. */
  readonly pin: "none" | "pinned" | "beyond-budget";
  readonly entry?: {
    readonly version: number;
    /** Epoch and sequence are the generation of its slot's tenancy. */
    readonly epoch: number;
    readonly sequence: number;
    readonly validBytes: number;
    /** 4 KiB pages that are here, and those known to be zero: first and last of each run. */
    readonly present: ReadonlyArray<readonly [first: number, last: number]>;
    readonly zero: ReadonlyArray<readonly [first: number, last: number]>;
    readonly checksum: "none" | "crc32";
  };
  readonly slot?: {
    readonly number: number;
    readonly state: string;
    /** High-water mark of its file, in 4 KiB pages. */
    readonly pages: number;
  };
  readonly recency?: {
    /** 1 is the least recently used; absent when it is not among the first RANK_LOOKS_MAX. */
    readonly rank?: number;
    /** Blocks in slots. */
    readonly used: number;
  };
  /** The share of the capacity that it counts in. `kept`: at or below its minimum; `over`: above its maximum. */
  readonly share?: {
    readonly fs: string;
    readonly volume?: string;
    readonly state: "over" | "kept" | "between";
  };
  readonly file?: HolderExplanation & { readonly sizeBytes: bigint };
  readonly volume?: HolderExplanation;
}

export interface HolderExplanation {
  readonly id: number;
  readonly coherency: Buffer;
  /** Content with a lower sequence number does not exist. */
  readonly stamp: number;
}

/** What `pin` found. */
export interface PinReport {
  /** False if this very pin stood already. */
  readonly added: boolean;
  /** Cached now of what it covers. */
  readonly blocks: number;
  readonly bytes: number;
}

export interface PinStatus {
  /** Ascending in the order in which pins were made. */
  readonly id: number;
  readonly fs: Buffer;
  readonly volume: Buffer;
  /** At most one of the two; neither for a whole volume. */
  readonly inode?: Buffer;
  readonly inodePrefix?: Buffer;
  /** Files that the cache knows of it, and their sizes together. */
  readonly files: number;
  readonly sizeBytes: bigint;
  /** What is cached of it. */
  readonly blocks: number;
  readonly bytes: number;
  /** What its blocks that are kept from culling occupy; less than they all do when the budget was used up. */
  readonly protectedBytes: number;
  /** Content is missing, or may be since a wipe: it is to be fetched again. */
  readonly refetch: boolean;
}

export interface PinPage {
  readonly pins: readonly PinStatus[];
  /** There are more; go on after the id of the last one. */
  readonly more: boolean;
}

export interface PinOptions {
  /** Says that the content is all there as of now, as after a wipe it was fetched again; PinStatus.refetch follows it. */
  readonly refetched?: boolean;
}

/** Calls walk the index in slices, so that others go on meanwhile; a client gives them ten minutes. */
export interface AdminCalls {
  /**
   * Drops what is cached and clean; resolves after its commit. Blocks in use, pinned blocks and unsent changes stay;
   * what is stored meanwhile may. @throws {CacheError} E_ARGUMENT, E_CLOSED, E_IO; E_TIMEOUT or E_UNAVAILABLE from a client.
   */
  flush(what: Selector, options?: { readonly dryRun?: boolean }): Promise<FlushReport>;
  /**
   * What is cached: file systems of `all`, volumes of a file system, files with cached blocks of anything narrower.
   * @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  list(what: Selector, page?: PageOptions<NameBytes>): Promise<ListPage>;
  /** Everything known of a block; recency is left alone. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  explain(tag: Tag): Promise<Explanation>;
  /**
   * Keeps a volume, a file or a tree of files from culling and flush, now and when it is cached later; durable once
   * resolved. No wipe and no unclean end takes the intention away, only the content.
   * @throws {CacheError} E_ARGUMENT (also for `all` or a bare `fs`), E_CLOSED, E_IO; E_LIMIT beyond PINS_MAX or
   * PIN_NAME_BYTES_MAX; E_NO_SPACE when what is cached of it does not fit into the share of pins. Then nothing is pinned.
   */
  pin(what: Selector, options?: PinOptions): Promise<PinReport>;
  /**
   * Takes the pin of exactly this name away, or with `all` or a bare `fs` all pins there; durable once resolved.
   * What no other pin covers can be culled again, as if it had just been used. @throws {CacheError} as pin.
   */
  unpin(what: Selector): Promise<{ readonly removed: number }>;
  /** All pins, in the order in which they were made. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  pins(page?: PageOptions<number>): Promise<PinPage>;
}
