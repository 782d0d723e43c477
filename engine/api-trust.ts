/** What tells how far the content of a cache can be trusted, and what checks it. In types alone, as api.ts. */

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

/** 0 stops a scrub that runs. */
export interface ScrubOptions {
  /** 1 MiB or more; 32 MiB unless given. */
  readonly bytesPerSecond?: number;
}
