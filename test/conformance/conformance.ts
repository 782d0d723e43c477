/** What every BlockCache does, over a factory: the library, the daemon's client and the model pass the same suite. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache } from "../../engine/api.js";
import { adminTests } from "./admin.js";
import { argumentTests, blockTests, nameTests } from "./blocks.js";
import { handleTests, rangeTests } from "./files.js";
import { directoryTests } from "./directories.js";
import { metadataTests } from "./metadata.js";
import { invalidationTests, partTests } from "./parts.js";
import { leaseTests } from "./leases.js";
import { bytesOf, isHit, isStored, rejects, tagOf, VERSION_1 } from "./support.js";
import type { Check } from "./support.js";

export interface OpenedCache {
  /** Empty, with room for a few hundred blocks. */
  readonly cache: BlockCache;
  /** Frees what the cache needed, after it was closed. */
  readonly done?: () => Promise<void>;
}

/** Registers the suite under `name`; every test gets a cache of its own. */
export function conformance(name: string, open: () => Promise<OpenedCache>): void {
  const test = suite(`conformance: ${name}`);
  const check: Check = (behaviour, body) => {
    test(behaviour, async () => {
      const { cache, done } = await open();
      try {
        await body(cache);
      } finally {
        await cache.close();
        await done?.();
      }
    });
  };
  blockTests(check);
  nameTests(check);
  argumentTests(check);
  handleTests(check);
  rangeTests(check);
  metadataTests(check);
  directoryTests(check);
  partTests(check);
  invalidationTests(check);
  leaseTests(check);
  adminTests(check);
  wholeCacheTests(check);
  test.run();
}

function wholeCacheTests(check: Check): void {
  check("wipes everything at once and ends handles", async (cache) => {
    const before = (await cache.status()).epoch;
    const volume = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_1 });
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    await cookie.write(0n, bytesOf(1, 10));
    await cache.wipe();
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    await rejects(() => cookie.read(0n, 1), "E_STALE");
    await rejects(() => volume.acquireCookie("file"), "E_STALE");
    await rejects(() => volume.invalidate(), "E_STALE");
    await cookie.relinquish({ coherency: VERSION_1 });
    await rejects(() => cookie.relinquish(), "E_CLOSED");
    await volume.relinquish({ coherency: VERSION_1, invalidate: true });
    await rejects(() => volume.relinquish(), "E_CLOSED");
    assert.ok((await cache.status()).epoch > before);
    isStored(await cache.put(tagOf(0), bytesOf(2, 10)));
    isHit(await cache.get(tagOf(0)), bytesOf(2, 10));
    assert.is((await cache.acquireVolume("nfs", "volume")).outcome, "found");
  });

  check("tells its state", async (cache) => {
    const before = await cache.status();
    await cache.get(tagOf(0));
    await cache.put(tagOf(0), bytesOf(1, 5000));
    await cache.get(tagOf(0));
    const status = await cache.status();
    assert.is(status.state, "running");
    assert.match(status.cacheId, /^[0-9a-f]{16,}$/);
    assert.is(status.hits - before.hits, 1);
    assert.is(status.misses - before.misses, 1);
    assert.is(status.puts - before.puts, 1);
    assert.is(status.slots.used - before.slots.used, 1);
    assert.is(status.validBytes - before.validBytes, 5000);
    assert.ok(status.usedBytes + status.indexBytes <= status.capacityBytes);
    const { total, used, free, quarantined, unknown } = status.slots;
    assert.is(total, used + free + quarantined + unknown);
    for (const key of [
      "pid",
      "uptimeSeconds",
      "capacityBytes",
      "indexBytesMax",
      "slotsMax",
      "culled",
      "corrupt",
    ] as const) {
      assert.type(status[key], "number", key);
    }
    for (const key of ["version", "policy", "directory"] as const) assert.type(status[key], "string", key);
    assert.type(status.start.kind, "string");
    assert.type(status.start.ms, "number");
  });

  check("counts what was asked of each volume", async (cache) => {
    await cache.put(tagOf(0), bytesOf(1, 5000));
    await cache.get(tagOf(0), { offsetBytes: 4000 });
    await cache.get(tagOf(1));
    const { volumes, counters, hitRatio, latencies } = await cache.status();
    const [first] = volumes;
    assert.is(volumes.length, 1);
    assert.is(first?.fs, "nfs");
    assert.is(first?.volume, "volume");
    assert.is(first?.hits, 1);
    assert.is(first?.misses, 1);
    assert.is(first?.puts, 1);
    assert.is(first?.bytesHit, 1000);
    assert.is(first?.bytesStored, 5000);
    assert.is(counters.bytesHit, 1000);
    assert.is(counters.bytesStored, 5000);
    assert.is(hitRatio, 0.5);
    for (const { counts, boundsMs } of Object.values(latencies))
      assert.is(counts.length, boundsMs.length + 1);
  });

  check("culls to what is asked for, and tells what went", async (cache) => {
    const count = 8;
    for (let block = 0; block < count; block += 1) await cache.put(tagOf(block), bytesOf(block, SLOT_BYTES));
    const before = await cache.status();
    const usedBytesMax = before.usedBytes - 3 * SLOT_BYTES + 1;
    const some = await cache.cull({ usedBytesMax });
    assert.ok(some.usedBytes <= usedBytesMax, `${some.usedBytes} are used, want at most ${usedBytesMax}`);
    assert.ok(some.blocks >= 3 && some.blocks < count, `${some.blocks} went`);
    assert.is(some.bytes, before.usedBytes - some.usedBytes);
    const between = await cache.status();
    assert.is(between.usedBytes, some.usedBytes);
    assert.is(between.culled - before.culled, some.blocks);
    assert.is(between.capacityBytes, before.capacityBytes);
    let left = 0;
    for (let block = 0; block < count; block += 1) {
      const result = await cache.get(tagOf(block));
      if (result.kind === "miss") continue;
      isHit(result, bytesOf(block, SLOT_BYTES));
      left += 1;
    }
    assert.is(left, count - some.blocks);

    assert.equal(await cache.cull({ usedBytesMax: some.usedBytes }), {
      blocks: 0,
      bytes: 0,
      usedBytes: some.usedBytes,
    });
    assert.equal(await cache.cull({ usedBytesMax: 0 }), {
      blocks: left,
      bytes: some.usedBytes,
      usedBytes: 0,
    });
    assert.is((await cache.status()).slots.used, 0);
    isStored(await cache.put(tagOf(0), bytesOf(9, 100)));
    isHit(await cache.get(tagOf(0)), bytesOf(9, 100));
  });

  check("refuses to cull to what is no size", async (cache) => {
    for (const usedBytesMax of [-1, 0.5, Number.NaN, Infinity, 2 ** 53, "0", undefined, null]) {
      await rejects(() => cache.cull({ usedBytesMax: usedBytesMax as number }), "E_ARGUMENT");
    }
    await rejects(() => cache.cull({} as { usedBytesMax: number }), "E_ARGUMENT");
  });

  check("fails every call with E_CLOSED once closed", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    await Promise.all([cache.close(), cache.close()]);
    await cache.close();
    const calls: ReadonlyArray<() => Promise<unknown>> = [
      () => cache.get(tagOf(0)),
      () => cache.put(tagOf(0), bytesOf(0, 1)),
      () => cache.has(tagOf(0)),
      () => cache.remove(tagOf(0)),
      () => cache.acquireVolume("nfs", "volume"),
      () => cache.status(),
      () => cache.cull({ usedBytesMax: 0 }),
      () => cache.wipe(),
      () => cache.invalidate({ fs: "nfs" }),
      () => cache.flush({ all: true }),
      () => cache.list({ all: true }),
      () => cache.explain(tagOf(0)),
      () => cache.pin({ fs: "nfs", volume: "volume" }),
      () => cache.unpin({ all: true }),
      () => cache.pins(),
      () => volume.acquireCookie("file"),
      () => volume.invalidate(),
      () => volume.relinquish(),
      () => cookie.read(0n, 1),
      () => cookie.write(0n, bytesOf(0, 10)),
      () => cookie.invalidate(),
      () => cookie.zero(0n, 1),
      () => cookie.resize(5n),
      () => cookie.invalidateRange(0n, 1n),
      () => cookie.relinquish(),
    ];
    for (const call of calls) await rejects(call, "E_CLOSED");
  });
}
