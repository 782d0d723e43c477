/** One line of the benchmark. */

export interface Result {
  readonly name: string;
  readonly unit: "us";
  /** Ours, in microseconds an operation. */
  readonly value: number;
  /** The raw file operation and the CRC of the bytes that must be checked, timed in the same rounds. */
  readonly floor: number;
  /** value / floor. */
  readonly ratio: number;
  /** value / the raw file operation alone. */
  readonly raw: number;
  /** The ratio that is promised; absent where none is. */
  readonly bar?: number;
}

export function resultOf(
  name: string,
  times: ReadonlyMap<string, number>,
  ours: string,
  floorName: string,
  rawName: string,
  bar?: number,
): Result {
  const [value, floor, raw] = [ours, floorName, rawName].map((key) => times.get(key) ?? Number.NaN) as [
    number,
    number,
    number,
  ];
  return {
    name,
    unit: "us",
    value: rounded(value),
    floor: rounded(floor),
    ratio: rounded(value / floor),
    raw: rounded(value / raw),
    ...(bar !== undefined && { bar }),
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
