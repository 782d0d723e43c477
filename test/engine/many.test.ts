/** What happens only with many files or many slots. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { readCheckpoint } from "../../engine/coherency/checkpoint.js";
import { IDLE_OBJECTS_MAX } from "../../engine/objects.js";
import { IDLE_VOLUMES_MAX } from "../../engine/volumes.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  store,
  tagOf,
  until,
  withCache,
  withPlace,
} from "../support/temp-cache.js";

const many = suite("many files and slots");

function recordsOf(directory: string): number {
  const checkpoint = readCheckpoint(path.join(directory, "checkpoint"));
  assert.ok(typeof checkpoint !== "string");
  return checkpoint.objects;
}

many(
  "files that lost their last block leave the index, those in use and those with blocks stay",
  async () => {
    await withPlace(async (directory) => {
      const files = 1200;
      const cache = await openAt(directory);
      const volume = await cache.acquireVolume("test", "volume");
      const held = await volume.acquireCookie("held", { coherency: Buffer.from("1") });
      await store(cache, tagOf(0, "file", "other"), bytesOf(1, 10));
      for (let file = 0; file < files; file += 1)
        await store(cache, tagOf(0, `file ${file}`), bytesOf(file, 10));
      await volume.invalidate();
      await store(cache, tagOf(0, "file 7"), bytesOf(7, 10));
      await until(async () => (await cache.status()).slots.used === 2, 10_000);
      assert.equal((await volume.acquireCookie("held", { coherency: Buffer.from("1") })).outcome, "found");
      await until(async () => (await cache.status()).names.objectsKnown === 3); // once the files have come to rest
      await held.relinquish();
      await cache.close();
      assert.equal(recordsOf(directory), 3);
      const next = await openAt(directory);
      expectHit(await next.get(tagOf(0, "file 7")), bytesOf(7, 10));
      expectHit(await next.get(tagOf(0, "file", "other")), bytesOf(1, 10));
      assert.equal((await next.get(tagOf(0, "file 8"))).kind, "miss");
      await store(next, tagOf(0, "file 8"), bytesOf(8, 10));
      expectHit(await next.get(tagOf(0, "file 8")), bytesOf(8, 10));
      await next.close();
      await expectSound(directory);
    });
  },
);

many(
  "a start after an unclean end looks at thousands of slots beside its work, and allocates nothing before",
  async () => {
    await withPlace(async (directory) => {
      const slots = 1500;
      const first = await openAt(directory);
      for (let block = 0; block < slots; block += 1) await store(first, tagOf(block), bytesOf(block, 10));
      await first.close();
      fs.rmSync(path.join(directory, "checkpoint"));
      const cache = await openAt(directory);
      const early = (await cache.status()).slots;
      assert.ok(early.unknown > 0 && early.free > 0, JSON.stringify(early));
      await store(cache, tagOf(0), bytesOf(1, 10));
      await until(async () => (await cache.status()).slots.unknown === 0);
      const { slots: late } = await cache.status();
      assert.deepEqual([late.total, late.used], [slots, 1]);
      await cache.close();
      await expectSound(directory);
    });
  },
);

many("a stop before all slots were looked at is clean, and the next start goes on with it", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    for (let block = 0; block < 1500; block += 1) await store(first, tagOf(block), bytesOf(block, 10));
    await first.close();
    fs.rmSync(path.join(directory, "checkpoint"));
    await (await openAt(directory)).close();
    const cache = await openAt(directory);
    assert.equal((await cache.status()).start.kind, "clean");
    await until(async () => (await cache.status()).slots.unknown === 0);
    assert.equal((await cache.status()).slots.free, 1500);
    await cache.close();
    await expectSound(directory);
  });
});

many("more files and volumes than are kept in memory are found again, those in use at once", async () => {
  await withCache({ capacityBytes: 512 * 1024 * 1024 }, async (cache) => {
    const coherency = Buffer.from("1");
    const volume = await cache.acquireVolume("test", "volume");
    const held = await volume.acquireCookie("held", { coherency, sizeBytes: 10n });
    await held.write(0n, bytesOf(1, 10));
    for (let file = 0; file < IDLE_OBJECTS_MAX + 500; file += 1) {
      await (await volume.acquireCookie(`file ${file}`, { coherency })).relinquish();
    }
    for (let one = 0; one < IDLE_VOLUMES_MAX + 50; one += 1) {
      await (await cache.acquireVolume("test", `volume ${one}`, { coherency })).relinquish();
    }
    for (const inode of ["file 0", "file 1", `file ${IDLE_OBJECTS_MAX}`]) {
      assert.equal((await volume.acquireCookie(inode, { coherency })).outcome, "found", inode);
      assert.equal(
        (await volume.acquireCookie(inode, { coherency: Buffer.from("2") })).outcome,
        "invalidated",
      );
    }
    assert.equal((await cache.acquireVolume("test", "volume 0", { coherency })).outcome, "found");
    assert.ok((await held.read(0n, 10)).bytes.equals(bytesOf(1, 10)));
    const other = await volume.acquireCookie("held");
    await other.invalidate();
    assert.equal((await held.read(0n, 10)).missing.length, 1);
  });
});

many.run();
