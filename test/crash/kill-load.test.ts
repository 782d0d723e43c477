/** SIGKILL at random moments of a mixed load; after each the next owner starts empty and right. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { roundsOf, tellDone } from "../support/effort.js";
import { type Child, withChildren } from "./children.js";
import { loadTags } from "./load.js";
import {
  SMALL,
  between,
  expectHits,
  expectInOrder,
  expectMisses,
  putSome,
  say,
  seedOfRun,
  seededRandom,
  withCache,
  withDirectory,
} from "./support.js";
import type { Order } from "./worker.js";

const killLoad = suite("kills under load");
const EFFORT = roundsOf(1);
const KILLS = EFFORT > 1 ? 15 * EFFORT : 8;
const DELAY_MS_MAX = 250;

/** Kills a child in the middle of its load. @returns the epoch it worked in. */
async function killUnderLoad(child: Child, directory: string, seed: number): Promise<number> {
  const random = seededRandom(seed);
  child.tell({ task: "load", directory, seed, ...SMALL } satisfies Order);
  const { epoch, kind } = await child.says("opened");
  assert.ok(kind === "new" || kind === "clean", `the start before was ${String(kind)}`);
  await new Promise<void>((resolve) => setTimeout(resolve, between(random, 0, DELAY_MS_MAX)));
  if (child.hasSaid("failed")) await child.says("failed and not killed"); // throws what the child said
  await child.kill();
  return Number(epoch);
}

killLoad(`starts empty, right and in order after each of ${KILLS} kills of a mixed load`, async () => {
  const seed = seedOfRun();
  say(`  CRASH_SEED=${seed}`);
  await withDirectory(async (directory) => {
    await withChildren("./worker", async (nursery) => {
      for (let kill = 0; kill < KILLS; kill += 1) {
        const random = seededRandom(seed + kill * 1000);
        const epoch = await killUnderLoad(await nursery.take(), directory, seed + kill * 1000);
        const stored = await withCache({ directory, ...SMALL }, async (cache) => {
          const status = await cache.status();
          assert.deepEqual([status.start.kind, status.start.action], ["unclean", "wipe"]);
          assert.ok(status.epoch > epoch); // the child may have wiped as well
          await expectMisses(cache, loadTags());
          const put = await putSome(cache, random, { fs: "after", count: 40 });
          assert.ok(put.length >= 35, `only ${put.length} of 40 were stored`);
          await expectHits(cache, put);
          return put;
        });
        await expectInOrder(directory);
        await withCache({ directory, ...SMALL }, async (cache) => {
          const { kind, action } = (await cache.status()).start;
          assert.deepEqual([kind, action], ["clean", "none"]);
          await expectHits(cache, stored);
        });
      }
      tellDone(KILLS, "kills of an owner under load");
    });
  });
});

killLoad.run();
