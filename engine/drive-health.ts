/**
 * Whether the drive is fit to be used at all. One bad slot is set aside and the cache goes on; errors on several slots
 * within a short time mean that the drive is sick. Then the whole cache is bypassed, so that nobody waits for it, until
 * it has answered some probes well.
 */
import { CacheError, errnoOf, messageOf } from "../index/core/errors.js";
import type { LogFunction } from "./log.js";

/** Errors on so many different slots ... */
export const SICK_SLOTS = 3;
/** ... within so long make the drive sick. */
export const SICK_WINDOW_MS = 10_000;
/** A sick drive is probed so often, one probe at a time. */
export const PROBE_EVERY_MS = 5000;
/** So many good probes in a row make it well. */
export const PROBES_GOOD = 3;

/** Trouble of the process, the machine or a single file; a drive that says so works. */
const NOT_THE_DRIVE: ReadonlySet<string> = new Set([
  "ENOSPC",
  "EDQUOT",
  "EMFILE",
  "ENFILE",
  "ENOMEM",
  "ENOENT",
  "EEXIST",
  "ELOOP",
  "ENOTDIR",
  "EISDIR",
]);
/** A probe that the drive has no room for has been answered. */
const FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

/** How the drive does, and what is taken for sick and for well. */
export interface HealthStatus {
  /** `sick`: every get and put is bypassed as `drive-sick`. */
  readonly state: "ok" | "sick";
  /** Times that it became sick in this session. */
  readonly times: number;
  /** Errors of the drive in this session, on whichever slot. */
  readonly errors: number;
  /** Different slots with an error within the last windowMs. */
  readonly slots: number;
  readonly slotsMax: number;
  readonly windowMs: number;
  readonly probeEveryMs: number;
  /** Good ones in a row since it became sick, and how many are wanted. */
  readonly probesGood: number;
  readonly probesWanted: number;
}

export interface HealthOptions {
  readonly now: () => number;
  readonly log: LogFunction;
  /** Writes to the drive, syncs, and reads back; rejects if that fails. */
  readonly probe: () => Promise<void>;
  /** Told when it becomes sick, and when it is well again. */
  readonly onChange?: (sick: boolean) => void;
  /** PROBE_EVERY_MS unless given; for tests. */
  readonly probeEveryMs?: number;
}

export class DriveHealth {
  readonly #options: HealthOptions;
  readonly #probeEveryMs: number;
  /** Slot to the time of its last error, the oldest first; below SICK_SLOTS of them but for a moment. */
  readonly #recent = new Map<number, number>();
  #sick = false;
  #times = 0;
  #errors = 0;
  #good = 0;
  #timer: NodeJS.Timeout | undefined;
  #probing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#probeEveryMs = options.probeEveryMs ?? PROBE_EVERY_MS;
  }

  get sick(): boolean {
    return this.#sick;
  }

  /**
   * Reading, writing or syncing a slot has failed. Counts only what says something of the drive: no full drive, no want
   * of descriptors, no file that somebody removed or cut. `error` is that of node:fs, or a CacheError caused by it.
   */
  noteError(slot: number, error: unknown): void {
    const errno = errnoOf(error instanceof CacheError ? error.cause : error);
    if (errno === undefined || NOT_THE_DRIVE.has(errno)) return;
    this.#errors += 1;
    this.#forgetOld();
    this.#recent.delete(slot);
    this.#recent.set(slot, this.#options.now());
    if (!this.#sick && this.#recent.size >= SICK_SLOTS) this.#becomeSick(errno);
    // While it is sick, calls that began before may fail by the thousand.
    for (const oldest of this.#recent.keys()) {
      if (this.#recent.size <= SICK_SLOTS) break;
      this.#recent.delete(oldest);
    }
  }

  status(): HealthStatus {
    this.#forgetOld();
    return {
      state: this.#sick ? "sick" : "ok",
      times: this.#times,
      errors: this.#errors,
      slots: this.#recent.size,
      slotsMax: SICK_SLOTS,
      windowMs: SICK_WINDOW_MS,
      probeEveryMs: this.#probeEveryMs,
      probesGood: this.#good,
      probesWanted: PROBES_GOOD,
    };
  }

  /** Probes no more; resolves when no probe is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#probing;
  }

  /** Probes again after stop, if the drive is sick. */
  resume(): void {
    this.#stopped = false;
    if (this.#sick) this.#probeLater();
  }

  #forgetOld(): void {
    const before = this.#options.now() - SICK_WINDOW_MS;
    for (const [slot, atMs] of this.#recent) if (atMs <= before) this.#recent.delete(slot);
  }

  #becomeSick(errno: string): void {
    this.#sick = true;
    this.#options.onChange?.(true);
    this.#times += 1;
    this.#good = 0;
    this.#options.log("error", "the drive is sick: the whole cache is bypassed until it answers well again", {
      errno,
      slots: this.#recent.size,
      withinMs: SICK_WINDOW_MS,
      probeEveryMs: this.#probeEveryMs,
    });
    this.#probeLater();
  }

  /** The next probe waits for the last one, which a sick drive may hold for long. */
  #probeLater(): void {
    clearTimeout(this.#timer);
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      this.#probing = this.#probe();
    }, this.#probeEveryMs);
    this.#timer.unref();
  }

  /** Never rejects. */
  async #probe(): Promise<void> {
    try {
      await this.#options.probe();
      this.#good += 1;
    } catch (error) {
      if (FULL.has(errnoOf(error) ?? "")) this.#good += 1;
      else {
        this.#good = 0;
        this.#options.log("debug", "a probe of the sick drive failed", { error: messageOf(error) });
      }
    }
    if (this.#good < PROBES_GOOD) {
      this.#probeLater();
      return;
    }
    this.#sick = false;
    this.#options.onChange?.(false);
    this.#recent.clear();
    this.#options.log("info", "the drive is well again", { probes: this.#good });
  }
}
