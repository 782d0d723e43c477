/** From a clean stop to the first hit: what a restart costs, and whether anything is left after it. */
import fs from "node:fs";
import { SLOT_BYTES, openCache } from "../../engine/cache.js";
import { type StoreName, fill, openStore, startServerOf } from "./contestants.js";
import { rounded } from "./result.js";
import { median } from "./rounds.js";
import type { Store } from "./stores/store.js";
import { cacheStore } from "./stores/tagcache.js";
import { BLOCKS, CAPACITY_BYTES, benchDirectory } from "./working-set.js";

const TIMES = 3;

export interface ReopenResult {
  readonly store: string;
  /** Milliseconds from the beginning of the start to the first hit; absent where all is gone. */
  readonly firstHitMs?: number;
}

/** Opens or starts a store; `stop` ends it clean. */
interface Running {
  readonly store: Store;
  stop(): Promise<void>;
}

/** @returns what was measured, or why it could not be. */
export async function measureReopen(
  name: StoreName | "library",
  content: readonly Buffer[],
): Promise<ReopenResult | string> {
  const directory = benchDirectory();
  const into = Buffer.allocUnsafeSlow(SLOT_BYTES);
  try {
    const first = await start(name, directory);
    if (typeof first === "string") return first;
    await fill(first.store, BLOCKS, content);
    await first.stop();
    const took: number[] = [];
    for (let time = 0; time < TIMES; time += 1) {
      const beganMs = performance.now();
      const again = await start(name, directory);
      if (typeof again === "string") return again;
      const hit = await again.store.get(BLOCKS - 1, into);
      took.push(performance.now() - beganMs);
      await again.stop();
      if (!hit) return { store: name };
    }
    return { store: name, firstHitMs: rounded(median(took)) };
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function start(name: StoreName | "library", directory: string): Promise<Running | string> {
  if (name === "library") {
    const cache = await openCache({ directory, capacityBytes: CAPACITY_BYTES });
    return { store: cacheStore(name, cache, async () => undefined), stop: () => cache.close() };
  }
  const started = await startServerOf(name, directory, { capacityBytes: CAPACITY_BYTES });
  if (typeof started === "string") return started;
  const store = await openStore(name, started.place);
  if (typeof store === "string") {
    await started.server?.stop();
    return store;
  }
  const stop = async (): Promise<void> => {
    if ("save" in store) await (store.save as () => Promise<void>)();
    await store.close();
    await started.server?.stop();
  };
  return { store, stop };
}
