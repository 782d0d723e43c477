/** What a soak has to tell: as JSON, and in lines. */
import { formatBytes, formatCount } from "../../index/core/units.js";
import type { Flatness } from "./samples.js";
import { type Tally, quantileMs } from "./tally.js";

export interface SessionReport {
  readonly session: number;
  /** How it began: kind and action of the start. */
  readonly start: string;
  readonly end: "SIGTERM" | "SIGKILL";
  readonly hits: number;
  readonly misses: number;
  readonly directHits: number;
  readonly culledBlocks: number;
  readonly capacityBytes: number;
  readonly usedBytes: number;
  readonly fsck: string;
  readonly flatness: Flatness;
}

export interface SoakReport {
  readonly seconds: number;
  readonly seed: number;
  readonly clients: number;
  readonly sessions: readonly SessionReport[];
  readonly clientFlatness: readonly Flatness[];
  readonly tally: Tally;
  /** Empty if all is well. */
  readonly failures: readonly string[];
}

const VERDICT = { true: "flat", false: "GREW", undefined: "too short to tell" } as const;

export function* reportLines(report: SoakReport): Generator<string> {
  const { seconds, clients, seed, tally, failures } = report;
  yield `soak of ${Math.round(seconds)} s, ${clients} client processes, seed ${seed}`;
  yield `${formatBytes(tally.bytesChecked)} read and checked, ${tally.wrong.length} wrong`;
  yield "";
  yield "what                          count   p50 ms   p99 ms  longest ms  outcomes";
  for (const [what, times] of Object.entries(tally.times).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const count = times.reduce((sum, one) => sum + one, 0);
    const outcomes = Object.entries(tally.outcomes)
      .filter(([key]) => key.startsWith(`${what} `))
      .toSorted(([, a], [, b]) => b - a)
      .map(([key, times]) => `${key.slice(what.length + 1)} ${formatCount(times)}`);
    const columns = [
      what.padEnd(26),
      formatCount(count).padStart(9),
      quantileMs(times, 0.5).toFixed(2).padStart(8),
      quantileMs(times, 0.99).toFixed(2).padStart(8),
      (tally.longestMs[what] ?? 0).toFixed(0).padStart(11),
      ` ${outcomes.join(", ")}`,
    ];
    yield columns.join(" ");
  }
  yield "";
  yield "process              samples  anonymous memory: after warm-up, at the end, most   descriptors";
  for (const flatness of [...report.sessions.map((session) => session.flatness), ...report.clientFlatness]) {
    yield flatnessLine(flatness);
  }
  yield "";
  for (const failure of failures) yield `FAILED: ${failure}`;
  yield failures.length === 0 ? "all well" : `${failures.length} failures`;
}

function flatnessLine({ what, samples, from, to, most, flat }: Flatness): string {
  const memory = [from, to, most].map(({ rssAnonBytes }) => formatBytes(rssAnonBytes)).join(", ");
  const descriptors = [from, to, most].map((sample) => sample.descriptors).join(", ");
  return `${what.padEnd(20)} ${String(samples).padStart(7)}  ${memory.padEnd(42)} ${descriptors.padEnd(18)} ${VERDICT[`${flat}`]}`;
}
