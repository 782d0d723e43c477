import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { MIB, openAt, withPlace, expectSound } from "../support/temp-cache.js";
import { MemoryCache } from "./memory-cache.js";
import { fsx } from "./fsx.js";

const random = suite("files under random changes");
const SEEDS = [1, 2, 3, 4];
const STEPS = 600;

for (const seed of SEEDS) {
  random(`a cache that is reopened now and then returns right bytes only, seed ${seed}`, async () => {
    await withPlace(async (directory) => {
      const open = () => openAt(directory, { capacityBytes: 12 * MIB });
      const { right, missing } = await fsx({ seed, steps: STEPS, open, reopenEvery: 150 });
      assert.ok(right > missing / 4 && right > 1e7, `${right} right, ${missing} missing`);
      await expectSound(directory);
    });
  });
}

random("the model does too", async () => {
  const { right } = await fsx({ seed: 5, steps: STEPS, open: async () => new MemoryCache() });
  assert.ok(right > 1e7);
});

random.run();
