/** What a cache counts, shown in its status. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { CacheStatus, OwnedCache, StatusCounts } from "../../engine/api.js";
import { VOLUMES_MAX } from "../../engine/api-counts.js";
import { IDLE_VOLUMES_MAX } from "../../engine/volumes.js";
import { SHOWN_NAME_MAX, shownName } from "../../engine/volume-tally.js";
import { bytesOf, openAt, withCache, withPlace } from "../support/temp-cache.js";

const test = suite("counts");

const tag = (volume: string, block = 0) => ({ fs: "f", volume, inode: "i", block });
const volumeOf = ({ volumes }: StatusCounts, name: string) => volumes.find(({ volume }) => volume === name);

async function until(cache: OwnedCache, condition: (status: CacheStatus) => boolean): Promise<CacheStatus> {
  for (const endMs = Date.now() + 10_000; Date.now() < endMs;) {
    const status = await cache.status();
    if (condition(status)) return status;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`waited in vain for: ${condition.toString()}`);
}

test("counts hits, misses, puts and bytes, of each volume and of all", async () => {
  await withCache({}, async (cache) => {
    assert.equal((await cache.status()).hitRatio, undefined);
    await cache.put(tag("a"), bytesOf(0, 1000));
    await cache.put(tag("b"), bytesOf(1, 500));
    await cache.get(tag("a"));
    await cache.get(tag("a"), { offsetBytes: 900, lengthBytes: 500 });
    await cache.get(tag("a", 7));
    await cache.get({ ...tag("a"), inode: "none" });
    await cache.get(tag("never named"));
    const status = await cache.status();
    assert.equal(status.hitRatio, 2 / 5);
    const a = { hits: 2, misses: 2, puts: 1, bytesHit: 1100, bytesStored: 1000, cachedBytes: 1000 };
    const b = { hits: 0, misses: 0, puts: 1, bytesHit: 0, bytesStored: 500, cachedBytes: 500 };
    assert.deepEqual(status.volumes, [
      { fs: "f", volume: "a", ...a },
      { fs: "f", volume: "b", ...b },
    ]);
    assert.deepEqual(status.otherVolumes, {
      hits: 0,
      misses: 1,
      puts: 0,
      bytesHit: 0,
      bytesStored: 0,
      cachedBytes: 0,
    });
    assert.equal(status.counters.bytesHit, 1100);
    assert.equal(status.counters.bytesStored, 1500);
    assert.equal(status.counters.slotWrites, 2);
    assert.deepEqual(status.names, { objectsKnown: 2, objectsLoaded: 2, volumesLoaded: 2 });
  });
});

test("names the busiest volumes and sums the others up", async () => {
  await withCache({}, async (cache) => {
    for (let number = 0; number < VOLUMES_MAX + 5; number += 1) {
      await cache.put(tag(`v${number}`), bytesOf(number, 100));
      for (let more = 0; more < number; more += 1) await cache.get(tag(`v${number}`));
    }
    const { volumes, otherVolumes, hits } = await cache.status();
    assert.deepEqual(
      volumes.map(({ volume }) => volume),
      Array.from({ length: VOLUMES_MAX }, (_, place) => `v${VOLUMES_MAX + 4 - place}`),
    );
    assert.equal(otherVolumes.puts, 5);
    assert.equal(otherVolumes.hits, 0 + 1 + 2 + 3 + 4);
    assert.equal(otherVolumes.cachedBytes, 500);
    assert.equal(otherVolumes.hits + volumes.reduce((sum, volume) => sum + volume.hits, 0), hits);
  });
});

test("what was counted for a volume that leaves memory, or before a wipe, is the others'", async () => {
  await withCache({}, async (cache) => {
    await cache.put(tag("early"), bytesOf(0, 100));
    await cache.get(tag("early"));
    await cache.wipe();
    let status = await cache.status();
    assert.deepEqual(status.volumes, []);
    assert.equal(status.otherVolumes.hits, 1);
    assert.equal(status.otherVolumes.cachedBytes, 0);
    const one = await cache.acquireVolume("f", "one");
    await cache.get({ ...tag("one"), inode: "none" });
    await one.relinquish();
    assert.equal(volumeOf(await cache.status(), "one")?.misses, 1);
    for (let number = 0; number <= IDLE_VOLUMES_MAX; number += 1)
      await (await cache.acquireVolume("f", `idle ${number}`)).relinquish();
    status = await cache.status();
    assert.equal(volumeOf(status, "one"), undefined);
    assert.equal(status.otherVolumes.misses, 1);
    assert.equal(status.counters.volumeAcquires.created, IDLE_VOLUMES_MAX + 2);
  });
});

test("knows the cached bytes of volumes again after a start", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (const volume of ["a", "b", "c"]) await cache.put(tag(volume), bytesOf(1, 1000));
    await cache.put(tag("a", 1), bytesOf(2, 234));
    await cache.close();
    const next = await openAt(directory);
    await next.get(tag("a"));
    const status = await until(next, ({ otherVolumes }) => otherVolumes.cachedBytes !== undefined);
    assert.equal(volumeOf(status, "a")?.cachedBytes, 1234);
    assert.equal(status.otherVolumes.cachedBytes, 2000);
    await next.remove(tag("a", 1));
    await until(next, (now) => volumeOf(now, "a")?.cachedBytes === 1000);
    await next.close();
  });
});

test("counts what handles do", async () => {
  await withCache({}, async (cache) => {
    const volume = await cache.acquireVolume("f", "v", { coherency: Buffer.from("1") });
    const file = await volume.acquireCookie("i", { sizeBytes: 10n });
    await file.write(0n, bytesOf(0, 10));
    await file.invalidate({ sizeBytes: 5n });
    await file.relinquish({ coherency: Buffer.from("2") });
    await (await volume.acquireCookie("i", { coherency: Buffer.from("3") })).relinquish({ retire: true });
    await volume.invalidate();
    await volume.relinquish();
    await (await cache.acquireVolume("f", "v")).relinquish();
    const { counters } = await cache.status();
    assert.deepEqual(counters.volumeAcquires, { found: 1, created: 1, invalidated: 0 });
    assert.deepEqual(counters.cookieAcquires, { found: 0, created: 1, invalidated: 1 });
    assert.deepEqual(counters.invalidations, { volumes: 1, cookies: 1 });
    assert.deepEqual(counters.relinquishes, { volumes: 2, cookies: 2, retired: 1 });
    assert.equal(counters.updates, 2);
    assert.equal((await until(cache, (now) => now.counters.reclaimed === 1)).slots.used, 0);
  });
});

test("counts commits and times them, puts, some reads, and slices of culling", async () => {
  await withCache({}, async (cache) => {
    for (let block = 0; block < 8; block += 1) await cache.put(tag("v", block), bytesOf(block, SLOT_BYTES));
    for (let turn = 0; turn < 64; turn += 1) await cache.get(tag("v"));
    for (let turn = 0; turn < 64; turn += 1) await cache.get(tag("v", 100));
    await cache.cull({ usedBytesMax: 0 });
    const { counters, latencies, culled } = await cache.status();
    assert.equal(culled, 8);
    assert.equal(counters.culledBytes, 8 * SLOT_BYTES);
    assert.ok(counters.commits > 0);
    assert.equal(latencies.commit.count, counters.commits);
    assert.equal(latencies.put.count, 8);
    assert.equal(latencies.hit.count, 4, "one in 16");
    assert.equal(latencies.miss.count, 4, "one in 16");
    assert.ok(latencies.cullSlice.count > 0);
    for (const { count, counts, sumMs } of Object.values(latencies)) {
      assert.equal(
        counts.reduce((sum, inBucket) => sum + inBucket, 0),
        count,
      );
      assert.ok(sumMs > 0);
    }
  });
});

test("shows a name of any length in bounded room, and different names as different ones", () => {
  assert.equal(shownName(Buffer.from("plain")), "plain");
  assert.equal(shownName(Buffer.from([0, 255])), "hex:00ff");
  const long = ["a", "b"].map((end) => "x".repeat(65_534) + end).concat("é".repeat(200), "😀".repeat(100));
  const shown = [...long.map((name) => Buffer.from(name)), Buffer.alloc(65_535, 0xff)].map(shownName);
  for (const name of shown)
    assert.ok(name.length <= SHOWN_NAME_MAX && Buffer.from(name).toString() === name, name);
  assert.equal(new Set(shown).size, shown.length);
  assert.equal(shownName(Buffer.from("y".repeat(SHOWN_NAME_MAX))), "y".repeat(SHOWN_NAME_MAX));
});

test.run();
