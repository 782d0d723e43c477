/** Puts of whole blocks: through the library against raw overwrites, through the socket against Redis, and of all stores. */
import fs from "node:fs";
import { promisify } from "node:util";
import { crc32 } from "@node-rs/crc32";
import { SLOT_BYTES } from "../../engine/cache.js";
import type { Bench } from "./bench.js";
import type { Timings } from "./result.js";
import { type Contestant, type Note, measure, timed } from "./rounds.js";
import type { Store } from "./stores/store.js";
import { BLOCKS, IN_FLIGHT, type WorkingSet } from "./working-set.js";

const LIBRARY_ROUNDS = 7;
const ROUNDS = 13;
const BATCH = 128;
const write = promisify(fs.write);

/** First puts of all blocks into slots that exist and are free, 8 in flight; the raw overwrites go 8 in flight too. */
export function libraryPuts(set: WorkingSet): Promise<Timings> {
  const removeAll = () =>
    timed(BLOCKS, IN_FLIGHT, async (index) => void (await set.cache.remove(set.tag(index))));
  const content = (index: number): Buffer => set.content[index % set.content.length] as Buffer;
  const overwrite = async (index: number): Promise<void> => {
    await write(set.slots[index] as number, content(index), 0, SLOT_BYTES, 0);
  };
  const checked = (index: number): Promise<void> => {
    crc32(content(index));
    return overwrite(index);
  };
  const put = async (index: number): Promise<void> => {
    const answer = await set.cache.put(set.tag(index), content(index));
    if (answer.kind !== "stored") throw new Error(`want it stored, got ${answer.reason}`);
  };
  return measure(
    [
      { name: "raw", batch: (note) => timed(BLOCKS, IN_FLIGHT, overwrite, note) },
      { name: "floor", batch: (note) => timed(BLOCKS, IN_FLIGHT, checked, note) },
      {
        name: "put",
        batch: async (note) => {
          await removeAll();
          return timed(BLOCKS, IN_FLIGHT, put, note);
        },
      },
    ],
    LIBRARY_ROUNDS,
  );
}

/**
 * Puts of each store, `NAME-1` one after the other and `NAME-8` 8 in flight, always of the same blocks. Through the socket
 * they are first puts, as a cache sees them: the blocks are removed in between, and their slots stay.
 */
export function storePuts({ stores, set, client }: Bench): Promise<Timings> {
  const content = (index: number): Buffer => set.content[index % set.content.length] as Buffer;
  let first = 0;
  const batchOf = (store: Store, inFlight: number): Contestant => ({
    name: `${store.name}-${inFlight}`,
    batch: async (note?: Note) => {
      first = (first + BATCH) % BLOCKS;
      const from = first;
      if (store.name === "socket") {
        const remove = async (index: number): Promise<void> =>
          void (await client.remove(set.tag(from + index)));
        await timed(BATCH, IN_FLIGHT, remove);
      }
      return timed(BATCH, inFlight, (index) => store.put(from + index, content(from + index)), note);
    },
  });
  // The raw files are written by the clients' workload, and an unverified client puts as any other.
  const putting = stores.filter(({ name }) => !name.startsWith("direct") && name !== "library");
  return measure(
    putting.flatMap((store) => [batchOf(store, 1), batchOf(store, IN_FLIGHT)]),
    ROUNDS,
  );
}
