/** Slot numbers and their directories under trouble. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, openAt, store, tagOf, withCache, withPlace } from "../../support/temp-cache.js";

const numbers = suite("slot numbers");

numbers("a number whose file could not be made is given out again, however often that happens", async () => {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    io.fail("open", "EMFILE", 50);
    for (let block = 0; block < 50; block += 1) {
      const put = await cache.put(tagOf(block), bytesOf(block, 5000));
      assert.deepEqual(put, { kind: "bypass", reason: "io-error" });
    }
    for (let block = 0; block < 3; block += 1) await store(cache, tagOf(block), bytesOf(block, 5000));
    const { slots } = await cache.status();
    assert.equal(slots.total, 3);
  });
});

numbers("a symbolic link in place of a directory of slots is not followed", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    await store(cache, tagOf(0), bytesOf(0, 5000));
    await cache.close();
    const slots = path.join(directory, "slots", "0");
    fs.renameSync(slots, `${directory}-elsewhere`);
    fs.symlinkSync(`${directory}-elsewhere`, slots);
    const next = await openAt(directory);
    assert.deepEqual(await next.get(tagOf(0)), { kind: "bypass", reason: "io-error" });
    assert.equal((await next.put(tagOf(1), bytesOf(1, 5000))).kind, "bypass");
    await next.close();
  });
});

numbers.run();
