/** How a check goes on: in slices between other work, at a bounded rate, until it is told to end. */
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "../../index/core/errors.js";
import { monotonicMs } from "../clock.js";
import { FSCK_BYTES_PER_SECOND_MIN, type FsckPhase, type FsckProgress } from "../fsck-api.js";

/** Others have their turn after so long; looked at every few steps. */
const SLICE_MS_MAX = 2;
const STEPS_A_LOOK = 16;
/** What a slot that is only looked at counts for. */
export const LOOK_BYTES = 4096;
const SLEEP_MS_MAX = 1000;

/** Thrown out of a check that was told to end. */
export class CheckEnded extends Error {
  override readonly name = "CheckEnded";
}

export interface CourseOptions {
  /** Infinity for no bound. */
  readonly bytesPerSecond: number;
  /** Why the check has to end now, if it has to. */
  readonly over: () => string | undefined;
  readonly onProgress?: ((progress: FsckProgress) => void) | undefined;
}

export class Course {
  readonly #options: CourseOptions;
  readonly #beganMs = monotonicMs();
  #progress: FsckProgress = { phase: "ledger", done: 0, total: 0, bytes: 0 };
  #steps = 0;
  #sliceMs = monotonicMs();
  #paid = 0;

  constructor(options: CourseOptions) {
    this.#options = options;
  }

  get progress(): FsckProgress {
    return this.#progress;
  }

  /** @throws {CheckEnded}. */
  begin(phase: FsckPhase, total = 0): void {
    this.#progress = { ...this.#progress, phase, done: 0, total };
    this.#options.onProgress?.(this.#progress);
    this.#checkOver();
  }

  /**
   * One thing was looked at, and so many bytes read for it. Resolves when the check may go on; undefined if it may at once.
   * @param lookBytes what it counts for by the rate. @throws {CheckEnded}, also in the promise.
   */
  step(lookBytes = 0, bytesRead = 0): Promise<void> | undefined {
    const { done, total, bytes, phase } = this.#progress;
    this.#progress = { phase, done: done + 1, total, bytes: bytes + bytesRead };
    this.#paid += Math.max(lookBytes, bytesRead);
    this.#steps += 1;
    if (this.#steps % STEPS_A_LOOK !== 0 && bytesRead === 0) return undefined;
    const now = monotonicMs();
    const aheadMs = (this.#paid / this.#options.bytesPerSecond) * 1000 - (now - this.#beganMs);
    if (aheadMs <= 1 && now - this.#sliceMs < SLICE_MS_MAX) return undefined;
    return this.#rest(aheadMs);
  }

  /** Lets others have their turn. @throws {CheckEnded}, in the promise. */
  async rest(): Promise<void> {
    await this.#rest(0);
  }

  async #rest(aheadMs: number): Promise<void> {
    this.#options.onProgress?.(this.#progress);
    for (let left = aheadMs; left > 1; left -= SLEEP_MS_MAX) {
      await sleep(Math.min(left, SLEEP_MS_MAX));
      this.#checkOver();
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#checkOver();
    this.#sliceMs = monotonicMs();
  }

  #checkOver(): void {
    const reason = this.#options.over();
    if (reason !== undefined) throw new CheckEnded(reason);
  }
}

/** @throws {CacheError} E_ARGUMENT. */
export function checkRate(bytesPerSecond: number | undefined): void {
  if (bytesPerSecond === undefined) return;
  if (Number.isSafeInteger(bytesPerSecond) && bytesPerSecond >= FSCK_BYTES_PER_SECOND_MIN) return;
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot check at ${bytesPerSecond} bytes a second: want ${FSCK_BYTES_PER_SECOND_MIN} or more`,
  );
}
