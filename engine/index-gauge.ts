/** How much of its share the index uses. LMDB files never shrink, so pages in use are watched, before the file is full. */
import type { BlockIndex } from "../index/block-index.js";

/** Above the first part of the share blocks are culled for the index's sake, above the second nothing more is stored. */
const PRESSED_PART = 0.75;
const FULL_PART = 0.9;
/** The same when the file has all but reached its share: then half of it has to be free pages, so that it need not grow. */
const FILE_PART = 0.9;
/** A commit or two may need so many bytes of new pages, however small the share. */
const FILE_SLACK_BYTES = 384 * 1024;
const PRESSED_PART_THEN = 0.4;
const FULL_PART_THEN = 0.5;
const LOOK_EVERY_MS = 50;
/** What a change that is not committed yet may add, in bytes: a full entry, its key and its part of a page. */
const CHANGE_BYTES = 256;

export class IndexGauge {
  readonly #index: () => BlockIndex;
  readonly #bytesMax: () => number;
  readonly #otherBytes: () => number;
  readonly #now: () => number;
  readonly #onTrouble: (message: string, error: unknown) => void;
  #committed: { readonly usedBytes: number; readonly fileBytes: number } | undefined;
  #lookedMs = 0;
  #fileBytesSeen = 0;
  /** Noted since the last look, and between the last two. */
  #notedBytes = 0;
  #notedBefore = 0;

  /** @param otherBytes what shares the index's part of the capacity: the ledger. */
  constructor(options: {
    index: () => BlockIndex;
    bytesMax: () => number;
    otherBytes: () => number;
    now: () => number;
    onTrouble: (message: string, error: unknown) => void;
  }) {
    this.#index = options.index;
    this.#bytesMax = options.bytesMax;
    this.#otherBytes = options.otherBytes;
    this.#now = options.now;
    this.#onTrouble = options.onTrouble;
  }

  /** Files of index and ledger, as they are now. */
  fileBytes(): number {
    return this.#index().stats().fileBytes + this.#otherBytes();
  }

  /** The same as it was at the last look. */
  fileBytesSeen(): number {
    return this.#fileBytesSeen;
  }

  pressed(): boolean {
    const { usedBytes, fileBytes } = this.#look();
    const part = this.#tight(fileBytes) ? PRESSED_PART_THEN : PRESSED_PART;
    return usedBytes > this.#bytesMax() * part;
  }

  full(): boolean {
    const { usedBytes, fileBytes } = this.#look();
    const part = this.#tight(fileBytes) ? FULL_PART_THEN : FULL_PART;
    return usedBytes > this.#bytesMax() * part;
  }

  #tight(fileBytes: number): boolean {
    return fileBytes > Math.min(this.#bytesMax() * FILE_PART, this.#bytesMax() - FILE_SLACK_BYTES);
  }

  /** After a wipe the old figures mean nothing. */
  reset(): void {
    this.#committed = undefined;
  }

  /** A record of so many bytes is about to be written; it counts until a look can have seen it. */
  noteRecord(bytes: number): void {
    this.#notedBytes += bytes;
  }

  #look(): { usedBytes: number; fileBytes: number } {
    const now = this.#now();
    if (this.#committed === undefined || now - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = now;
      this.#refresh();
    }
    // Nothing is known before the first look went well: then nothing is stored.
    const { usedBytes, fileBytes } = this.#committed ?? {
      usedBytes: this.#bytesMax(),
      fileBytes: this.#bytesMax(),
    };
    const comingBytes = this.#index().queuedChanges * CHANGE_BYTES + this.#notedBytes + this.#notedBefore;
    return {
      usedBytes: usedBytes + comingBytes,
      fileBytes: fileBytes + this.#notedBytes + this.#notedBefore,
    };
  }

  #refresh(): void {
    try {
      const { usedBytes, fileBytes } = this.#index().stats();
      const otherBytes = this.#otherBytes();
      this.#committed = { usedBytes: usedBytes + otherBytes, fileBytes: fileBytes + otherBytes };
      this.#fileBytesSeen = this.#committed.fileBytes;
      this.#notedBefore = this.#notedBytes;
      this.#notedBytes = 0;
    } catch (error) {
      // The old figures stand; whoever reads or writes will meet the trouble and count it.
      this.#onTrouble("the size of the index could not be read", error);
    }
  }
}
