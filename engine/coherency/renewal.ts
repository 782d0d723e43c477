/**
 * What becomes of a cache whose index can't be used any more, as after a write that LMDB could not take back: it is bypassed, and goes
 * on with an empty index as soon as the drive takes one.
 */
import { isCacheError, messageOf } from "../../index/core/errors.js";
import type { LogFunction } from "../log.js";

/** A drive that does not take a new index is tried again after this long, twice as long the next time, ... */
export const RENEWAL_MS_MIN = 1000;
/** ... and at last so often. */
export const RENEWAL_MS_MAX = 30_000;

export interface RenewalParts {
  readonly wipe: () => Promise<void>;
  /** Whether calls about content are bypassed as `io-error`. */
  readonly hold: (held: boolean) => void;
  readonly log: LogFunction;
}

export class Renewal {
  readonly #parts: RenewalParts;
  #underWay = false;

  constructor(parts: RenewalParts) {
    this.#parts = parts;
  }

  /** The index is of no use any more. */
  needed(error: unknown): void {
    if (this.#underWay) return;
    this.#underWay = true;
    const { hold, log } = this.#parts;
    hold(true);
    log("error", "the index is in doubt after a failed write: all is bypassed until there is a new one", {
      error: messageOf(error),
    });
    setImmediate(() => void this.#try(RENEWAL_MS_MIN)); // what failed is to be told first
  }

  async #try(restMs: number): Promise<void> {
    const { wipe, hold, log } = this.#parts;
    try {
      await wipe();
    } catch (error) {
      if (isCacheError(error, "E_CLOSED")) return;
      log("warn", "there is no new index yet", { error: messageOf(error), againInMs: restMs });
      setTimeout(() => void this.#try(Math.min(2 * restMs, RENEWAL_MS_MAX)), restMs).unref();
      return;
    }
    this.#underWay = false;
    hold(false);
    log("warn", "there is a new index; what was cached is forgotten");
  }
}
