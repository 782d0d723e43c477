/** One line of the benchmark. */

export interface Result {
  readonly name: string;
  readonly unit: "us";
  /** Ours, in microseconds an operation. */
  readonly value: number;
  /** What it is measured against, timed in the same rounds: run.ts says what that is. */
  readonly floor: number;
  /** value / floor. */
  readonly ratio: number;
  /** value / the raw file operation alone; absent where the floor holds no such operation. */
  readonly raw?: number;
  /** The ratio that is promised; absent where none is. */
  readonly bar?: number;
}

/** A library call against the raw file operation plus the CRC of the bytes that must be checked, and against it alone. */
export function resultOf(
  name: string,
  times: ReadonlyMap<string, number>,
  ours: string,
  floorName: string,
  rawName: string,
  bar?: number,
): Result {
  const raw = rounded(timeOf(times, ours) / timeOf(times, rawName));
  return { ...ratioOf(name, times, ours, floorName, bar), raw };
}

/** A call against the same call under better conditions. */
export function ratioOf(
  name: string,
  times: ReadonlyMap<string, number>,
  ours: string,
  floorName: string,
  bar?: number,
): Result {
  const [value, floor] = [timeOf(times, ours), timeOf(times, floorName)];
  const figures = { value: rounded(value), floor: rounded(floor), ratio: rounded(value / floor) };
  return { name, unit: "us", ...figures, ...(bar !== undefined && { bar }) };
}

function timeOf(times: ReadonlyMap<string, number>, name: string): number {
  return times.get(name) ?? Number.NaN;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
