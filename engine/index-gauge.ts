/** How much of its share the index uses. LMDB files never shrink, so pages in use are watched, before the file is full. */
import type { BlockIndex } from "../index/block-index.js";

/** Above this part of the share blocks are culled for the index's sake, above the other nothing more is stored. */
const PRESSED_PART = 0.75;
const FULL_PART = 0.9;
const LOOK_EVERY_MS = 50;
/** What a change that is not committed yet may add, in bytes: a full entry, its key and its part of a page. */
const CHANGE_BYTES = 256;

export class IndexGauge {
  readonly #index: () => BlockIndex;
  readonly #bytesMax: number;
  readonly #otherBytes: () => number;
  readonly #now: () => number;
  #committedBytes: number | undefined;
  #lookedMs = 0;

  /** @param otherBytes what shares the index's part of the capacity: the ledger. */
  constructor(options: {
    index: () => BlockIndex;
    bytesMax: number;
    otherBytes: () => number;
    now: () => number;
  }) {
    this.#index = options.index;
    this.#bytesMax = options.bytesMax;
    this.#otherBytes = options.otherBytes;
    this.#now = options.now;
  }

  /** Files of index and ledger, as they are now. */
  fileBytes(): number {
    return this.#index().stats().fileBytes + this.#otherBytes();
  }

  pressed(): boolean {
    return this.#usedBytes() > this.#bytesMax * PRESSED_PART;
  }

  full(): boolean {
    return this.#usedBytes() > this.#bytesMax * FULL_PART;
  }

  /** After a wipe the old figures mean nothing. */
  reset(): void {
    this.#committedBytes = undefined;
  }

  #usedBytes(): number {
    const now = this.#now();
    if (this.#committedBytes === undefined || now - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#committedBytes = this.#index().stats().usedBytes + this.#otherBytes();
      this.#lookedMs = now;
    }
    return this.#committedBytes + this.#index().queuedChanges * CHANGE_BYTES;
  }
}
