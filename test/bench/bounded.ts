/**
 * Caches that are smaller than what is asked of them: 90 % reads and 10 % puts of blocks by a Zipf distribution with
 * exponent 1 over 4 times the capacity, a read that misses being followed by a put; then puts of new blocks, each of which
 * has to push one out. Stores that evict nothing keep all of it, and say so.
 */
import fs from "node:fs";
import { SLOT_BYTES, openCache } from "../../engine/cache.js";
import { INDEX_PERCENT } from "../../engine/limits.js";
import { type StoreName, openStore, startServerOf } from "./contestants.js";
import { rounded } from "./result.js";
import { percentile, seeded, timed } from "./rounds.js";
import type { Store } from "./stores/store.js";
import { cacheStore } from "./stores/tagcache.js";
import { IN_FLIGHT, benchDirectory } from "./working-set.js";

const BLOCKS = 512;
/** Slot files may take as much as so many blocks do. */
const CAPACITY_BYTES = Math.ceil((BLOCKS * SLOT_BYTES) / (1 - INDEX_PERCENT / 100));
const KEYS = 4 * BLOCKS;
const WARM_OPERATIONS = 2 * KEYS;
const OPERATIONS = KEYS;
const NEW_BLOCKS = 2 * BLOCKS;
const PUT_SHARE = 0.1;
const EVICTING: ReadonlySet<string> = new Set(["library", "socket", "redis", "memcached"]);

export interface BoundedResult {
  readonly store: string;
  readonly evicts: boolean;
  /** Microseconds an operation of the mix, and what 99 of 100 stay below. */
  readonly mixUs: number;
  readonly mixP99Us: number;
  readonly hitRatio: number;
  /** Microseconds a put of a new block into the full cache, 8 in flight; absent where nothing is evicted. */
  readonly putUs?: number;
  readonly putP99Us?: number;
}

/** @returns what was measured, or why it could not be. */
export async function measureBounded(
  name: StoreName | "library",
  content: readonly Buffer[],
): Promise<BoundedResult | string> {
  const directory = benchDirectory();
  try {
    if (name === "library") {
      const cache = await openCache({ directory, capacityBytes: CAPACITY_BYTES });
      return await run(
        cacheStore(name, cache, () => cache.close()),
        content,
      );
    }
    const started = await startServerOf(name, directory, { capacityBytes: CAPACITY_BYTES, bounded: true });
    if (typeof started === "string") return started;
    try {
      const store = await openStore(name, started.place);
      return typeof store === "string" ? store : await run(store, content);
    } finally {
      await started.server?.stop();
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function run(store: Store, content: readonly Buffer[]): Promise<BoundedResult> {
  try {
    const into = Buffer.allocUnsafeSlow(SLOT_BYTES);
    const random = seeded(7);
    const drawn = zipf(KEYS, random);
    const bytes = (index: number): Buffer => content[index % content.length] as Buffer;
    let [hits, reads] = [0, 0];
    const operation = async (): Promise<void> => {
      const index = drawn();
      if (random() / 2 ** 32 < PUT_SHARE) return store.put(index, bytes(index));
      reads += 1;
      if (await store.get(index, into)) hits += 1;
      else await store.put(index, bytes(index));
    };
    await timed(WARM_OPERATIONS, 1, operation);
    [hits, reads] = [0, 0];
    const mix: number[] = [];
    const mixUs = await timed(OPERATIONS, 1, operation, (us) => mix.push(us));
    const result = {
      store: store.name,
      evicts: EVICTING.has(store.name),
      mixUs: rounded(mixUs),
      mixP99Us: rounded(percentile(mix, 99)),
      hitRatio: rounded(hits / reads),
    };
    if (!result.evicts) return result;
    const puts: number[] = [];
    const put = (index: number): void | Promise<void> => store.put(KEYS + index, bytes(index));
    const putUs = await timed(NEW_BLOCKS, IN_FLIGHT, put, (us) => puts.push(us));
    return { ...result, putUs: rounded(putUs), putP99Us: rounded(percentile(puts, 99)) };
  } finally {
    await store.close();
  }
}

/** Draws whole numbers below `count`, number n with a probability that goes as 1 / (n + 1), in a shuffled order. */
function zipf(count: number, random: () => number): () => number {
  const sums = new Float64Array(count);
  let sum = 0;
  for (let rank = 0; rank < count; rank += 1) sums[rank] = sum += 1 / (rank + 1);
  const order = Uint32Array.from({ length: count }, (_, index) => index);
  for (let at = count - 1; at > 0; at -= 1) {
    const other = random() % (at + 1);
    const kept = order[at] as number;
    order[at] = order[other] as number;
    order[other] = kept;
  }
  return () => {
    const wanted = (random() / 2 ** 32) * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] as number) < wanted) low = middle + 1;
      else high = middle;
    }
    return order[low] as number;
  };
}
