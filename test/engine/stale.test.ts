import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, VolumeHandle } from "../../engine/api.js";
import { FaultyIo } from "../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  openAt,
  pause,
  store,
  tagOf,
  withCache,
  withPlace,
} from "../support/temp-cache.js";

const stale = suite("content that ends while calls are under way");

interface Scene {
  readonly cache: BlockCache;
  readonly io: FaultyIo;
  readonly volume: VolumeHandle;
  readonly cookie: CookieHandle;
}

async function withScene(body: (scene: Scene) => Promise<void>): Promise<void> {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume", { coherency: Buffer.from("1") });
    const cookie = await volume.acquireCookie("file", {
      coherency: Buffer.from("1"),
      sizeBytes: BigInt(2 * SLOT_BYTES),
    });
    await body({ cache, io, volume, cookie });
  });
}

const OLD = bytesOf(1, SLOT_BYTES);
const NEW = bytesOf(2, SLOT_BYTES);
const coherency = Buffer.from("2");
const endings: Array<[string, (scene: Scene) => Promise<unknown>]> = [
  ["its cookie is invalidated", ({ cookie }) => cookie.invalidate()],
  ["its volume is invalidated", ({ volume }) => volume.invalidate()],
  [
    "its file is acquired with other coherency data",
    ({ volume }) => volume.acquireCookie("file", { coherency }),
  ],
  ["its file is acquired with another size", ({ volume }) => volume.acquireCookie("file", { sizeBytes: 5n })],
  [
    "its volume is acquired with other coherency data",
    ({ cache }) => cache.acquireVolume("test", "volume", { coherency }),
  ],
  ["its cookie is retired", ({ cookie }) => cookie.relinquish({ retire: true })],
  ["its volume is given up and invalidated", ({ volume }) => volume.relinquish({ invalidate: true })],
];

for (const [what, end] of endings) {
  stale(`a put under way when ${what} is not published`, async () => {
    await withScene(async (scene) => {
      const { cache, io } = scene;
      await store(cache, tagOf(0), OLD);
      const hold = io.hold("write");
      const put = cache.put(tagOf(0), NEW);
      await hold.reached;
      await end(scene);
      assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
      hold.release();
      assert.deepEqual(await put, { kind: "bypass", reason: "stale" });
      assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
      assert.equal(await cache.has(tagOf(0)), false);
      assert.equal((await cache.status()).bypassed.stale, 1);
      await store(cache, tagOf(0), NEW);
      expectHit(await cache.get(tagOf(0)), NEW);
    });
  });

  stale(`what was stored before ${what} is gone after a clean stop too`, async () => {
    await withPlace(async (directory) => {
      const cache = await openAt(directory);
      const volume = await cache.acquireVolume("test", "volume");
      const cookie = await volume.acquireCookie("file", { sizeBytes: BigInt(SLOT_BYTES) });
      await store(cache, tagOf(0), OLD);
      await end({ cache, io: new FaultyIo(), volume, cookie });
      await cache.close();
      const next = await openAt(directory);
      assert.equal(await next.has(tagOf(0)), false);
      assert.deepEqual(await next.get(tagOf(0)), { kind: "miss" });
      await store(next, tagOf(0), NEW);
      expectHit(await next.get(tagOf(0)), NEW);
      await next.close();
    });
  });
}

const takings: Array<[string, (scene: Scene) => Promise<unknown>]> = [
  ["a range with it is invalidated", ({ cookie }) => cookie.invalidateRange(0n, BigInt(2 * SLOT_BYTES))],
  ["its file gets shorter", ({ cookie }) => cookie.resize(0n)],
  ["its file system is invalidated", ({ cache }) => cache.invalidate({ fs: "test" })],
];

for (const [what, take] of takings) {
  stale(
    `a put that is under way when ${what}, and still is when that was cleaned up, is not published`,
    async () => {
      await withScene(async (scene) => {
        const { cache, io } = scene;
        await store(cache, tagOf(0), OLD);
        const hold = io.hold("write");
        const put = cache.put(tagOf(0), NEW);
        await hold.reached;
        await take(scene);
        await pause(100);
        hold.release();
        assert.deepEqual(await put, { kind: "bypass", reason: "stale" });
        assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
        await store(cache, tagOf(0), NEW);
        expectHit(await cache.get(tagOf(0)), NEW);
      });
    },
  );
}

stale("blocks of an invalidated volume are taken back without being asked for", async () => {
  await withCache({}, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    for (let block = 0; block < 20; block += 1) {
      await store(cache, tagOf(block, `file ${block % 3}`), bytesOf(block, 1000));
      await store(cache, tagOf(block, "file", "other"), bytesOf(block, 1000));
    }
    await volume.invalidate();
    await pause(600);
    assert.equal((await cache.status()).slots.used, 20);
    for (let block = 0; block < 20; block += 1) {
      expectHit(await cache.get(tagOf(block, "file", "other")), bytesOf(block, 1000));
    }
  });
});

/** A cold read of the block, held before it reaches the drive. */
async function withColdRead(
  meanwhile: (cache: BlockCache) => Promise<unknown>,
  after: (cache: BlockCache) => Promise<unknown>,
): Promise<void> {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    await store(first, tagOf(0), OLD);
    await first.close();
    const io = new FaultyIo();
    const cache = await openAt(directory, { io, slotsMax: 16 });
    const hold = io.hold("read");
    const read = cache.get(tagOf(0));
    await hold.reached;
    await meanwhile(cache);
    hold.release();
    expectHit(await read, OLD);
    await after(cache);
    await cache.close();
  });
}

stale("a cold read under way during an overwrite returns the old bytes whole", async () => {
  await withColdRead(
    async (cache) => {
      await store(cache, tagOf(0), NEW);
      expectHit(await cache.get(tagOf(0)), NEW);
      // Every slot but the one that is read is used again.
      for (let block = 1; block < 60; block += 1)
        await store(cache, tagOf(block), bytesOf(block + 5, SLOT_BYTES));
    },
    async (cache) => {
      const total = (await cache.status()).slots.total;
      for (let block = 60; block < 120; block += 1)
        await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
      assert.ok((await cache.status()).slots.total <= Math.max(16, total));
    },
  );
});

stale("a cold read under way during a removal returns the old bytes whole", async () => {
  await withColdRead(
    async (cache) => {
      assert.equal(await cache.remove(tagOf(0)), true);
      for (let block = 1; block < 40; block += 1)
        await store(cache, tagOf(block), bytesOf(block + 5, SLOT_BYTES));
    },
    async (cache) => assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" }),
  );
});

stale("a block that is read is not culled", async () => {
  await withColdRead(
    async (cache) => {
      for (let block = 1; block < 60; block += 1)
        await store(cache, tagOf(block), bytesOf(block + 5, SLOT_BYTES));
    },
    async () => {},
  );
});

stale(
  "a put under way while its block is cut is told so, and what was kept of the block stands",
  async () => {
    await withScene(async ({ cache, io, cookie }) => {
      await cookie.resize(BigInt(OLD.length));
      await store(cache, tagOf(0), OLD);
      const hold = io.hold("write");
      const put = cache.put(tagOf(0), NEW);
      await hold.reached;
      const keptBytes = OLD.length / 2;
      await cookie.resize(BigInt(keptBytes));
      hold.release();
      assert.deepEqual(await put, { kind: "bypass", reason: "stale" });
      const { bytes, missing } = await cookie.read(0n, OLD.length);
      assert.deepEqual(missing, []);
      assert.ok(bytes.equals(OLD.subarray(0, keptBytes)));
    });
  },
);

stale("a put under way during a wipe is not in the next life of the cache", async () => {
  await withScene(async ({ cache, io, volume, cookie }) => {
    await store(cache, tagOf(1), OLD);
    const hold = io.hold("write");
    const put = cache.put(tagOf(0), NEW);
    await hold.reached;
    const wiped = cache.wipe();
    await pause(5);
    assert.deepEqual(await cache.get(tagOf(1)), { kind: "bypass", reason: "closing" });
    assert.deepEqual(await cache.put(tagOf(2), NEW), { kind: "bypass", reason: "closing" });
    assert.equal((await cookie.read(0n, 10)).bypass, "closing");
    assert.equal((await cookie.write(0n, NEW)).bypass, "closing");
    hold.release();
    await put;
    await wiped;
    for (let block = 0; block < 3; block += 1)
      assert.deepEqual(await cache.get(tagOf(block)), { kind: "miss" });
    assert.equal((await cache.acquireVolume("test", "volume")).outcome, "created");
    await assert.rejects(volume.invalidate(), { code: "E_STALE" });
    await assert.rejects(cookie.invalidate(), { code: "E_STALE" });
  });
});

stale.run();
