/**
 * What a cache offers, in types alone. The library (engine/cache.ts) and the daemon's client
 * (engine/daemon/client.ts) implement the same interface, and one conformance suite runs over both.
 *
 * Absent content is a value: `miss`. Trouble on the way to content is a value too: `bypass` with a reason means
 * "go to the origin". Wrong arguments, closed handles and operations that had to take effect and did not are
 * thrown as CacheError.
 */
import type { NameBytes } from "../index/core/names.js";
import type { HealthStatus } from "./drive-health.js";
import type { LeasingCache } from "./lease-api.js";
import type { StatusCounts } from "./api-counts.js";
import type { AdminCalls } from "./admin-api.js";
import type { DirectSource } from "./direct-api.js";
import type { FsckCalls } from "./fsck-api.js";
import type { LimitOptions, Limits } from "./limits.js";
import type { WriteStatus } from "./cull/write-budget.js";
import type { TraceCalls } from "./trace-api.js";
import type { TuneCalls } from "./tune-api.js";
import type { FileMetadata } from "./metadata-api.js";
import type { TrustCalls, TrustStatus } from "./api-trust.js";
import type { HoldStatus, OpenFileCalls } from "./open-api.js";

export type * from "./api-counts.js";
export type * from "./fsck-api.js";
export type * from "./quarantine-api.js";
export type { NameBytes } from "../index/core/names.js";
export type { HealthStatus } from "./drive-health.js";
export type { Lease, LeaseOptions, LeaseResult, LeasingCache } from "./lease-api.js";
export type * from "./admin-api.js";
export type * from "./api-trust.js";
export type * from "./open-api.js";
export type * from "./direct-api.js";
export type { LimitOptions, Limits, ShareRule } from "./limits.js";
export type * from "./metadata-api.js";
export type { WriteStatus } from "./cull/write-budget.js";
export type { TraceCalls, TraceOptions, TraceState, TraceStatus } from "./trace-api.js";
export type { AdvicePoint, PolicyAdvice, TuneAdvice, TuneCalls } from "./tune-api.js";

/** Names one block: `block` is the 0-based number of a 256 KiB block, below 2^45. */
export interface Tag {
  readonly fs: NameBytes;
  readonly volume: NameBytes;
  readonly inode: NameBytes;
  readonly block: number;
}

/**
 * Why an answer is "go to the origin":
 * - `no-space`: no slot could be made free in time;
 * - `drive-full`: the drive has too little room or too few inodes left;
 * - `index-full`: the index has used up its share of the capacity;
 * - `io-error`: the drive failed;
 * - `drive-sick`: it failed several times within seconds, and is left alone until it answers well again;
 * - `write-budget`: the drive is spared: the block came for the first time, or as much was written as may be;
 * - `stale`: the content was invalidated while it was being stored, or belongs to another version than the handle;
 * - `overload`: a queue is at its limit;
 * - `closing`: the cache is being closed or wiped;
 * - `timeout`: the daemon did not answer within the client's deadline;
 * - `unavailable`: no daemon answers.
 */
export type BypassReason =
  | "no-space"
  | "drive-full"
  | "index-full"
  | "io-error"
  | "drive-sick"
  | "write-budget"
  | "stale"
  | "overload"
  | "closing"
  | "timeout"
  | "unavailable";

export interface Bypass {
  readonly kind: "bypass";
  readonly reason: BypassReason;
}

export interface GetOptions {
  /** First byte wanted, within the block; 0 unless given. */
  readonly offsetBytes?: number;
  /** How many bytes; to the end of the block unless given. */
  readonly lengthBytes?: number;
  /** Where the bytes go, from its start; a fresh buffer unless given. It must hold what is asked for (256 KiB if nothing is). */
  readonly into?: Uint8Array;
}

/** `bytes` may be shorter than asked for, empty even, where the block ends. */
export type GetResult = { readonly kind: "hit"; readonly bytes: Buffer } | { readonly kind: "miss" } | Bypass;

export type PutResult = { readonly kind: "stored" } | Bypass;

/** Bytes [offsetBytes, offsetBytes + lengthBytes) of a file. */
export interface ByteRange {
  readonly offsetBytes: bigint;
  readonly lengthBytes: number;
}

export interface FileReadResult {
  /** As long as asked for, cut at the end of the file; bytes inside `missing` are zero and mean nothing. */
  readonly bytes: Buffer;
  /** What is not cached, ascending, disjoint, not adjacent. Empty on a full hit. */
  readonly missing: readonly ByteRange[];
  /** Set when trouble rather than absence is behind `missing`. */
  readonly bypass?: BypassReason;
}

export interface FileWriteResult {
  /** What was stored, ascending. The rest was not; what was cached there before still is. */
  readonly stored: readonly ByteRange[];
  /** Set when trouble rather than the shape of the range kept something from being stored. */
  readonly bypass?: BypassReason;
}

export interface AcquireVolumeOptions {
  /** Opaque; when it differs from what is stored, everything cached of the volume is invalidated in this call. */
  readonly coherency?: Uint8Array;
}

export interface AcquireCookieOptions {
  /** Opaque; when it differs from what is stored, everything cached of the file is invalidated in this call. */
  readonly coherency?: Uint8Array;
  /** Size of the file, 0 to 2^63 - 1. Kept as it was unless given; 0 for a file not seen before. */
  readonly sizeBytes?: bigint;
}

/** How an acquired handle found the cache: `found` with matching coherency data, `created`, or `invalidated` by a mismatch. */
export type AcquireOutcome = "found" | "created" | "invalidated";

/**
 * A handle on (fs, volume), as fscache's volume. Several handles on one volume may be held at a time. The coherency
 * data of the last acquire stands: reads and writes through handles that were acquired with other data answer `stale`.
 */
export interface VolumeHandle {
  readonly outcome: AcquireOutcome;
  acquireCookie(inode: NameBytes, options?: AcquireCookieOptions): Promise<CookieHandle>;
  /** From the moment this resolves no reader gets content of this volume that was stored before. */
  invalidate(): Promise<void>;
  /**
   * Gives the handle up; its cookies end with it. `coherency` is stored for the next acquire; `invalidate` drops the content. After a
   * wipe there is nothing left of either, and the handle is given up all the same.
   */
  relinquish(options?: { readonly coherency?: Uint8Array; readonly invalidate?: boolean }): Promise<void>;
}

/** A handle on (fs, volume, inode), as fscache's cookie; what a volume handle says of coherency data holds here too. Its blocks are those that a Tag with the same names means. */
export interface CookieHandle {
  readonly outcome: AcquireOutcome;
  /** Attributes, link target, extended attributes and directory entries. */
  readonly metadata: FileMetadata;
  /** Size of the file as this handle knows it. */
  readonly sizeBytes: bigint;
  /**
   * Reads a byte range; at most READ_BYTES_MAX at once. What is missing is told in whole pages, cut to what was asked for.
   * All bytes are of one moment: an invalidation meanwhile leaves everything missing, with the reason `stale`.
   */
  read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult>;
  /**
   * Stores a byte range; at most WRITE_BYTES_MAX at once. Presence is kept by pages of 4 KiB: of a page that the range
   * covers in part nothing is stored, unless the rest of it is cached, known to be zero, or past the end of the file. What
   * lies past the end is not stored; see resize.
   */
  write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult>;
  /**
   * Notes that a byte range is zero (a hole, or one that was punched): it takes no room, and reads of it are hits. At most
   * ZERO_BYTES_MAX at once; pages that it covers in part are treated as in write.
   */
  zero(offsetBytes: bigint, lengthBytes: number): Promise<FileWriteResult>;
  /**
   * The file has another size. Of a shorter one, nothing past its end is there any more once this resolves; what a longer one
   * gained is not cached. Readers through other handles see the size too. @throws {CacheError} E_STALE, E_ARGUMENT, E_CLOSED.
   */
  resize(sizeBytes: bigint): Promise<void>;
  /**
   * From the moment this resolves no reader gets what was stored before in the range, in whole pages. Costs the same for
   * any length. @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  invalidateRange(offsetBytes: bigint, lengthBytes: bigint): Promise<void>;
  /** From the moment this resolves no reader gets content of this file that was stored before. New coherency data and size may be set with it. */
  invalidate(options?: AcquireCookieOptions): Promise<void>;
  /** Gives the handle up. `coherency` is stored for the next acquire; `retire` drops the file's content with it. After a wipe as above. */
  relinquish(options?: { readonly coherency?: Uint8Array; readonly retire?: boolean }): Promise<void>;
}

/** What one call of CookieHandle.read or write may carry. */
export const READ_BYTES_MAX = 4 * 1024 * 1024;
export const WRITE_BYTES_MAX = 4 * 1024 * 1024;
/** What one call of CookieHandle.zero may name: 4096 blocks. */
export const ZERO_BYTES_MAX = 1024 ** 3;

/** What is invalidated: a file system, a volume of it, a file of that, or a byte range of the file. */
export interface InvalidateTarget {
  readonly fs: NameBytes;
  readonly volume?: NameBytes;
  readonly inode?: NameBytes;
  readonly range?: { readonly offsetBytes: bigint; readonly lengthBytes: bigint };
}

export interface StartReport {
  /** `new`: the directory was empty; `upgrade`: it was written by an older version. */
  readonly kind: "new" | "clean" | "unclean" | "upgrade";
  /** `verify`: everything was kept after an unclean end, and counts as far as it passes its checks. */
  readonly action: "none" | "wipe" | "verify";
  /** From the call of openCache to a cache that answers. */
  readonly ms: number;
  /** Why the content was wiped, in words; absent when it was not. */
  readonly reason?: string;
}

/** What `cull` did. */
export interface CullReport {
  /** Blocks that went. */
  readonly blocks: number;
  /** Given back to the drive. */
  readonly bytes: number;
  /** What the slot files occupy now. */
  readonly usedBytes: number;
}

/** The drive under the cache, in bytes and in inodes, as it was at the last look (a second ago at most). */
export interface DriveStatus {
  /** `culling` from below *cull* until above *run*; `stopped` below *stop*, or after the drive refused to allocate. */
  readonly state: "ok" | "culling" | "stopped";
  readonly totalBytes: number;
  readonly availableBytes: number;
  /** 0 where the file system has no fixed number of them. */
  readonly totalInodes: number;
  readonly availableInodes: number;
}

/** How a share of the capacity is used. Names are written as nameText writes them. */
export interface ShareStatus {
  readonly fs: string;
  readonly volume?: string;
  readonly minBytes?: number;
  readonly maxBytes?: number;
  readonly usedBytes: number;
}

export interface CacheStatus extends StatusCounts {
  readonly state: "running" | "closing";
  readonly pid: number;
  readonly version: string;
  readonly uptimeSeconds: number;
  /** Hexadecimal; the same for as long as the ledger lives. */
  readonly cacheId: string;
  readonly epoch: number;
  /** Another number after every invalidation and wipe: while it is the same, what was valid is. */
  readonly invalidation: number;
  readonly policy: string;
  readonly directory: string;
  readonly capacityBytes: number;
  /** What the slot files occupy: the sum of their high-water marks in 4 KiB pages. */
  readonly usedBytes: number;
  /** How much of that is valid data. */
  readonly validBytes: number;
  /** Index and ledger files. usedBytes + indexBytes never exceed capacityBytes. */
  readonly indexBytes: number;
  readonly indexBytesMax: number;
  readonly slots: {
    /** Slots that exist; at most slotsMax. */
    readonly total: number;
    readonly used: number;
    readonly free: number;
    readonly quarantined: number;
    /** Left by an unclean end and not looked at yet; 0 soon after a start. */
    readonly unknown: number;
  };
  readonly slotsMax: number;
  /** What is to be kept ready for writers at their present rate. */
  readonly headroom: { readonly slots: number; readonly bytes: number };
  readonly drive: DriveStatus;
  /** Whether the drive is fit to be used, and the numbers by which that is told. */
  readonly health: HealthStatus;
  readonly shares: readonly ShareStatus[];
  /** Fill leases that are out, callers that wait for one of them, and how many were given since the start or the last wipe. */
  readonly leases: { readonly held: number; readonly waiting: number; readonly given: number };
  readonly hits: number;
  readonly misses: number;
  readonly puts: number;
  readonly culled: number;
  /** Looks at least valuable blocks that could not go; `pinned`: looks that found nothing but pinned ones left. */
  readonly notCulled: { readonly inUse: number; readonly pinned: number };
  /** Pins, what the slots of their blocks occupy that they keep from culling, and how much that may be. */
  readonly pins: { readonly count: number; readonly bytes: number; readonly bytesMax: number };
  readonly holds: HoldStatus;
  /** What the drive had to take, and what it was spared. */
  readonly writes: WriteStatus;
  readonly corrupt: number;
  readonly bypassed: Readonly<Partial<Record<BypassReason, number>>>;
  readonly start: StartReport;
  readonly trust: TrustStatus;
}

export interface BlockCache extends AdminCalls, LeasingCache, TrustCalls {
  /**
   * Reads a block, or a range of it; a hit refreshes its recency. Every byte returned was checked against the checksum
   * that was stored with it.
   * @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  get(tag: Tag, options?: GetOptions): Promise<GetResult>;
  /**
   * Stores a block of 1 to 256 KiB, in place of what was stored under the tag. Resolves when the bytes are in their slot
   * and every later call sees them; they survive a clean stop. `bytes` must not change until then.
   * @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  put(tag: Tag, bytes: Uint8Array): Promise<PutResult>;
  /** Whether a get of the whole block would hit, as far as the index knows; recency is left alone. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  has(tag: Tag): Promise<boolean>;
  /** Drops a block; true if it was there. Resolves after its commit. @throws {CacheError} E_ARGUMENT, E_CLOSED, and E_TIMEOUT or E_UNAVAILABLE from a client. */
  remove(tag: Tag): Promise<boolean>;
  /**
   * From the moment this resolves no reader gets content of the target that was stored before, and nothing that is being
   * stored now is published. Costs the same for any amount. Handles stay as they are. @throws {CacheError} E_ARGUMENT,
   * E_CLOSED, and E_TIMEOUT or E_UNAVAILABLE from a client.
   */
  invalidate(target: InvalidateTarget): Promise<void>;
  /** @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  acquireVolume(fs: NameBytes, volume: NameBytes, options?: AcquireVolumeOptions): Promise<VolumeHandle>;
  status(): Promise<CacheStatus>;
  /**
   * Drops the least valuable blocks until the slot files occupy no more than `usedBytesMax`, and gives their bytes back to
   * the drive before it resolves. The capacity stays as it is. @throws {CacheError} E_ARGUMENT, E_CLOSED; E_NO_SPACE when
   * what is in use keeps it from getting there.
   */
  cull(options: { readonly usedBytesMax: number }): Promise<CullReport>;
  /** Forgets everything cached, at once, whatever its amount: a new epoch begins. Handles end with E_STALE. */
  wipe(): Promise<void>;
  /** Ends the cache, or the client's connection. Idempotent; every call after it fails with E_CLOSED. */
  close(): Promise<void>;
}

/** A cache in the process that owns it. */
export interface OwnedCache extends BlockCache, OpenFileCalls, TraceCalls, TuneCalls {
  readonly fsck: FsckCalls;
  /** What is offered to readers in other processes; absent unless asked for at open. */
  readonly direct: DirectSource | undefined;
  /** The limits as they stand. */
  readonly limits: Limits;
  /**
   * Puts other limits in place of all that stand; what is absent goes back to its default. Nothing is changed if they are
   * refused. More room counts at once; where there is less, the promise resolves when what exists fits and the rest is
   * given back to the drive. @throws {CacheError} E_CONFIG, E_CLOSED; E_NO_SPACE as cull: the limits then stand all the same.
   */
  configure(options: LimitOptions): Promise<Limits>;
}
