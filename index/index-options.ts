/** What an index is opened with. */
import type { IndexTable } from "./batch.js";
import type { Regime, Store } from "./environment.js";

export interface BlockIndexOptions {
  readonly directory: string;
  /** Address space set aside for the map; LMDB grows it by itself when it does not suffice. */
  readonly mapBytes: number;
  /** 16 bytes. */
  readonly cacheId: Buffer;
  readonly epoch: number;
  /** Makes the index if there is none. */
  readonly create: boolean;
  /** How commits reach the drive; `volatile` unless given. */
  readonly regime?: Exclude<Regime, "durable">;
  readonly commitDelayMs?: number;
  /** After how long a commit in flight fails those who wait for it. */
  readonly commitMsMax?: number;
  /** Puts something between the index and its environment: tests make commits fail with it. */
  readonly wrapStore?: (store: Store<IndexTable>) => Store<IndexTable>;
}
