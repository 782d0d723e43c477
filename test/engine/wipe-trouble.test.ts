/** A wipe that can't be made leaves the cache as it was, and at work. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { suite } from "uvu";
import { bytesOf, expectHit, store, tagOf, withCache, withCode } from "../support/temp-cache.js";

const test = suite("a wipe that fails");

/** Runs `body` while no directory can be made. */
async function withoutRoom(body: () => Promise<void>): Promise<void> {
  const { mkdirSync } = fs;
  const full = Object.assign(new Error("ENOSPC: no space left on device, mkdir"), { code: "ENOSPC" });
  const put = (call: typeof mkdirSync): void => {
    fs.mkdirSync = call;
    syncBuiltinESMExports();
  };
  put((() => {
    throw full;
  }) as unknown as typeof mkdirSync);
  try {
    await body();
  } finally {
    put(mkdirSync);
  }
}

test("the cache goes on with what it had when no new index can be made", async () => {
  await withCache({}, async (cache) => {
    await store(cache, tagOf(0), bytesOf(0, 5000));
    await withoutRoom(() => assert.rejects(cache.wipe(), withCode("E_IO", /Cannot wipe.*ENOSPC/)));
    expectHit(await cache.get(tagOf(0)), bytesOf(0, 5000));
    await store(cache, tagOf(1), bytesOf(1, 5000));
    assert.equal(await cache.remove(tagOf(1)), true);
    await cache.wipe();
    assert.equal((await cache.get(tagOf(0))).kind, "miss");
    await store(cache, tagOf(2), bytesOf(2, 5000));
  });
});

test("a caller who tries again at once does not hold a wipe up", async () => {
  await withCache({}, async (cache) => {
    await store(cache, tagOf(0), bytesOf(0, 5000));
    let wiped = false;
    const wipe = cache.wipe().then(() => (wiped = true));
    while (!wiped) await cache.put(tagOf(1), bytesOf(1, 5000));
    await wipe;
    await store(cache, tagOf(1), bytesOf(1, 5000));
  });
});

test.run();
