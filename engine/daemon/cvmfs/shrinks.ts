/** How often clients had the cache shrunk in the last while. */
import { SHRINKS_MAX } from "./limits.js";

export class Shrinks {
  readonly #now: () => number;
  readonly #times: number[] = [];

  constructor(now: () => number) {
    this.#now = now;
  }

  note(): void {
    this.#times.push(this.#now());
    if (this.#times.length > SHRINKS_MAX) this.#times.shift();
  }

  /** How many there were in the last `periodSeconds`. */
  within(periodSeconds: number): number {
    const sinceMs = this.#now() - periodSeconds * 1000;
    return this.#times.filter((time) => time >= sinceMs).length;
  }
}
