/** Interleaved rounds: every contestant runs once a round, in turn, so that a noisy machine is noisy for all of them. */

/** Takes the microseconds of one operation. */
export type Note = (us: number) => void;

export interface Contestant {
  readonly name: string;
  /** One batch; each operation by itself is noted if that is asked for. @returns microseconds an operation. */
  readonly batch: (note?: Note) => Promise<number>;
}

export interface Timing {
  /** Of the batches, in microseconds an operation. */
  readonly medianUs: number;
  /** 99 of 100 operations took no longer; absent where none was timed by itself. */
  readonly p99Us?: number;
}

/** Batches whose operations are timed one by one give no median: two looks at the clock cost a read of 4 KiB too much. */
const ROUNDS_A_NOTED = 4;

/** What each contestant took, by name. One round goes before and is not counted. */
export async function measure(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<Map<string, Timing>> {
  const batches = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  const noted = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, batch } of contestants) {
      const value = await batch();
      if (round >= 0) batches.get(name)?.push(value);
      if (round >= 0 && round % ROUNDS_A_NOTED === 0) {
        const operations = noted.get(name) as number[];
        await batch((us) => operations.push(us));
      }
    }
  }
  return new Map(
    [...batches].map(([name, values]) => {
      const operations = noted.get(name) as number[];
      const p99 = operations.length === 0 ? {} : { p99Us: percentile(operations, 99) };
      return [name, { medianUs: median(values), ...p99 }];
    }),
  );
}

/** @returns microseconds an operation of `count` operations one after the other. */
export function timedSync(count: number, operation: (index: number) => void, note?: Note): number {
  const beganMs = performance.now();
  if (note === undefined) for (let index = 0; index < count; index += 1) operation(index);
  else {
    for (let index = 0, beforeMs = beganMs; index < count; index += 1) {
      operation(index);
      const nowMs = performance.now();
      note((nowMs - beforeMs) * 1000);
      beforeMs = nowMs;
    }
  }
  return ((performance.now() - beganMs) * 1000) / count;
}

/** As timedSync, of operations that answer with a promise, each awaited before the next. */
export async function timedEach<T>(
  count: number,
  operation: () => Promise<T>,
  check: (answer: T) => void,
  note?: Note,
): Promise<number> {
  const beganMs = performance.now();
  for (let index = 0, beforeMs = beganMs; index < count; index += 1) {
    check(await operation());
    if (note === undefined) continue;
    const nowMs = performance.now();
    note((nowMs - beforeMs) * 1000);
    beforeMs = nowMs;
  }
  return ((performance.now() - beganMs) * 1000) / count;
}

/** @returns microseconds an operation of `count` operations with `inFlight` under way at a time; `worker` counts from 0. */
export async function timed(
  count: number,
  inFlight: number,
  operation: (index: number, worker: number) => void | Promise<void>,
  note?: Note,
): Promise<number> {
  let next = 0;
  const beganMs = performance.now();
  const work = async (worker: number): Promise<void> => {
    for (let index = next; index < count; index = next) {
      next += 1;
      const beforeMs = note === undefined ? 0 : performance.now();
      const answer = operation(index, worker);
      if (answer !== undefined) await answer;
      note?.((performance.now() - beforeMs) * 1000);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)));
  return ((performance.now() - beganMs) * 1000) / count;
}

/** The value that `percent` of all values are not above. */
export function percentile(values: readonly number[], percent: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1);
  return sorted[Math.max(0, place)] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A generator of whole numbers below 2^32 from a seed (mulberry32), the same on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  };
}
