/** A write after which LMDB refuses everything: the cache is bypassed, makes itself a new index, and has lost no pin and no descriptor. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import { suite } from "uvu";
import type { OwnedCache } from "../../engine/api.js";
import { descriptorsBelow, failSyncedWrites } from "../support/failing-sync.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  startOf,
  store,
  tagOf,
  until,
  withPlace,
} from "../support/temp-cache.js";
import { inTime } from "./ride.js";

const deadIndex = suite("an index that refuses everything");
const OPTIONS = { capacityBytes: 16 * MIB, onUnclean: "verify", publish: true } as const;

/** Stores and reads until the failed write has shown; every answer in time, no hit wrong. */
async function useUntilDead(cache: OwnedCache, isDead: () => boolean, logged: string[] = []): Promise<void> {
  for (let block = 1000; !isDead(); block += 1) {
    assert.ok(block < 3000, `the index lives: ${logged.join("; ")}`);
    await inTime("put", cache.put(tagOf(block), bytesOf(block, 5000)));
    const got = await inTime("get", cache.get(tagOf(block)));
    if (got.kind === "hit") expectHit(got, bytesOf(block, 5000));
    await inTime("remove", cache.remove(tagOf(block))).catch(() => undefined);
  }
}

deadIndex("the cache makes itself a new one and goes on", async () => {
  await withPlace(async (directory) => {
    const logged: string[] = [];
    const log = (_level: string, message: string, more?: unknown): unknown =>
      logged.push(`${message} ${JSON.stringify(more)}`);
    const cache = await openAt(directory, { ...OPTIONS, log });
    const { epoch } = await cache.status();
    await cache.pin({ fs: "test", volume: "volume", inode: "pinned" });
    await store(cache, tagOf(0, "pinned"), bytesOf(0, 5000));
    await cache.flush({ fs: "test", volume: "volume", inode: "nobody" });
    const index = path.join(directory, "index");
    const before = descriptorsBelow(index).length;
    for (let round = 1; round <= 3; round += 1) {
      logged.length = 0;
      failSyncedWrites(index);
      await useUntilDead(cache, () => logged.some((line) => line.includes("in doubt")), logged);
      await until(() => logged.some((line) => line.includes("a new index")));
      assert.equal((await cache.get(tagOf(0, "pinned"))).kind, "miss");
      await store(cache, tagOf(0, "pinned"), bytesOf(round, 5000));
      expectHit(await cache.get(tagOf(0, "pinned")), bytesOf(round, 5000));
      const status = await cache.status();
      assert.equal(status.epoch, epoch + round);
      assert.equal((await cache.pins()).pins.length, 1);
      assert.equal(descriptorsBelow(index).length, before, "a descriptor is left");
    }
    await cache.close();
    assert.equal(descriptorsBelow(directory).length, 0);
    assert.equal((await startOf(directory, OPTIONS)).kind, "clean");
    await expectSound(directory);
  });
});

deadIndex("as long as no new one can be made it is bypassed as io-error, and a stop ends", async () => {
  const { mkdirSync } = fs;
  const put = (call: typeof mkdirSync): void => {
    fs.mkdirSync = call;
    syncBuiltinESMExports();
  };
  await withPlace(async (directory) => {
    const logged: string[] = [];
    const log = (_level: string, message: string, more?: unknown): unknown =>
      logged.push(`${message} ${JSON.stringify(more)}`);
    const cache = await openAt(directory, { ...OPTIONS, log });
    await store(cache, tagOf(0), bytesOf(0, 5000));
    put((() => {
      throw Object.assign(new Error("EIO: i/o error, mkdir"), { code: "EIO" });
    }) as unknown as typeof mkdirSync);
    try {
      failSyncedWrites(path.join(directory, "index"));
      await useUntilDead(cache, () => logged.some((line) => line.includes("no new index yet")));
      for (let round = 0; round < 100; round += 1) {
        assert.deepEqual(await inTime("get", cache.get(tagOf(0))), { kind: "bypass", reason: "io-error" });
        const answer = await inTime("put", cache.put(tagOf(round), bytesOf(round, 5000)));
        assert.deepEqual(answer, { kind: "bypass", reason: "io-error" });
      }
      assert.ok((await cache.status()).bypassed["io-error"]! >= 200);
    } finally {
      put(mkdirSync);
    }
    await until(() => logged.some((line) => line.includes("a new index")));
    await store(cache, tagOf(0), bytesOf(1, 5000));
    failSyncedWrites(path.join(directory, "index"));
    await cache.put(tagOf(1), bytesOf(1, 5000));
    await inTime("close", cache.close()).catch(() => undefined); // clean or not
    assert.equal(descriptorsBelow(directory).length, 0);
    await (await openAt(directory, OPTIONS)).close();
    await expectSound(directory);
  });
});

deadIndex.run();
