/** How late the event loop is: a timer that should fire every 20 ms, and by how much it fires later. */
import type { LatencyStatus } from "../api-counts.js";
import { Histogram } from "../histogram.js";

const EVERY_MS = 20;

export class LoopLag {
  readonly #histogram = new Histogram();
  #timer: NodeJS.Timeout | undefined;

  start(): void {
    const dueMs = performance.now() + EVERY_MS;
    this.#timer = setTimeout(() => {
      this.#histogram.record(Math.max(0, performance.now() - dueMs));
      this.start();
    }, EVERY_MS).unref();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  status(): LatencyStatus {
    return this.#histogram.status();
  }
}
