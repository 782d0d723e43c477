import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { type BlockCache, driveSpace } from "../../../engine/cache.js";
import { FaultyIo } from "../../support/faulty-io.js";
import {
  MIB,
  bytesOf,
  expectHit,
  openAt,
  pause,
  slotFiles,
  store,
  tagOf,
  until,
  withCache,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const resize = suite("limits that change while the cache runs");

const LARGE = { capacityBytes: 32 * MIB, slotsMax: 200 };
const SMALL = { capacityBytes: 8 * MIB, slotsMax: 24 };
const BLOCKS = 100;

async function fill(cache: BlockCache, blocks = BLOCKS): Promise<void> {
  for (let block = 0; block < blocks; block += 1)
    await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
}

function allocatedBytes(directory: string): number {
  let bytes = 0;
  for (const file of slotFiles(directory).values()) bytes += fs.lstatSync(file).blocks * 512;
  return bytes;
}

resize("a shrink gives the space back within the call and keeps what was used last", async () => {
  await withCache(LARGE, async (cache, directory) => {
    await fill(cache);
    const before = allocatedBytes(directory);
    assert.ok(before >= BLOCKS * SLOT_BYTES);
    const limits = await cache.configure(SMALL);
    assert.equal(limits.capacityBytes, SMALL.capacityBytes);
    assert.deepEqual(cache.limits, limits);
    const { usedBytes, indexBytes, slots, slotsMax } = await cache.status();
    assert.equal(slotsMax, SMALL.slotsMax);
    assert.ok(usedBytes + indexBytes <= SMALL.capacityBytes);
    assert.ok(slots.total <= SMALL.slotsMax);
    assert.ok(allocatedBytes(directory) <= usedBytes);
    assert.ok(slotFiles(directory).size <= SMALL.slotsMax);
    await until(async () => (await cache.status()).slots.free > 0);
    const { used } = (await cache.status()).slots;
    assert.ok(used >= 20, `${used} are left`);
    for (let block = BLOCKS - used; block < BLOCKS; block += 1) {
      expectHit(await cache.get(tagOf(block)), bytesOf(block, SLOT_BYTES));
    }
  });
});

resize("growing counts at once, and the numbers of removed slots are not used again", async () => {
  await withCache(LARGE, async (cache, directory) => {
    await fill(cache);
    await cache.configure(SMALL);
    const kept = new Set(slotFiles(directory).keys());
    await cache.configure(LARGE);
    const before = (await cache.status()).culled;
    await fill(cache, 90);
    assert.equal((await cache.status()).culled, before, "nothing is culled in the room that there is");
    for (const number of slotFiles(directory).keys()) assert.ok(kept.has(number) || number >= BLOCKS);
  });
});

resize(
  "a shrink ends while writers write as fast as they can, and the new limit holds from its end",
  async () => {
    await withCache(LARGE, async (cache) => {
      await fill(cache);
      let writing = true;
      let stored = 0;
      const writers = Array.from({ length: 8 }, async (_, writer) => {
        for (let block = 0; writing; block += 1) {
          const put = await cache.put(tagOf(block, `writer ${writer}`), bytesOf(block, SLOT_BYTES));
          if (put.kind === "stored") stored += 1;
        }
      });
      await cache.configure(SMALL);
      for (let sample = 0; sample < 50; sample += 1) {
        const { usedBytes, indexBytes } = await cache.status();
        assert.ok(usedBytes + indexBytes <= SMALL.capacityBytes, `${usedBytes} + ${indexBytes}`);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      const then = stored;
      await until(() => stored > then + 100);
      writing = false;
      await Promise.all(writers);
    });
  },
);

resize("what is refused changes nothing", async () => {
  await withCache(LARGE, async (cache) => {
    await fill(cache, 20);
    const { limits } = cache;
    for (const [options, message] of [
      [{ capacityBytes: 4 * MIB - 1 }, /capacity of \d+ bytes: want at least 16 slots/],
      [{ capacityBytes: 2 ** 52 }, /capacity of \d+ bytes: the drive has \d+/],
      [{ slotsMax: 15 }, /15 slots: want 16 to/],
      [{ indexPercent: 0 }, /index share of 0 %/],
      [{ bstop: 5 }, /bstop 5 %, bcull 5 %, brun 7 %: want bstop below bcull below brun/],
      [{ fcull: 8 }, /fstop 3 %, fcull 8 %, frun 7 %/],
      [{ brun: 100 }, /brun 100 %: want 0 or more, below 100/],
      [{ bcull: Number.NaN }, /bcull NaN %/],
      [
        {
          shares: [
            { fs: "a", minPercent: 60 },
            { fs: "b", minPercent: 41 },
          ],
        },
        /101 % together: want at most 100/,
      ],
      [{ shares: [{ fs: "a", minPercent: 101 }] }, /101 % of a: want 0 to 100/],
      [{ shares: [{ fs: "a" }] }, /share of a without figures/],
      [{ shares: [{ fs: "a", maxPercent: 5, minPercent: 6 }] }, /6 % at least and 5 % at most of a/],
      [
        {
          shares: [
            { fs: "a", maxPercent: 5 },
            { fs: "a", volume: "v", minPercent: 6 },
          ],
        },
        /6 % for volumes of a/,
      ],
      [
        {
          shares: [
            { fs: "a", maxPercent: 5 },
            { fs: "a", minPercent: 5 },
          ],
        },
        /two shares of a/,
      ],
      [{ shares: [{ fs: "a", maxPercent: 0.5 }] }, /share of 0.5 % of a: .* want room for a block/],
    ] as const) {
      await assert.rejects(cache.configure({ ...LARGE, ...options }), withCode("E_CONFIG", message));
    }
    assert.deepEqual(cache.limits, limits);
    assert.equal((await cache.status()).culled, 0);
  });
});

resize("what is left out goes back to its default", async () => {
  await withCache({ ...LARGE, brun: 9, shares: [{ fs: "a", maxPercent: 50 }] }, async (cache) => {
    assert.equal(cache.limits.brun, 9);
    const limits = await cache.configure({ capacityBytes: 16 * MIB });
    assert.equal(limits.brun, 7);
    assert.equal(limits.slotsMax, 512);
    assert.deepEqual(limits.shares, []);
  });
});

resize("culling to a size has an end beside writers who never pause", async () => {
  await withCache(LARGE, async (cache) => {
    await fill(cache, 200);
    let over = false;
    const block = bytesOf(1, SLOT_BYTES);
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let next = 0; !over; next += 1) await cache.put(tagOf(next % 500, `writer ${writer}`), block);
    });
    try {
      for (const usedBytesMax of [20 * MIB, 4 * MIB]) {
        const culled = cache.cull({ usedBytesMax });
        assert.ok(await Promise.race([culled.then(() => true), pause(10_000)]), "it has an end");
        assert.ok((await culled).bytes >= 8 * MIB); // what is used by now is the writers' matter again
      }
      await until(async () => (await cache.status()).usedBytes > 12 * MIB); // the room is theirs again
    } finally {
      over = true;
      await Promise.all(writers);
    }
  });
});

resize("culling to a size keeps the capacity and gives the bytes back", async () => {
  await withCache(LARGE, async (cache, directory) => {
    await fill(cache);
    const report = await cache.cull({ usedBytesMax: 10 * MIB });
    assert.equal(report.usedBytes, (await cache.status()).usedBytes);
    assert.ok(report.usedBytes <= 10 * MIB && report.usedBytes > 9 * MIB, `${report.usedBytes}`);
    assert.ok(report.blocks >= 60 && report.blocks < 64, `${report.blocks}`);
    assert.equal(report.bytes, BLOCKS * SLOT_BYTES - report.usedBytes);
    assert.ok(allocatedBytes(directory) <= 10 * MIB);
    assert.deepEqual(await cache.cull({ usedBytesMax: 10 * MIB }), {
      blocks: 0,
      bytes: 0,
      usedBytes: report.usedBytes,
    });
    await fill(cache, 90);
    assert.equal((await cache.status()).slots.used, 90 + 10);
    const all = await cache.cull({ usedBytesMax: 0 });
    assert.equal(all.usedBytes, 0);
    assert.equal(all.blocks, 100);
    assert.equal(allocatedBytes(directory), 0);
  });
});

resize("what is read meanwhile is waited for, and told of when it does not end", async () => {
  const io = new FaultyIo();
  await withPlace(async (directory) => {
    const cache = await openAt(directory, { ...LARGE, io });
    await fill(cache, 20);
    await cache.close();
    const again = await openAt(directory, { ...LARGE, io });
    const held = io.hold("read", 2);
    // A block that nobody has read since the start is read off the event loop.
    const reads = [again.get(tagOf(0)), again.get(tagOf(1))];
    await held.reached;
    const culled = again.cull({ usedBytesMax: 0 });
    await until(async () => (await again.status()).usedBytes === 2 * SLOT_BYTES);
    assert.ok((await again.status()).notCulled.inUse > 0);
    await assert.rejects(culled, withCode("E_NO_SPACE", /128 pages of 4 KiB too many are in use/));
    held.release();
    for (const [block, read] of reads.entries()) expectHit(await read, bytesOf(block, SLOT_BYTES));
    assert.equal((await again.cull({ usedBytesMax: 0 })).usedBytes, 0);
    await again.close();
  });
});

resize(
  "slots that can't be given back are set aside, and a drive that fails altogether is told of",
  async () => {
    const io = new FaultyIo();
    await withPlace(async (directory) => {
      const cache = await openAt(directory, { ...LARGE, io });
      await fill(cache);
      io.fail("ftruncate", "EIO", 3);
      const { usedBytes } = await cache.cull({ usedBytesMax: 10 * MIB });
      assert.ok(usedBytes <= 10 * MIB);
      assert.equal((await cache.status()).slots.quarantined, 3);
      io.fail("ftruncate", "EIO", 1000);
      await assert.rejects(cache.cull({ usedBytesMax: 0 }), withCode("E_IO"));
      assert.ok((await cache.status()).slots.quarantined <= 3 + 16);
      io.heal();
      await store(cache, tagOf(1), bytesOf(1, SLOT_BYTES));
      await cache.close();
    });
  },
);

resize("a wipe that comes in between does not keep a shrink from its end", async () => {
  await withCache(LARGE, async (cache) => {
    await fill(cache);
    const [limits] = await Promise.all([cache.configure(SMALL), cache.wipe()]);
    assert.equal(limits.slotsMax, SMALL.slotsMax);
    assert.ok((await cache.status()).slots.total <= SMALL.slotsMax);
    await fill(cache, 10);
  });
});

resize("a close in between ends a shrink", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, LARGE);
    await fill(cache);
    const shrinking = assert.rejects(cache.configure(SMALL), withCode("E_CLOSED"));
    await cache.close();
    await shrinking;
    await assert.rejects(cache.configure(SMALL), withCode("E_CLOSED"));
    await assert.rejects(cache.cull({ usedBytesMax: 0 }), withCode("E_CLOSED"));
    const next = await openAt(directory, SMALL);
    assert.equal((await next.status()).start.kind, "clean");
    await next.close();
  });
});

resize("the default capacity counts what the cache has already", async () => {
  await withCache({}, async (cache, directory) => {
    const { capacityBytes } = await cache.configure({});
    const { availableBytes } = driveSpace(directory);
    assert.ok(capacityBytes <= Math.min(10 * 1024 ** 3, (availableBytes + 64 * MIB) / 5));
  });
});

resize.run();
