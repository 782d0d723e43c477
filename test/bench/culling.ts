/** What culling costs those who store: puts into a cache that is full against puts into slots that wait to be used. */
import fs from "node:fs";
import { type BlockCache, SLOT_BYTES, openCache } from "../../engine/cache.js";
import { INDEX_PERCENT } from "../../engine/limits.js";
import { type Result, compare } from "./result.js";
import { type Note, measure, timed } from "./rounds.js";
import { benchTag } from "./stores/tagcache.js";
import { BLOCKS, IN_FLIGHT, type WorkingSet, benchDirectory } from "./working-set.js";

/** Many times the headroom, so that what is culled after a batch weighs little; few enough that both take turns often. */
const BATCH = 512;
const ROUNDS = 33;
/** Slot files may take as much as the working set does, and not a block more. */
const CAPACITY_BYTES = Math.ceil((BLOCKS * SLOT_BYTES) / (1 - INDEX_PERCENT / 100));

/**
 * First puts, 8 in flight: of blocks of the working set after their removal, and of as many into a cache of that size
 * which has to cull a block for each. There the same tags come again once they have gone.
 */
export async function putWhileCulling(set: WorkingSet): Promise<Result[]> {
  const directory = benchDirectory();
  const full = await openCache({ directory, capacityBytes: CAPACITY_BYTES });
  const content = (index: number): Buffer => set.content[index % set.content.length] as Buffer;
  const store = async (cache: BlockCache, index: number): Promise<void> => {
    const put = await cache.put(benchTag(index), content(index));
    if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
  };
  let next = 0;
  const storeNext = (): Promise<void> => {
    next = (next + 1) % (2 * BLOCKS);
    return store(full, next);
  };
  let first = 0;
  const removeSome = () => {
    first = (first + BATCH) % BLOCKS;
    return timed(BATCH, IN_FLIGHT, async (index) => void (await set.cache.remove(benchTag(first + index))));
  };
  const empty = async (note?: Note): Promise<number> => {
    if (note !== undefined) await removeSome(); // the round's own removal was used up
    return timed(BATCH, IN_FLIGHT, (index) => store(set.cache, first + index), note);
  };
  try {
    await timed(BLOCKS, IN_FLIGHT, storeNext);
    const times = await measure(
      [
        { name: "removed", batch: removeSome },
        { name: "empty", batch: empty },
        { name: "full", batch: (note) => timed(BATCH, IN_FLIGHT, storeNext, note) },
      ],
      ROUNDS,
    );
    const { culled } = await full.status();
    if (culled < ROUNDS * BATCH) throw new Error(`want ${ROUNDS * BATCH} blocks culled, got ${culled}`);
    const against = "a put into free slots";
    return [compare(times, { name: "put-while-culling", ours: "full", floor: "empty", against, bar: 1.25 })];
  } finally {
    await full.close();
    fs.rmSync(directory, { recursive: true });
  }
}
