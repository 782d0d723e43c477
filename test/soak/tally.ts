/** What a client of the soak did, as it tells it and as all of it is summed up. */

/** Times in classes by powers of two, in microseconds. */
export const TIME_CLASSES = 32;

export interface Tally {
  /** By what was asked and what came of it: `get hit`, `put stored`, `invalidate E_TIMEOUT`. */
  outcomes: Record<string, number>;
  /** By what was asked. */
  times: Record<string, number[]>;
  longestMs: Record<string, number>;
  bytesChecked: number;
  wrong: string[];
}

export function emptyTally(): Tally {
  return { outcomes: {}, times: {}, longestMs: {}, bytesChecked: 0, wrong: [] };
}

export function note(tally: Tally, what: string, outcome: string, ms: number): void {
  const key = `${what} ${outcome}`;
  tally.outcomes[key] = (tally.outcomes[key] ?? 0) + 1;
  const times = (tally.times[what] ??= Array.from({ length: TIME_CLASSES }, () => 0));
  const place = Math.min(TIME_CLASSES - 1, Math.max(0, Math.ceil(Math.log2(ms * 1000))));
  times[place] = (times[place] as number) + 1;
  tally.longestMs[what] = Math.max(tally.longestMs[what] ?? 0, ms);
}

export function add(total: Tally, one: Tally): void {
  for (const [key, count] of Object.entries(one.outcomes))
    total.outcomes[key] = (total.outcomes[key] ?? 0) + count;
  for (const [what, times] of Object.entries(one.times)) {
    const sum = (total.times[what] ??= Array.from({ length: TIME_CLASSES }, () => 0));
    for (const [place, count] of times.entries()) sum[place] = (sum[place] as number) + count;
  }
  for (const [what, ms] of Object.entries(one.longestMs)) {
    total.longestMs[what] = Math.max(total.longestMs[what] ?? 0, ms);
  }
  total.bytesChecked += one.bytesChecked;
  total.wrong.push(...one.wrong);
}

/** A bound that this part of the calls kept, in milliseconds: the upper end of its class. */
export function quantileMs(times: readonly number[], part: number): number {
  const wanted = part * times.reduce((sum, count) => sum + count, 0);
  let sum = 0;
  for (const [place, count] of times.entries()) {
    sum += count;
    if (sum >= wanted) return 2 ** place / 1000;
  }
  return 0;
}

export function countOf(tally: Tally, pattern: RegExp): number {
  return Object.entries(tally.outcomes).reduce(
    (sum, [key, count]) => sum + (pattern.test(key) ? count : 0),
    0,
  );
}
