/**
 * What the drive is spared: a budget of bytes written to slots, a second and a day, and second-hit admission, by which what
 * is asked for once is not written at all. Without a budget everything is admitted and nothing remembered.
 */
import { SeenBlocks, type SeenFile } from "./seen-blocks.js";

/** What a budget a second may be ahead of its time by. */
const BURST_MS = 4000;
const HOUR_MS = 3_600_000;
/** A day and the hour under way: no 24 hours, wherever they begin, have more than the budget. */
const HOURS = 25;

export interface WriteLimits {
  /** Bytes a second, on average; 0 without such a budget. */
  readonly writeBytesPerSecond: number;
  /** Bytes in any 24 hours, counted from the start of the process; 0 without such a budget. */
  readonly writeBytesPerDay: number;
}

/**
 * - `first`: a block that may come only once;
 * - `asked`: one that somebody else waits for, that is cached already, or belongs to a file that is being put together;
 * - `promised`: what pins and open files keep: it is written whatever the budget, and counts in it.
 */
export type Claim = "first" | "asked" | "promised";

export interface WriteStatus {
  /** Bytes written to slots: more than was stored where parts of blocks had to be copied. */
  readonly slotBytes: number;
  /** slotBytes for each byte that was stored; absent before the first. */
  readonly amplification?: number;
  /** Budgets, 0 where there is none, and what the last 24 hours have taken of that a day. */
  readonly bytesPerSecondMax: number;
  readonly bytesPerDayMax: number;
  readonly dayBytes: number;
  /** Writes that were turned away, and their bytes. `firstTime`: those that came for the first time; the others passed the budget. */
  readonly rejected: number;
  readonly rejectedBytes: number;
  readonly firstTime: number;
}

export class WriteBudget {
  readonly #limits: () => WriteLimits;
  readonly #now: () => number;
  readonly #seen = new SeenBlocks();
  /** Bytes that may be written now; below 0 after a write that was larger than what was left. */
  #tokens = Number.POSITIVE_INFINITY;
  #filledMs: number;
  /** Admitted and not written yet. */
  #expected = 0;
  readonly #hours = new Float64Array(HOURS);
  #hour: number;
  #slotBytes = 0;
  #storedBytes = 0;
  #rejected = 0;
  #rejectedBytes = 0;
  #firstTime = 0;

  constructor(limits: () => WriteLimits, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#filledMs = now();
    this.#hour = Math.floor(now() / HOUR_MS);
  }

  /**
   * Whether so many bytes may be written. If so, settle() has to follow.
   * @param page the first that is written of the block.
   */
  admit(
    file: SeenFile,
    at: { readonly block: number; readonly page: number },
    bytes: number,
    claim: Claim,
  ): boolean {
    const { writeBytesPerSecond, writeBytesPerDay } = this.#limits();
    const limited = writeBytesPerSecond > 0 || writeBytesPerDay > 0;
    if (!limited) this.#seen.clear();
    if (limited && claim !== "promised") {
      const first = claim === "first" && !this.#seen.seen(file, at.block, at.page);
      if (first) this.#firstTime += 1;
      if (first || !this.#hasRoom(writeBytesPerSecond, writeBytesPerDay)) {
        this.#rejected += 1;
        this.#rejectedBytes += bytes;
        return false;
      }
    }
    this.#expected += bytes;
    return true;
  }

  /** What was admitted is written, or never will be. @param storedBytes how much of it was stored. */
  settle(bytes: number, storedBytes: number): void {
    this.#expected -= bytes;
    this.#storedBytes += storedBytes;
  }

  /** So many bytes went to a slot. */
  wrote(bytes: number): void {
    this.#slotBytes += bytes;
    this.#turnHours();
    const place = this.#hour % HOURS;
    this.#hours[place] = (this.#hours[place] as number) + bytes;
    this.#fill(this.#limits().writeBytesPerSecond);
    this.#tokens -= bytes;
  }

  status(): WriteStatus {
    const { writeBytesPerSecond, writeBytesPerDay } = this.#limits();
    this.#turnHours();
    return {
      slotBytes: this.#slotBytes,
      ...(this.#storedBytes > 0 && { amplification: this.#slotBytes / this.#storedBytes }),
      bytesPerSecondMax: writeBytesPerSecond,
      bytesPerDayMax: writeBytesPerDay,
      dayBytes: this.#dayBytes(),
      rejected: this.#rejected,
      rejectedBytes: this.#rejectedBytes,
      firstTime: this.#firstTime,
    };
  }

  #hasRoom(perSecond: number, perDay: number): boolean {
    this.#turnHours();
    if (perDay > 0 && this.#dayBytes() + this.#expected >= perDay) return false;
    if (perSecond === 0) return true;
    this.#fill(perSecond);
    return this.#tokens - this.#expected > 0;
  }

  #fill(perSecond: number): void {
    const nowMs = this.#now();
    const most = perSecond === 0 ? Number.POSITIVE_INFINITY : (perSecond * BURST_MS) / 1000;
    const more = (perSecond * (nowMs - this.#filledMs)) / 1000;
    this.#tokens = Math.min(most, this.#tokens + more);
    this.#filledMs = nowMs;
  }

  #turnHours(): void {
    const hour = Math.floor(this.#now() / HOUR_MS);
    for (let passed = Math.min(hour - this.#hour, HOURS); passed > 0; passed -= 1) {
      this.#hours[(hour - passed + 1) % HOURS] = 0;
    }
    this.#hour = hour;
  }

  #dayBytes(): number {
    return this.#hours.reduce((sum, bytes) => sum + bytes, 0);
  }
}
