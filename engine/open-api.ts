/**
 * Files as a whole, for a front-end in the cache's own process whose clients open and close them: look at one, keep one
 * from culling while it is open, store one so that it is there whole or not at all. In types alone, as api.ts.
 *
 * What is asked here is answered at once where it says so: nothing comes in between. A wipe, an invalidation or a failed
 * checksum takes the content of an open file as it takes any other: what is stale or broken is never kept.
 */
import { NOTES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX } from "../index/core/layout.js";
import type { NameBytes } from "../index/core/names.js";
import type { PageOptions } from "./admin-api.js";
import type { Bypass, PutResult } from "./api.js";

export { NOTES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX };

export interface FileName {
  readonly fs: NameBytes;
  readonly volume: NameBytes;
  readonly inode: NameBytes;
}

/**
 * How blocks of a file stand among others that are worth the same: `first` go before all others; the first time that the
 * turn of `last` comes they count as stored anew instead. It is not remembered over a restart: say it again.
 */
export type CullRank = "normal" | "first" | "last";

export interface FileLook {
  readonly sizeBytes: bigint;
  /** Every byte of it is cached, as far as the index knows. */
  readonly whole: boolean;
  /** As FileMetadata.setAttributes stored them. */
  readonly attributes?: Buffer;
}

/** A file that somebody has open: until it is released, its blocks are neither culled nor flushed. */
export interface HeldFile {
  /** Whether it is still the file that was opened: nothing was wiped or invalidated, nothing has taken its place. */
  readonly current: boolean;
  /** Its blocks are culled again, as if they had just been used. At once; idempotent. */
  release(): void;
}

/** `no-space`: open files and pins would keep more from culling than they may. */
export type HoldResult =
  | { readonly kind: "held"; readonly file: HeldFile }
  | { readonly kind: "miss" }
  | Bypass;

export interface HoldOptions {
  /** From now on, for all blocks that the file has and gets while it is open; as it was unless given. See also rank. */
  readonly rank?: CullRank;
}

/** A file while it is stored. Nobody finds it before it is published, and no cull takes its blocks. */
export interface StagedFile {
  /** Stores a block of 1 to 256 KiB. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  put(block: number, bytes: Uint8Array): Promise<PutResult>;
  /**
   * From the moment this resolves the file is there under its name, whole, in place of what was, and open. After any
   * other answer it is given up. @throws {CacheError} E_ARGUMENT unless blocks were put that make up `sizeBytes`; E_CLOSED.
   */
  publish(content: {
    readonly sizeBytes: bigint;
    readonly attributes?: Uint8Array;
  }): Promise<{ readonly kind: "held"; readonly file: HeldFile } | Bypass>;
  /** Gives it up: what was put leaves nothing behind once this resolves. Idempotent; nothing after publish. */
  abandon(): Promise<void>;
}

/** What open files keep from culling. */
export interface HoldStatus {
  readonly files: number;
  /** What the slots of their blocks occupy, those of staged files included. */
  readonly bytes: number;
  /** The same of open files and pins together, and how much it may be. */
  readonly keptBytes: number;
  readonly bytesMax: number;
  /** Data put into files that are not published yet. */
  readonly stagedBytes: number;
}

export interface FileEntry {
  readonly inode: Buffer;
  readonly look: FileLook;
}

export interface FilePage {
  /** By inode; those of more than about 1900 bytes come after the others. */
  readonly files: readonly FileEntry[];
  /** There are more; go on after the inode of the last one. */
  readonly more: boolean;
}

export interface OpenFileCalls {
  readonly holds: HoldStatus;
  /** What is cached of a file, at once; undefined when nothing is, or while the cache is wiped. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  look(file: FileName): FileLook | undefined;
  /** Opens a file of which something is cached, at once. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  hold(file: FileName, options?: HoldOptions): HoldResult;
  /** Sets the rank of the blocks that a file has, at once; recency is left alone. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  rank(file: FileName, rank: CullRank): void;
  /** Begins to store a file. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  stage(file: FileName, options?: HoldOptions): StagedFile;
  /** The files of a volume that the cache knows, those without blocks too. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  files(volume: Pick<FileName, "fs" | "volume">, page?: PageOptions<NameBytes>): Promise<FilePage>;
  /**
   * Drops the least valuable blocks until no more than so much valid data is left, or nothing that may go. Their room is
   * kept for others; see cull for giving it back. @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  evict(options: {
    readonly validBytesMax: number;
  }): Promise<{ readonly blocks: number; readonly validBytes: number }>;
  /**
   * Keeps a small record of a front-end in the ledger, in place of the one of this name: durable once resolved, and no
   * wipe takes it. @throws {CacheError} E_ARGUMENT; E_LIMIT beyond NOTES_MAX; E_IO, E_CLOSED.
   */
  putNote(fs: NameBytes, name: NameBytes, value: Uint8Array): Promise<void>;
  /** @throws {CacheError} E_ARGUMENT, E_CLOSED, E_LEDGER_CORRUPT. */
  note(fs: NameBytes, name: NameBytes): Promise<Buffer | undefined>;
}
