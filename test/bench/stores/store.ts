/** What every contestant of the benchmark can do: blocks of up to 256 KiB under whole numbers. */

import type { BlockCache } from "../../../engine/cache.js";

/** One open store, or one client of it. Synchronous where the store is: a promise costs as much as a read of 4 KiB. */
export interface Store {
  readonly name: string;
  /** Stores a block, whether it was there or not. */
  put(index: number, bytes: Buffer): void | Promise<void>;
  /** Reads a whole block into `into`, from its start. @returns false when it is not there. */
  get(index: number, into: Buffer): boolean | Promise<boolean>;
  /** Reads as many bytes as `into` has, from `offsetBytes` on. @returns false when the block is not there. */
  range(index: number, offsetBytes: number, into: Buffer): boolean | Promise<boolean>;
  close(): void | Promise<void>;
  /** It may drop what it holds at any time: then a hit that turns out a miss counts as any other. */
  readonly lossy?: true;
  /** Of tagcache: its calls without what this interface puts over them. */
  readonly cache?: BlockCache;
}
