/** What checks a cache as a whole, and tells what it found. Types and limits, as api.ts. */
import type { QuarantineCalls } from "./quarantine-api.js";

/**
 * What fsck finds; codes stay the same from version to version.
 * - `unclean`, `checkpoint-damaged`, `checkpoint-foreign`, `index-corrupt`, `index-other-commit`: the next start wipes;
 * - `ledger-foreign`: the next start is refused, for the ledger belongs to another cache;
 * - `ledger-state`: ledger and cache disagree on the epoch, or on how the cache is owned;
 * - `ledger-corrupt`: a record of the ledger does not read back;
 * - `volume-corrupt`, `object-corrupt`: the record of a file system or volume, or of a file, does not read back, or has a
 *   number that none can have;
 * - `object-orphan`: a file of a volume that no record names;
 * - `object-twice`: two names have one object id;
 * - `object-count`: there are more or fewer records of files than are counted;
 * - `metadata-corrupt`: a metadata record does not read back, or has a number that none can have;
 * - `metadata-orphan`: metadata of a file that is not known;
 * - `entry-corrupt`: an entry does not read back, or has a generation or size that it can't have;
 * - `entry-slot`: an entry names a slot that is not its own, nor may become so;
 * - `slot-twice`: two entries name one slot;
 * - `slot-orphan`: a used slot that no entry names;
 * - `slot-missing`: a used or free slot without a file;
 * - `slot-kind`: the file is no plain file with one name and at most 256 KiB;
 * - `slot-short`, `slot-unreadable`, `checksum`: the file ends before the valid bytes do, can't be read, or has other bytes
 *   than were stored;
 * - `slot-accounting`: the file occupies more than is counted for it;
 * - `slot-stray`: a file that belongs to no slot;
 * - `slot-count`: the sums over all slots are not what the slots give;
 * - `recency`: a used slot that is not exactly once in the order of use, or one that is there and not used;
 * - `free-list`: the same of free slots and the lists they are taken from.
 */
export const FINDING_CODES = [
  "unclean",
  "checkpoint-damaged",
  "checkpoint-foreign",
  "index-corrupt",
  "index-other-commit",
  "ledger-foreign",
  "ledger-state",
  "ledger-corrupt",
  "volume-corrupt",
  "object-corrupt",
  "object-orphan",
  "object-twice",
  "object-count",
  "metadata-corrupt",
  "metadata-orphan",
  "entry-corrupt",
  "entry-slot",
  "slot-twice",
  "slot-orphan",
  "slot-missing",
  "slot-kind",
  "slot-short",
  "slot-unreadable",
  "checksum",
  "slot-accounting",
  "slot-stray",
  "slot-count",
  "recency",
  "free-list",
] as const;
export type FindingCode = (typeof FINDING_CODES)[number];

/** What fsck found, one thing each. */
export interface FsckFinding {
  readonly code: FindingCode;
  /** One line. */
  readonly message: string;
  readonly slot?: number;
  /** What was done about it; absent when nothing was. */
  readonly repaired?: string;
}

export interface FsckCounts {
  /** Slots whose file should exist. */
  readonly slots: number;
  readonly used: number;
  readonly free: number;
  readonly quarantined: number;
  readonly volumes: number;
  readonly objects: number;
  readonly entries: number;
  /** Entries of blocks that are known to be zero and have no slot. */
  readonly zeroBlocks: number;
  /** Entries that have not claimed their slots yet, after an unclean end whose survey was cut short. */
  readonly unclaimed: number;
  /** Entries of files that no record names: what was being dropped when a session ended. Nobody finds them, and culling takes them. */
  readonly unnamed: number;
  readonly metadata: number;
  readonly pins: number;
  readonly notes: number;
  /** Read by a deep check. */
  readonly blocksChecked: number;
  readonly bytesChecked: number;
  /** What slot files are counted as, and what the file system says that they occupy. */
  readonly countedBytes: number;
  readonly allocatedBytes: number;
}

export const NO_COUNTS: FsckCounts = {
  slots: 0,
  used: 0,
  free: 0,
  quarantined: 0,
  volumes: 0,
  objects: 0,
  entries: 0,
  zeroBlocks: 0,
  unclaimed: 0,
  unnamed: 0,
  metadata: 0,
  pins: 0,
  notes: 0,
  blocksChecked: 0,
  bytesChecked: 0,
  countedBytes: 0,
  allocatedBytes: 0,
};

export const FSCK_PHASES = ["ledger", "names", "metadata", "entries", "slots", "files", "counts"] as const;
export type FsckPhase = (typeof FSCK_PHASES)[number];

export interface FsckProgress {
  readonly phase: FsckPhase;
  /** Of this phase; `total` is 0 where nobody knows it. */
  readonly done: number;
  readonly total: number;
  /** Read so far. */
  readonly bytes: number;
}

export interface FsckOptions {
  /** Reads every byte and checks it against its checksum. */
  readonly deep?: boolean;
  /**
   * Mends what is found: drops entries and records, sets slots free, aside, or out of use for good. Nothing is made up, and nothing
   * that the ledger holds is touched.
   */
  readonly repair?: boolean;
  /** 64 KiB or more, read a second at most, a slot that is only looked at counting 4 KiB; 32 MiB unless given if deep, else as fast as others allow. */
  readonly bytesPerSecond?: number;
}

export interface FsckReport {
  /** At most FINDINGS_KEPT_MAX of them. */
  readonly findings: readonly FsckFinding[];
  /** Of all findings. */
  readonly found: number;
  readonly repaired: number;
  readonly foundByCode: Readonly<Partial<Record<FindingCode, number>>>;
  readonly counts: FsckCounts;
  readonly clean: boolean;
}

export const FSCK_STATES = ["none", "running", "done", "stopped", "failed"] as const;

/** A check under way, or the last one. */
export interface FsckStatus extends FsckReport {
  /** Of the check, from 1; 0 when there was none. */
  readonly id: number;
  readonly state: (typeof FSCK_STATES)[number];
  readonly deep: boolean;
  readonly repair: boolean;

  /** Why it ended before its end; in states `stopped` and `failed`. */
  readonly reason?: string;
  readonly progress: FsckProgress;
}

/** Findings that one check remembers; more are counted. */
export const FINDINGS_KEPT_MAX = 10_000;
/** A longer message is cut. */
export const FINDING_CHARACTERS_MAX = 300;
/** Findings that one status carries. */
export const FINDINGS_A_STATUS_MAX = 100;
export const FSCK_BYTES_PER_SECOND = 32 * 1024 * 1024;
export const FSCK_BYTES_PER_SECOND_MIN = 64 * 1024;
/** A check that nobody asks after for so long is given up. */
export const FSCK_ABANDONED_MS = 60_000;

/**
 * Checks an open cache beside its service. What is told is so: whatever may have been on its way is looked at again in one
 * moment, under the order in which the cache itself changes.
 */
export interface FsckCalls {
  /** Slots that were set aside. */
  readonly quarantine: QuarantineCalls;
  /** Begins a check; one at a time. @throws {CacheError} E_ARGUMENT, E_CLOSED; E_BUSY while one runs. */
  start(options?: FsckOptions): Promise<FsckStatus>;
  /** How far it is, with findings from number `after` on, FINDINGS_A_STATUS_MAX at most. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  status(options?: { readonly after?: number }): Promise<FsckStatus>;
  /** Ends the check that runs, resolves when it has ended. @throws {CacheError} E_CLOSED. */
  stop(): Promise<FsckStatus>;
}
