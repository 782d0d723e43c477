/** SIGKILL at the steps of a shrink: whatever it had got to, the next owner starts. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { roundsOf, tellDone } from "../support/effort.js";
import { until } from "../support/temp-cache.js";
import { withChildren } from "./children.js";
import {
  SMALL,
  between,
  expectHits,
  expectInOrder,
  putSome,
  say,
  seedOfRun,
  seededRandom,
  withCache,
  withDirectory,
} from "./support.js";
import type { Order } from "./worker.js";

const killShrink = suite("kills of a shrink");
/** Some 200 calls cut and remove slots; each kill dies so many calls later than the one before, the first by chance. */
const STRIDE = roundsOf(1) > 1 ? 7 : 53;
const KILLS_MIN = 3;

killShrink("starts after a kill at any step of a shrink, under the old limits or the new", async () => {
  const seed = seedOfRun();
  const first = between(seededRandom(seed), 1, STRIDE);
  say(`  CRASH_SEED=${seed}`);
  await withChildren("./worker", async (nursery) => {
    let kills = 0;
    for (let dieAtCall = first, ended = false; !ended; dieAtCall += STRIDE) {
      await withDirectory(async (directory) => {
        const child = await nursery.take();
        child.tell({ task: "shrink", directory, seed, dieAtCall, ...SMALL } satisfies Order);
        await child.says("opened");
        child.tell("go");
        ended = await child.getsTo("shrunk");
        if (ended) return;
        kills += 1;
        assert.equal(await child.exit(), null, "it died of its own hand");
        const limits = kills % 2 === 0 ? SMALL : { capacityBytes: SMALL.capacityBytes / 2, slotsMax: 20 };
        await withCache({ directory, ...limits }, async (cache) => {
          const { start } = await cache.status();
          assert.deepEqual([start.kind, start.action], ["unclean", "wipe"]);
          const put = await putSome(cache, seededRandom(seed + kills), { fs: "after", count: 10 });
          await expectHits(cache, put);
          // What the last owner left is found, and made to fit, beside the running service.
          await until(async () => {
            const { slots, slotsMax, usedBytes, indexBytes, capacityBytes } = await cache.status();
            const fits = slots.total <= slotsMax && usedBytes + indexBytes <= capacityBytes;
            return slots.unknown === 0 && fits;
          });
        });
        await expectInOrder(directory);
      });
    }
    tellDone(kills, "kills of a shrink");
    assert.ok(kills >= KILLS_MIN, `only ${kills} kills`);
  });
});

killShrink.run();
