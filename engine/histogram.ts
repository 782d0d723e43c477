/** Counts durations in fixed buckets on a logarithmic scale: no allocation and no search when something is recorded. */
import assert from "node:assert/strict";
import type { LatencyStatus } from "./api-counts.js";

/** Bucket k takes durations up to 2^k µs: the first 1 µs, the last 2^25 µs, 34 seconds. */
const BUCKETS = 26;
const US_MAX = 2 ** 30;

/** Upper bounds in milliseconds. */
export const BOUNDS_MS: readonly number[] = Array.from({ length: BUCKETS }, (_, k) => 2 ** k / 1000);

export class Histogram {
  /** The last one is for what is above all bounds. */
  readonly #counts = new Float64Array(BUCKETS + 1);
  #count = 0;
  #sumMs = 0;

  /** @param ms 0 or more. */
  record(ms: number): void {
    assert.ok(ms >= 0);
    this.#count += 1;
    this.#sumMs += ms;
    const us = Math.ceil(Math.min(ms * 1000, US_MAX));
    // The least k with us <= 2^k.
    const bucket = us <= 1 ? 0 : Math.min(32 - Math.clz32(us - 1), BUCKETS);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
  }

  /** A copy. */
  status(): LatencyStatus {
    return { count: this.#count, sumMs: this.#sumMs, boundsMs: BOUNDS_MS, counts: [...this.#counts] };
  }
}
