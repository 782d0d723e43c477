/** One line of the benchmark. */
import type { Timing } from "./rounds.js";

export interface Result {
  readonly name: string;
  readonly unit: "us" | "MiB/s";
  /** Ours, in microseconds an operation or MiB a second. */
  readonly value: number;
  /** What it is measured against, in the same rounds; `against` says what that is. */
  readonly floor: number;
  readonly against: string;
  /** value / floor. */
  readonly ratio: number;
  /** value / the raw file operation alone; absent where the floor holds no such operation. */
  readonly raw?: number;
  /** The ratio that is promised; absent where none is. */
  readonly bar?: number;
  /** The ratio is to be no less than the bar; else no more. */
  readonly atLeast?: true;
  /** 99 of 100 operations took no longer: value and floor. */
  readonly p99?: number;
  readonly floorP99?: number;
}

export type Timings = ReadonlyMap<string, Timing>;

export interface Comparison {
  readonly name: string;
  /** Names in the timings. */
  readonly ours: string;
  readonly floor: string;
  readonly raw?: string;
  readonly against: string;
  readonly bar?: number;
  readonly atLeast?: true;
}

/** One call against another, timed in the same rounds. */
export function compare(times: Timings, comparison: Comparison): Result {
  const { name, against, bar, atLeast } = comparison;
  const [ours, floor] = [timeOf(times, comparison.ours), timeOf(times, comparison.floor)];
  const raw = comparison.raw === undefined ? undefined : timeOf(times, comparison.raw).medianUs;
  return {
    name,
    unit: "us",
    value: rounded(ours.medianUs),
    floor: rounded(floor.medianUs),
    against,
    ratio: rounded(ours.medianUs / floor.medianUs),
    ...(raw !== undefined && { raw: rounded(ours.medianUs / raw) }),
    ...(bar !== undefined && { bar }),
    ...(atLeast !== undefined && { atLeast }),
    ...(ours.p99Us !== undefined && { p99: rounded(ours.p99Us) }),
    ...(floor.p99Us !== undefined && { floorP99: rounded(floor.p99Us) }),
  };
}

/** Whether a result keeps what is promised; true where nothing is. */
export function keepsBar({ ratio, bar, atLeast }: Result): boolean {
  if (bar === undefined) return true;
  return atLeast === true ? ratio >= bar : ratio <= bar;
}

function timeOf(times: Timings, name: string): Timing {
  const found = times.get(name);
  if (found === undefined) throw new Error(`nothing was timed as ${name}`);
  return found;
}

export function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
