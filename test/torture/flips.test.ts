/** A sample of what `make torture` does 5,000 times: a bit is flipped in a cache that was left behind. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { randomOf, withPlace } from "../support/temp-cache.js";
import { flipMany } from "./flips.js";

const flips = suite("flipped bits");
const SAMPLE = 24;

flips("give right bytes, a miss, a wipe with its reason or a refusal, and never end two owners", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  await withPlace(async (place) => {
    fs.mkdirSync(place);
    const wrong: string[] = [];
    const options = { flips: SAMPLE, random: randomOf(seed), tell: (line: string) => wrong.push(line) };
    const counts = await flipMany(place, options);
    assert.deepEqual(wrong, [], `seed ${seed}`);
    assert.equal(
      [...counts.values()].reduce((sum, count) => sum + count, 0),
      SAMPLE,
    );
  });
});

flips.run();
