/** What a cache counts, in types alone: the part of its status that grows with use. All counts are of this session. */
import type { AcquireOutcome } from "./api.js";

/** What was asked of a volume, or of several. */
export interface VolumeCounts {
  readonly hits: number;
  readonly misses: number;
  readonly puts: number;
  /** Bytes that hits returned. */
  readonly bytesHit: number;
  /** Bytes that puts stored. */
  readonly bytesStored: number;
  /** Valid data that is cached now. Absent for the seconds after a start in which it is being counted. */
  readonly cachedBytes?: number;
}

/** Names are written as nameText writes them; long ones are cut, and end in a part of their digest. */
export interface VolumeStatus extends VolumeCounts {
  readonly fs: string;
  readonly volume: string;
}

export interface CacheCounters {
  readonly bytesHit: number;
  readonly bytesStored: number;
  /** Of the hits, those of clients that read slot files themselves; they are told within a second. */
  readonly directHits: number;
  /** Slots read on the thread pool, as their bytes were not likely to be in memory; other hits are read in the event loop. */
  readonly readsAside: number;
  readonly slotWrites: number;
  /** Slots that the drive could not read or write. */
  readonly ioErrors: { readonly read: number; readonly write: number };
  readonly volumeAcquires: Readonly<Record<AcquireOutcome, number>>;
  readonly cookieAcquires: Readonly<Record<AcquireOutcome, number>>;
  /** Calls of invalidate. What a mismatch at acquire invalidated is in the acquires. */
  readonly invalidations: { readonly volumes: number; readonly cookies: number };
  readonly relinquishes: { readonly volumes: number; readonly cookies: number; readonly retired: number };
  /** Coherency data or a size that a handle put in place of what stood. */
  readonly updates: number;
  readonly commits: number;
  readonly commitFailures: number;
  /** Valid bytes of culled blocks. */
  readonly culledBytes: number;
  /** Invalidated blocks whose slots were taken back in the background. */
  readonly reclaimed: number;
}

/** Files with a record in the index; files and volumes held in memory. */
export interface NameStatus {
  readonly objectsKnown: number;
  readonly objectsLoaded: number;
  readonly volumesLoaded: number;
}

/**
 * How long something took:
 * - `hit`, `miss`: reading a block; one in 16 is timed;
 * - `put`: storing a whole block, from the call to its answer;
 * - `commit`: a group of index changes;
 * - `cullSlice`: up to 64 victims, from their choice to the commit that frees them.
 */
export const LATENCY_NAMES = ["hit", "miss", "put", "commit", "cullSlice"] as const;
export type LatencyName = (typeof LATENCY_NAMES)[number];

/** A histogram of durations in milliseconds. */
export interface LatencyStatus {
  readonly count: number;
  readonly sumMs: number;
  /** Upper bounds, ascending, each twice the last; above the last one there is one bucket more. */
  readonly boundsMs: readonly number[];
  /** How many lie in each bucket, the bound included: one number more than there are bounds. */
  readonly counts: readonly number[];
}

/** What CacheStatus has of all this. */
export interface StatusCounts {
  /** hits / (hits + misses), 0 to 1; absent before the first of them. */
  readonly hitRatio?: number;
  readonly counters: CacheCounters;
  readonly names: NameStatus;
  readonly latencies: Readonly<Record<LatencyName, LatencyStatus>>;
  /**
   * The volumes with the most hits, misses and puts, busiest first, VOLUMES_MAX at most. Counts begin when a volume is
   * loaded; those of a volume that leaves memory, long unused, or of before a wipe, are in `otherVolumes`.
   */
  readonly volumes: readonly VolumeStatus[];
  readonly otherVolumes: VolumeCounts;
}

/** Volumes that a status names. */
export const VOLUMES_MAX = 20;
