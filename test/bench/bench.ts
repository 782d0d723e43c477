/** What a run works with: the library's working set, and every other store that is there, filled with the same blocks. */
import fs from "node:fs";
import { SLOT_BYTES } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { type Place, SAME_PLACE, type StoreName, fill, openStore, startServerOf } from "./contestants.js";
import type { ChildServer } from "./stores/child-server.js";
import type { Store } from "./stores/store.js";
import { cacheStore, daemonClient } from "./stores/tagcache.js";
import { BLOCKS, CAPACITY_BYTES, type WorkingSet, benchDirectory, makeWorkingSet } from "./working-set.js";

export interface Bench {
  readonly set: WorkingSet;
  /** The library first, as `library`; each is full. */
  readonly stores: readonly Store[];
  /** How another process becomes a client of a store. */
  readonly places: ReadonlyMap<StoreName, Place>;
  /** Of the daemon. */
  readonly client: CacheClient;
  /** What is not there, and why. */
  readonly missing: readonly string[];
  /** Ends every server and removes every file. */
  close(): Promise<void>;
}

/** Sets up those of `names` that can be had; the daemon has to be among them. */
export async function openBench(names: readonly StoreName[]): Promise<Bench> {
  const under = benchDirectory();
  const set = await makeWorkingSet();
  const servers: ChildServer[] = [];
  const places = new Map<StoreName, Place>();
  const missing: string[] = [];
  const stores: Store[] = [cacheStore("library", set.cache, async () => undefined)];
  let client: CacheClient | undefined;
  const close = async (): Promise<void> => {
    for (const store of stores) await store.close();
    await client?.close();
    for (const server of servers) await server.stop();
    await set.close();
    fs.rmSync(under, { recursive: true });
  };
  const placeOf = async (name: StoreName): Promise<Place | string> => {
    const shared = SAME_PLACE[name];
    if (shared !== undefined) return places.get(shared) ?? `${name} needs ${shared}`;
    const started = await startServerOf(name, under, { capacityBytes: CAPACITY_BYTES });
    if (typeof started === "string") return started;
    if (started.server !== undefined) servers.push(started.server);
    return started.place;
  };
  try {
    for (const name of names) {
      const place = await placeOf(name);
      if (typeof place === "string") {
        missing.push(place);
        continue;
      }
      const store = await openStore(name, place);
      if (typeof store === "string") {
        missing.push(store);
        continue;
      }
      places.set(name, place);
      stores.push(store);
      if (SAME_PLACE[name] === undefined) await fill(store, BLOCKS, set.content);
    }
    // What was hit before: files are open, names known, pages in memory.
    const into = Buffer.allocUnsafeSlow(SLOT_BYTES);
    for (const store of stores) for (let index = 0; index < BLOCKS; index += 1) await store.get(index, into);
    client = await daemonClient(places.get("socket")?.socketPath ?? "", { direct: "off" });
    return { set, stores, places, client, missing, close };
  } catch (error) {
    await close();
    throw error;
  }
}
