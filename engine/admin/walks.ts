/** Walks over the index on somebody's behalf, in slices between other requests; only a few at a time. */
import type { Blocks } from "../blocks.js";

/** Steps of a slice; a step is a look at a record or an entry. */
const SLICE_STEPS = 256;
/** Walks under way; others wait for their turn. */
const WALKS_MAX = 4;

export class Walks {
  readonly #blocks: Blocks;
  #running = 0;
  readonly #waiting: Array<() => void> = [];
  readonly #idle: Array<() => void> = [];
  #stopped = false;

  constructor(blocks: Blocks) {
    this.#blocks = blocks;
  }

  /**
   * Goes through the steps. @param commits what a slice changed is committed before the next one.
   * @returns false when a wipe or a close came in between: what was not seen yet was not seen.
   */
  async run(steps: Iterable<void>, commits = false): Promise<boolean> {
    const { life } = this.#blocks;
    while (this.#running >= WALKS_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#running += 1;
    try {
      if (this.#over(life)) return false;
      let count = 0;
      for (const _ of steps) {
        count += 1;
        if (count % SLICE_STEPS !== 0) continue;
        if (commits) await life.index.committed();
        await new Promise<void>((resolve) => setImmediate(resolve));
        if (this.#over(life)) return false;
      }
      if (commits) await life.index.settled();
      return true;
    } finally {
      this.#running -= 1;
      this.#waiting.shift()?.();
      if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
  }

  /** Ends walks with their slice; resolves when none is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    while (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  resume(): void {
    this.#stopped = false;
  }

  #over(life: Blocks["life"]): boolean {
    return this.#stopped || life !== this.#blocks.life;
  }
}
