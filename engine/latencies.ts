/** How long the operations of a cache take. Reads are so short that only some of them are timed. */
import { LATENCY_NAMES, type LatencyName, type LatencyStatus } from "./api-counts.js";
import type { GetResult } from "./api.js";
import { Histogram } from "./histogram.js";

/** One read in so many is timed: two looks at the clock would cost a hit of 4 KiB two parts in a hundred. A power of two. */
const READS_A_SAMPLE = 16;

export class Latencies {
  readonly #now: () => number;
  readonly #histograms: Readonly<Record<LatencyName, Histogram>>;
  #reads = 0;

  constructor(now: () => number) {
    this.#now = now;
    this.#histograms = {
      hit: new Histogram(),
      miss: new Histogram(),
      put: new Histogram(),
      commit: new Histogram(),
      cullSlice: new Histogram(),
    };
  }

  /** Whether the read that begins is one to be timed. */
  readDue(): boolean {
    this.#reads = (this.#reads + 1) & (READS_A_SAMPLE - 1);
    return this.#reads === 0;
  }

  /** Runs a read and times it. */
  read(body: () => GetResult | Promise<GetResult>): GetResult | Promise<GetResult> {
    const beganMs = this.#now();
    const answer = body();
    if (!(answer instanceof Promise)) return this.#noteRead(answer, beganMs);
    return answer.then((result) => this.#noteRead(result, beganMs));
  }

  #noteRead(result: GetResult, beganMs: number): GetResult {
    if (result.kind !== "bypass") this.since(result.kind, beganMs);
    return result;
  }

  /** Records what began at `beganMs` and ends now. */
  since(name: LatencyName, beganMs: number): void {
    this.#histograms[name].record(Math.max(0, this.#now() - beganMs));
  }

  status(): Record<LatencyName, LatencyStatus> {
    const entries = LATENCY_NAMES.map((name) => [name, this.#histograms[name].status()] as const);
    return Object.fromEntries(entries) as Record<LatencyName, LatencyStatus>;
  }
}
