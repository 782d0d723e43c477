/** What the cache knows of other sizes and policies from its own traffic, in types alone, as api.ts. */
import type { PolicyName } from "./policy-names.js";

/** Of traffic since the start, of which what is older counts less. Uses are hits, and misses that were filled. */
export interface TuneAdvice {
  readonly policy: PolicyName;
  /** Blocks that have room, going by the size of those that are there. */
  readonly capacityBlocks: number;
  /** What one of them takes. */
  readonly blockBytes: number;
  readonly uses: number;
  /** Blocks that are watched, and the part of all blocks that they stand for, 0 to 1. Few of them say little. */
  readonly sampledBlocks: number;
  readonly sampleRate: number;
  /** What an LRU cache of each size would have missed of the uses. */
  readonly curve: readonly AdvicePoint[];
  /** The policy that runs: at half, once and double the capacity, in this order. */
  readonly sizes: readonly AdvicePoint[];
  /** Every policy at the present capacity, the one that would have hit most first. */
  readonly policies: readonly PolicyAdvice[];
  /** Blocks culled since the start; of them, those never hit since they were stored. */
  readonly culled: number;
  readonly culledUnused: number;
}

export interface AdvicePoint {
  readonly capacityBlocks: number;
  /** 0 to 1. */
  readonly missRatio: number;
}

export interface PolicyAdvice {
  readonly policy: PolicyName;
  /** 0 to 1. */
  readonly missRatio: number;
}

export interface TuneCalls {
  /** What other sizes and policies would have brought. @throws {CacheError} E_CLOSED; E_OPERATION where nothing is watched. */
  tuneAdvice(): Promise<TuneAdvice>;
}
