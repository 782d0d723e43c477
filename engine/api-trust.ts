/** What tells how far the content of a cache can be trusted, and what checks it. Types and limits, as api.ts. */

export interface ScrubStatus {
  readonly state: "idle" | "running";
  /** Of the scrub that runs, or of the last one. */
  readonly blocks: number;
  readonly bytes: number;
  /** Blocks that were dropped because their bytes were not what was stored. */
  readonly corrupt: number;
  readonly bytesPerSecond: number;
}

export interface TrustStatus {
  /** What is done after an unclean end. */
  readonly onUnclean: "wipe" | "verify";
  /** Slots are still being told from the index. */
  readonly surveying: boolean;
  /** Blocks of before an unclean end that nobody has checked since: each is a hit or a miss once it is asked for. */
  readonly uncheckedBlocks: number;
  readonly scrub: ScrubStatus;
}

/** Of the drive, unless told otherwise. */
export const SCRUB_BYTES_PER_SECOND = 32 * 1024 * 1024;
/** A scrub that is slower would have no end. */
export const SCRUB_BYTES_PER_SECOND_MIN = 1024 * 1024;

export interface ScrubOptions {
  /** 1 MiB or more, 32 MiB unless given; 0 ends the scrub that runs. */
  readonly bytesPerSecond?: number;
}

export interface TrustCalls {
  /**
   * Begins to check every cached block in the background, at no more than so many bytes a second, in place of a scrub that
   * runs; resolves at once. What is not what was stored is dropped. status() tells how far it is. @throws {CacheError}
   * E_ARGUMENT, E_CLOSED.
   */
  scrub(options?: ScrubOptions): Promise<void>;
}
