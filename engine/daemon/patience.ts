/**
 * How long a connection is waited for: for the rest of a frame, and for its client to take replies. Counts looks and not
 * time, so that a daemon that was itself stopped for a while blames nobody.
 */
import { CacheError } from "../../index/core/errors.js";

/** What a connection has done so far, and owes. */
export interface Progress {
  /** Pieces of input that were taken, and frames that were complete. */
  readonly pieces: number;
  readonly frames: number;
  /** A frame has begun, and its rest is not kept waiting by us. */
  readonly insideFrame: boolean;
  /** Replies that the client took, and those that it did not take yet. */
  readonly sent: number;
  readonly unsent: number;
}

export interface PatienceOptions {
  readonly stallMs: number;
  readonly frameMs: number;
  /** Between two looks. */
  readonly tickMs: number;
}

/** Replies are not taken; or what the client is to be told of its frame. */
export type Fault = "untaken" | CacheError;

export class Patience {
  readonly #options: PatienceOptions;
  #seen = -1;
  #stalledTicks = 0;
  #frames = -1;
  #frameTicks = 0;
  /** All replies up to this number are to be taken before the time begins anew. */
  #repliesWanted = 0;
  #replyTicks = 0;

  constructor(options: PatienceOptions) {
    this.#options = options;
  }

  /** Called once a tick. */
  look({ pieces, frames, insideFrame, sent, unsent }: Progress): Fault | undefined {
    const { stallMs, frameMs } = this.#options;
    const progress = pieces + sent;
    const stands = (unsent > 0 || insideFrame) && progress === this.#seen;
    this.#seen = progress;
    this.#stalledTicks = stands ? this.#stalledTicks + 1 : 0;
    this.#frameTicks = insideFrame && frames === this.#frames ? this.#frameTicks + 1 : 0;
    this.#frames = frames;
    if (unsent === 0 || sent >= this.#repliesWanted) {
      this.#repliesWanted = sent + unsent;
      this.#replyTicks = 0;
    } else this.#replyTicks += 1;
    if (this.#isOver(this.#stalledTicks, stallMs)) {
      return unsent > 0 ? "untaken" : late(`a frame stopped for ${stallMs} ms`);
    }
    if (this.#isOver(this.#replyTicks, frameMs)) return "untaken";
    return this.#isOver(this.#frameTicks, frameMs)
      ? late(`a frame was not whole after ${frameMs} ms`)
      : undefined;
  }

  #isOver(ticks: number, ms: number): boolean {
    return ticks * this.#options.tickMs >= ms;
  }
}

function late(found: string): CacheError {
  return new CacheError("E_TIMEOUT", `Cannot wait longer: ${found}`);
}
