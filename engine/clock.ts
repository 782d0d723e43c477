/** The clock of recency, deadlines and ages: it never goes back, whatever happens to the time of day. */
import { performance } from "node:perf_hooks";

/** In milliseconds, from an arbitrary start. */
export const monotonicMs = (): number => performance.now();
