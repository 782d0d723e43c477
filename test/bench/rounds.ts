/** Interleaved rounds: every contestant runs once a round, in turn, so that a noisy machine is noisy for all of them. */

export interface Contestant {
  readonly name: string;
  /** One batch. @returns microseconds an operation. */
  readonly batch: () => Promise<number>;
}

/** The median of each contestant's batches, by name. One round goes before and is not counted. */
export async function medians(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>(contestants.map(({ name }) => [name, []]));
  for (let round = -1; round < rounds; round += 1) {
    for (const { name, batch } of contestants) {
      const value = await batch();
      if (round >= 0) samples.get(name)?.push(value);
    }
  }
  return new Map([...samples].map(([name, values]) => [name, median(values)]));
}

/** @returns microseconds an operation of `count` operations one after the other. */
export function timedSync(count: number, operation: (index: number) => void): number {
  const beganMs = performance.now();
  for (let index = 0; index < count; index += 1) operation(index);
  return ((performance.now() - beganMs) * 1000) / count;
}

/** As timedSync, of operations that answer with a promise, each awaited before the next. */
export async function timedEach<T>(
  count: number,
  operation: () => Promise<T>,
  check: (answer: T) => void,
): Promise<number> {
  const beganMs = performance.now();
  for (let index = 0; index < count; index += 1) check(await operation());
  return ((performance.now() - beganMs) * 1000) / count;
}

/** @returns microseconds an operation of `count` operations with `inFlight` under way at a time. */
export async function timed(
  count: number,
  inFlight: number,
  operation: (index: number) => Promise<void>,
): Promise<number> {
  let next = 0;
  const beganMs = performance.now();
  const work = async (): Promise<void> => {
    for (let index = next; index < count; index = next) {
      next += 1;
      await operation(index);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, work));
  return ((performance.now() - beganMs) * 1000) / count;
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
