/** Pins of the engine: what they keep, how much, and what they survive. */
import "../../support/in-memory.js";
import assert from "node:assert/strict";
import path from "node:path";
import { suite } from "uvu";
import { Environment } from "../../../index/environment.js";
import { sealed } from "../../../index/sealed-store.js";
import { encodePin } from "../../../index/ledger-pins.js";
import { PAGE_BYTES, SLOT_BYTES } from "../../../index/core/layout.js";
import type { OwnedCache } from "../../../engine/api.js";
import { PINS_MAX, wipeDirectory } from "../../../engine/cache.js";
import {
  CAPACITY_BYTES,
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  store,
  tagOf,
  withCache,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const pins = suite("pins");
const FILE = { fs: "test", volume: "volume", inode: "pinned" };
const TREE = { fs: "test", volume: "volume", inodePrefix: "tree/" };

async function fill(cache: OwnedCache, inode: string, blocks: number, volume = "volume"): Promise<void> {
  for (let block = 0; block < blocks; block += 1) {
    await store(cache, tagOf(block, inode, volume), bytesOf(block, SLOT_BYTES));
  }
}

/** More than the capacity has room for. */
const press = (cache: OwnedCache) => fill(cache, "press", (1.5 * CAPACITY_BYTES) / SLOT_BYTES);

async function count(cache: OwnedCache, inode: string, blocks: number, volume = "volume"): Promise<number> {
  let there = 0;
  for (let block = 0; block < blocks; block += 1) {
    if (await cache.has(tagOf(block, inode, volume))) there += 1;
  }
  return there;
}

pins("are never culled, whether they were made before or after their content", async () => {
  await withCache({}, async (cache) => {
    await fill(cache, "pinned", 20);
    await cache.pin(FILE);
    await cache.pin(TREE);
    await cache.pin({ fs: "test", volume: "whole" });
    await fill(cache, "tree/a/b", 20);
    await fill(cache, "any", 20, "whole");
    await press(cache);
    assert.equal(await count(cache, "pinned", 20), 20);
    assert.equal(await count(cache, "tree/a/b", 20), 20);
    assert.equal(await count(cache, "any", 20, "whole"), 20);
    expectHit(await cache.get(tagOf(7, "pinned")), bytesOf(7, SLOT_BYTES));
    const { pins: pinned, culled } = await cache.status();
    assert.deepEqual(pinned, { count: 3, bytes: 60 * SLOT_BYTES, bytesMax: CAPACITY_BYTES / 2 });
    assert.ok(culled > 0);
    await assert.rejects(cache.cull({ usedBytesMax: 0 }), withCode("E_NO_SPACE"));
    assert.equal(await count(cache, "pinned", 20), 20);
    assert.ok((await cache.status()).notCulled.pinned > 0);
  });
});

pins("that are taken away leave blocks that can be culled, as if just used", async () => {
  await withCache({}, async (cache) => {
    await fill(cache, "pinned", 20);
    await cache.pin(FILE);
    await fill(cache, "other", 5);
    await cache.unpin(FILE);
    const { recency, victim } = await cache.explain(tagOf(0, "pinned"));
    assert.deepEqual(recency, { used: 25, rank: 6 });
    assert.equal(victim, true);
    assert.equal((await cache.status()).pins.bytes, 0);
    await press(cache);
    assert.equal(await count(cache, "pinned", 20), 0);
  });
});

pins("that overlap keep a block until the last of them is gone", async () => {
  await withCache({}, async (cache) => {
    const file = { ...FILE, inode: "tree/x" };
    await fill(cache, "tree/x", 10);
    await cache.pin(TREE);
    await cache.pin(file);
    await cache.unpin(TREE);
    assert.equal((await cache.status()).pins.bytes, 10 * SLOT_BYTES);
    await cache.unpin(file);
    assert.equal((await cache.status()).pins.bytes, 0);
  });
});

pins("survive a restart with their content, and keep it", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    await fill(first, "pinned", 20);
    await fill(first, "tree/1", 20);
    await first.pin(FILE);
    await first.pin(TREE);
    const before = await first.pins();
    await first.close();
    await expectSound(directory);
    const again = await openAt(directory);
    assert.equal((await again.status()).start.kind, "clean");
    assert.deepEqual(await again.pins(), before);
    assert.equal((await again.status()).pins.bytes, 40 * SLOT_BYTES);
    await press(again);
    assert.equal(await count(again, "pinned", 20), 20);
    assert.equal(await count(again, "tree/1", 20), 20);
    await again.unpin(FILE);
    await again.close();
    const last = await openAt(directory);
    assert.deepEqual(
      (await last.pins()).pins.map(({ inodePrefix }) => inodePrefix?.toString()),
      ["tree/"],
    );
    await last.close();
    await expectSound(directory);
  });
});

pins("survive every wipe, and what is stored after it is kept again", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    await fill(cache, "pinned", 4);
    await cache.pin(FILE);
    await cache.wipe();
    const [pin] = (await cache.pins()).pins;
    assert.deepEqual([pin?.blocks, pin?.protectedBytes, pin?.refetch], [0, 0, true]);
    await fill(cache, "pinned", 4);
    await press(cache);
    assert.equal(await count(cache, "pinned", 4), 4);
    await cache.close();
    await wipeDirectory({ directory });
    await expectSound(directory);
    const again = await openAt(directory);
    assert.equal((await again.pins()).pins[0]?.refetch, true);
    await again.close();
  });
});

pins("stay within their budget: what goes beyond it is stored, but can be culled", async () => {
  await withCache({ pinPercent: 10 }, async (cache) => {
    const bytesMax = Math.floor(CAPACITY_BYTES / 10);
    const fits = Math.floor(bytesMax / SLOT_BYTES);
    await cache.pin(FILE);
    await fill(cache, "pinned", 2 * fits);
    const [pin] = (await cache.pins()).pins;
    assert.deepEqual([pin?.blocks, pin?.protectedBytes], [2 * fits, fits * SLOT_BYTES]);
    assert.deepEqual((await cache.status()).pins, { count: 1, bytes: fits * SLOT_BYTES, bytesMax });
    assert.equal((await cache.explain(tagOf(0, "pinned"))).pin, "pinned");
    const beyond = await cache.explain(tagOf(2 * fits - 1, "pinned"));
    assert.deepEqual([beyond.pin, beyond.victim], ["beyond-budget", true]);
    assert.match(beyond.why, /no room in the share of pins/);
    await press(cache);
    assert.equal(await count(cache, "pinned", 2 * fits), fits);

    await fill(cache, "other", 1);
    await assert.rejects(cache.pin({ ...FILE, inode: "other" }), withCode("E_NO_SPACE", /^Cannot pin.*want/));
    await assert.rejects(cache.pin({ ...FILE, inode: "absent" }), withCode("E_NO_SPACE"));
    assert.equal((await cache.pins()).pins.length, 1);
    await cache.unpin(FILE);
    assert.equal((await cache.pin({ ...FILE, inode: "other" })).added, true);
  });
});

pins("whose content does not fit are refused whole, and nothing is pinned", async () => {
  await withCache({ pinPercent: 10 }, async (cache) => {
    await fill(cache, "pinned", 40);
    await assert.rejects(cache.pin(FILE), withCode("E_NO_SPACE", /10.0 MiB in 40 slots/));
    assert.deepEqual(await cache.pins(), { pins: [], more: false });
    assert.equal((await cache.status()).pins.bytes, 0);
  });
});

pins("take slots as they take bytes, so that small blocks leave room for others", async () => {
  await withCache({ pinPercent: 50, slotsMax: 64 }, async (cache) => {
    await cache.pin(FILE);
    for (let block = 0; block < 60; block += 1) await store(cache, tagOf(block, "pinned"), bytesOf(1, 100));
    assert.equal((await cache.status()).pins.bytes, 32 * PAGE_BYTES);
    for (let block = 0; block < 60; block += 1) await store(cache, tagOf(block, "other"), bytesOf(1, 100));
    assert.equal(await count(cache, "pinned", 32), 32);
  });
});

pins("get what another one gives up, or what more capacity gives", async () => {
  await withCache({ pinPercent: 20 }, async (cache) => {
    const other = { ...FILE, inode: "other" };
    await cache.pin(FILE);
    await cache.pin(other);
    await fill(cache, "pinned", 51);
    await fill(cache, "other", 30);
    const protectedOf = async () => (await cache.pins()).pins.map((pin) => pin.protectedBytes / SLOT_BYTES);
    assert.deepEqual(await protectedOf(), [51, 0]);
    await cache.configure({ capacityBytes: 2 * CAPACITY_BYTES, pinPercent: 15 });
    assert.deepEqual(await protectedOf(), [51, 25]);
    await cache.unpin(FILE);
    assert.deepEqual(await protectedOf(), [30]);
    const refused = cache.configure({ capacityBytes: CAPACITY_BYTES, pinPercent: 1 });
    await assert.rejects(refused, withCode("E_CONFIG", /are pinned/));
    await assert.rejects(cache.configure({ pinPercent: 91 }), withCode("E_CONFIG"));
    await assert.rejects(cache.configure({ pinPercent: -1 }), withCode("E_CONFIG"));
    await assert.rejects(
      cache.configure({ capacityBytes: CAPACITY_BYTES, slotsMax: 50 }),
      withCode("E_CONFIG", /slots: 30 are pinned/),
    );
    assert.equal(cache.limits.capacityBytes, 2 * CAPACITY_BYTES);
  });
});

pins(
  "beyond the budget of a restart with less capacity are kept as far as it goes, the last used ones",
  async () => {
    await withPlace(async (directory) => {
      const cache = await openAt(directory);
      await cache.pin(FILE);
      await fill(cache, "pinned", 100);
      await cache.get(tagOf(0, "pinned"));
      await cache.close();
      const small = await openAt(directory, { pinPercent: 10 });
      const { pins: pinned } = await small.status();
      assert.equal(pinned.bytes, 25 * SLOT_BYTES);
      assert.equal((await small.explain(tagOf(0, "pinned"))).pin, "pinned");
      assert.equal((await small.explain(tagOf(1, "pinned"))).pin, "beyond-budget");
      await small.close();
      await expectSound(directory);
    });
  },
);

pins("count in the shares of the capacity, and shares cannot cull them", async () => {
  const shares = [{ fs: "test", volume: "volume", maxPercent: 25 }];
  await withCache({ shares }, async (cache) => {
    await fill(cache, "pinned", 40);
    await cache.pin(FILE);
    assert.equal((await cache.status()).shares[0]?.usedBytes, 40 * SLOT_BYTES);
    await fill(cache, "other", 60);
    assert.equal(await count(cache, "pinned", 40), 40);
    assert.ok((await cache.status()).shares.every(({ usedBytes }) => usedBytes <= CAPACITY_BYTES / 4));
    await cache.configure({ capacityBytes: CAPACITY_BYTES });
    assert.equal((await cache.status()).pins.bytes, 40 * SLOT_BYTES);
    await cache.unpin(FILE);
    assert.equal((await cache.status()).pins.bytes, 0);
  });
});

pins("leave nothing behind when their blocks are overwritten, removed or invalidated", async () => {
  await withCache({}, async (cache) => {
    await cache.pin(FILE);
    await fill(cache, "pinned", 10);
    await fill(cache, "pinned", 10);
    assert.equal((await cache.status()).pins.bytes, 10 * SLOT_BYTES);
    for (let block = 0; block < 10; block += 1) await cache.remove(tagOf(block, "pinned"));
    assert.equal((await cache.status()).pins.bytes, 0);
  });
});

pins("have a number and a size of names that is not passed", async () => {
  await withCache({}, async (cache) => {
    const name = "x".repeat(65_000);
    for (let number = 0; ; number += 1) {
      const pin = cache.pin({ fs: "test", volume: name, inode: `${name}${number}` });
      if (number < 129) await pin;
      else {
        await assert.rejects(pin, withCode("E_LIMIT", /16777216/));
        break;
      }
    }
    assert.deepEqual(await cache.unpin({ all: true }), { removed: 129 });
  });
  await withPlace(async (directory) => {
    await (await openAt(directory)).close();
    const ledger = Environment.open({
      directory: path.join(directory, "ledger"),
      regime: "durable",
      mapBytes: 64 * MIB,
      tables: ["state", "pins"],
    });
    const [fs, volume] = [Buffer.from("test"), Buffer.from("volume")];
    const pinsOf = Array.from({ length: PINS_MAX }, (_, id) => {
      const key = Buffer.alloc(8);
      key.writeUInt32BE(id + 1, 4);
      const pin = { id, fs, volume, scope: "file", name: Buffer.from(`file${id}`), epoch: 1 } as const;
      return { table: "pins", key, value: sealed("pins", key, encodePin(pin)) } as const;
    });
    await ledger.commit(pinsOf);
    await ledger.close();
    const cache = await openAt(directory);
    await assert.rejects(cache.pin(FILE), withCode("E_LIMIT", new RegExp(`${PINS_MAX}`)));
    const page = await cache.pins();
    assert.deepEqual([page.pins.length, page.more], [500, true]);
    assert.deepEqual(await cache.unpin({ fs: "test" }), { removed: PINS_MAX });
    await cache.close();
  });
});

pins.run();
