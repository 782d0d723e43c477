/**
 * Guesses whether a slot's bytes are in the page cache. A likely one is read on the spot (some 40 µs for 256 KiB), the
 * others on the thread pool (some 95 µs), so that the event loop never waits for the drive.
 *
 * A slot counts as likely if it was read or written in this session and less than half of the memory that was available
 * has been read and written since. Of the others, which may have been read by another process or before a restart, the
 * last ones tell: as long as reads of such slots have not made the process read from the drive, the next is likely too.
 * Likely reads that turn out slow switch the guess off for a while, if the drive was read meanwhile: on a busy machine a
 * process that has to wait for the processor takes as long.
 */
import os from "node:os";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { grown } from "./slot-table.js";

const MEMORY_SHARE = 0.5;
const MEMORY_LOOK_PAGES = 64 * 1024;
/** A read on the spot that takes this long was not in memory. */
const SLOW_MS = 50;
const SLOW_PAUSE_MS = 60_000;
/** So many reads of slots that nothing is known of, over so long, must have come from memory before the next is likely. */
const UNKNOWN_READS = 32;
const UNKNOWN_MS = 20;

export class HotSlots {
  readonly #now: () => number;
  readonly #availableBytes: () => number;
  /** The page clock at each slot's last use; 0 before the first. Wraps after 16 TiB, and then guesses wrong at worst. */
  #usedAt = new Uint32Array(0);
  #clock = 1;
  #windowPages = 0;
  #lookAt = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  readonly #driveReads: () => number | undefined;
  #driveReadsSeen: number | undefined;
  /** Reads of slots that nothing is known of since the drive was read, the count by which that was seen, and the first. */
  readonly #unknown = { reads: 0, driveReads: -1, sinceMs: 0 };

  /** @param options.driveReads how often the process has read from the drive, where that is known. */
  constructor(options: {
    now: () => number;
    availableBytes?: () => number;
    driveReads: () => number | undefined;
  }) {
    this.#now = options.now;
    this.#driveReads = options.driveReads;
    this.#availableBytes = options.availableBytes ?? availableMemory;
  }

  noteUse(slot: number, pages: number): void {
    if (slot >= this.#usedAt.length) {
      this.#usedAt = grown(
        this.#usedAt,
        new Uint32Array(Math.max(slot + 1, 1024, Math.floor(this.#usedAt.length * 1.5))),
      );
    }
    this.#clock = (this.#clock + pages) >>> 0;
    this.#usedAt[slot] = this.#clock;
  }

  likely(slot: number): boolean {
    if (this.#pausedUntilMs >= 0 && this.#now() < this.#pausedUntilMs) return false;
    const usedAt = slot < this.#usedAt.length ? (this.#usedAt[slot] as number) : 0;
    if (usedAt === 0) return this.#areUnknownLikely();
    if (this.#windowPages === 0 || (this.#clock - this.#lookAt) >>> 0 > MEMORY_LOOK_PAGES) this.#look();
    return (this.#clock - usedAt) >>> 0 < this.#windowPages || this.#areUnknownLikely();
  }

  /** To be asked once for every such read: the one that went to the drive is seen when the next is asked for. */
  #areUnknownLikely(): boolean {
    const unknown = this.#unknown;
    const driveReads = this.#driveReads();
    if (driveReads === undefined) return false;
    if (driveReads !== unknown.driveReads) {
      unknown.driveReads = driveReads;
      unknown.reads = 0;
    }
    unknown.reads += 1;
    if (unknown.reads === 1) unknown.sinceMs = this.#now();
    return unknown.reads > UNKNOWN_READS && this.#now() - unknown.sinceMs > UNKNOWN_MS;
  }

  /** To be told how long a read on the spot took. */
  took(ms: number): void {
    if (ms <= SLOW_MS) return;
    const before = this.#driveReadsSeen;
    this.#driveReadsSeen = this.#driveReads();
    if (before !== undefined && this.#driveReadsSeen === before) return;
    this.#pausedUntilMs = this.#now() + SLOW_PAUSE_MS;
  }

  #look(): void {
    this.#lookAt = this.#clock;
    this.#driveReadsSeen = this.#driveReads();
    this.#windowPages = Math.max(1, Math.floor((this.#availableBytes() * MEMORY_SHARE) / PAGE_BYTES));
  }
}

/** What the kernel could give to the page cache: MemAvailable, or the limit of our control group if that is lower. */
function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(os.freemem(), limit) : os.freemem();
}
