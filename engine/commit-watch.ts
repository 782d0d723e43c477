/** Counts and times the commits of an index. */
import type { BlockIndex } from "../index/block-index.js";
import type { Counters } from "./counters.js";
import type { Latencies } from "./latencies.js";

export function watchCommits(
  index: BlockIndex,
  { counters, latencies, now }: { counters: Counters; latencies: Latencies; now: () => number },
): void {
  index.watchCommits((commit) => {
    const beganMs = now();
    commit.then(
      () => {
        counters.commits += 1;
        latencies.since("commit", beganMs);
      },
      () => {
        counters.commitFailures += 1; // who waits for it is told why
      },
    );
  });
}
