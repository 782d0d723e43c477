/** Background work and callers at the same time: nothing acknowledged is lost, nothing stays stuck. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { MIB, bytesOf, openAt, pause, store, tagOf, withCache, withPlace } from "../support/temp-cache.js";

const test = suite("background work");
const HOUSEKEEPER_MS = 190;

test("what is stored while its invalidated predecessors are dropped stays", async () => {
  await withCache({ capacityBytes: 256 * MIB, slotsMax: 8000 }, async (cache) => {
    const blocks = 2000;
    for (let block = 0; block < blocks; block += 1)
      await store(cache, tagOf(block), Buffer.alloc(512, block));
    const volume = await cache.acquireVolume("test", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: 2n ** 40n });
    await cookie.invalidate();
    await pause(HOUSEKEEPER_MS);
    for (let block = blocks - 1; block >= 0; block -= 1) {
      await store(cache, tagOf(block), Buffer.alloc(512, block + 1));
      if (block % 20 === 0) await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await pause(500);
    for (let block = 0; block < blocks; block += 1) {
      const found = await cache.get(tagOf(block));
      assert.ok(found.kind === "hit" && found.bytes.equals(Buffer.alloc(512, block + 1)), `block ${block}`);
    }
  });
});

test("a handle from before a file was retired does not write into its successor", async () => {
  await withCache({}, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    const version = (text: string) => ({ coherency: Buffer.from(text), sizeBytes: 4096n });
    const first = await volume.acquireCookie("file", version("1"));
    const older = await volume.acquireCookie("file", version("1"));
    await first.relinquish({ retire: true });
    const newer = await volume.acquireCookie("file", version("2"));
    assert.equal(newer.outcome, "created");
    assert.deepEqual(await older.write(0n, bytesOf(1, 4096)), { stored: [], bypass: "stale" });
    assert.equal((await newer.read(0n, 4096)).missing.length, 1);
  });
});

test("a file retired without a size given starts again with none", async () => {
  await withCache({}, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    const first = await volume.acquireCookie("file", { sizeBytes: 777n });
    const second = await volume.acquireCookie("file");
    await first.relinquish({ retire: true });
    const reborn = await volume.acquireCookie("file");
    assert.equal(reborn.sizeBytes, 0n);
    await second.relinquish();
  });
});

test("long names fill the index, and storing goes on", async () => {
  const capacityBytes = 4 * MIB;
  await withCache({ capacityBytes, slotsMax: 768 }, async (cache) => {
    const name = (number: number) => `${number}`.padEnd(400, "x");
    let lastStored = 0;
    for (let number = 0; number < 4000; number += 1) {
      const put = await cache.put(tagOf(0, name(number)), Buffer.alloc(100));
      if (put.kind === "stored") lastStored = number;
      else await pause(1);
      if (number % 50 !== 0) continue;
      const { usedBytes, indexBytes } = await cache.status();
      assert.ok(usedBytes + indexBytes <= capacityBytes);
    }
    assert.ok(lastStored > 3500, `the last one stored was ${lastStored}`);
    assert.ok((await cache.status()).slots.used > 0);
  });
});

test("with the directory gone calls are answered, not thrown", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let block = 0; block < 5; block += 1) await store(cache, tagOf(block), bytesOf(block, 5000));
    fs.renameSync(directory, `${directory}-gone`);
    await pause(600);
    for (let block = 100; block < 110; block += 1) {
      assert.ok(["stored", "bypass"].includes((await cache.put(tagOf(block), bytesOf(block, 5000))).kind));
    }
    assert.ok(["hit", "miss", "bypass"].includes((await cache.get(tagOf(0))).kind));
    fs.renameSync(`${directory}-gone`, directory);
    await cache.close();
  });
});

test.run();
