import assert from "node:assert/strict";
import { suite } from "uvu";
import { PAGE_BYTES, SLOT_BYTES } from "../../../index/core/layout.js";
import type { BlockCache, ShareRule, Tag } from "../../../engine/cache.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import { LruPolicy } from "../../../engine/cull/policies/lru.js";
import { Ranking } from "../../../engine/cull/ranking.js";
import { Shares } from "../../../engine/cull/shares.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import {
  MIB,
  bytesOf,
  expectHit,
  openAt,
  randomOf,
  startOf,
  store,
  withCache,
  withPlace,
} from "../../support/temp-cache.js";

const shares = suite("shares of the capacity");

const LIMITS = { capacityBytes: 16 * MIB, slotsMax: 400 };
const named = (fs: string, volume: string, block: number): Tag => ({ fs, volume, inode: "file", block });

async function fill(cache: BlockCache, fs: string, volume: string, blocks: number): Promise<void> {
  for (let block = 0; block < blocks; block += 1) {
    await store(cache, named(fs, volume, block), bytesOf(block, SLOT_BYTES));
  }
}

async function kept(cache: BlockCache, fs: string, volume: string, blocks: number): Promise<number> {
  let count = 0;
  for (let block = 0; block < blocks; block += 1) if (await cache.has(named(fs, volume, block))) count += 1;
  return count;
}

shares("a volume never has more than its maximum, at the cost of its own blocks only", async () => {
  const rules: ShareRule[] = [{ fs: "afs", volume: "big", maxPercent: 25 }];
  await withCache({ ...LIMITS, shares: rules }, async (cache) => {
    await fill(cache, "afs", "other", 20);
    for (let block = 0; block < 60; block += 1) {
      await store(cache, named("afs", "big", block), bytesOf(block, SLOT_BYTES));
      const [share] = (await cache.status()).shares;
      assert.ok((share?.usedBytes ?? 0) <= 4 * MIB, `${share?.usedBytes}`);
    }
    assert.deepEqual((await cache.status()).shares, [
      { fs: "afs", volume: "big", maxBytes: 4 * MIB, usedBytes: 4 * MIB },
    ]);
    assert.equal(await kept(cache, "afs", "other", 20), 20);
    assert.equal(await kept(cache, "afs", "big", 60), 16);
    expectHit(await cache.get(named("afs", "big", 59)), bytesOf(59, SLOT_BYTES));
  });
});

shares("what a volume has up to its minimum stays while others come and go", async () => {
  const rules: ShareRule[] = [{ fs: "afs", volume: "home", minPercent: 25 }];
  await withCache({ ...LIMITS, shares: rules }, async (cache) => {
    await fill(cache, "afs", "home", 30);
    await fill(cache, "nfs", "scratch", 200);
    assert.equal(await kept(cache, "afs", "home", 30), 16);
    assert.equal(await kept(cache, "afs", "home", 14), 0, "its own oldest went");
    await fill(cache, "afs", "home", 60);
    assert.ok((await kept(cache, "afs", "home", 60)) > 40, "beyond its minimum it is like others");
  });
});

shares("a file system's share holds over its volumes, and their own within it", async () => {
  const rules: ShareRule[] = [
    { fs: "afs", maxPercent: 50 },
    { fs: "afs", volume: "home", minPercent: 12.5 },
  ];
  await withCache({ ...LIMITS, shares: rules }, async (cache) => {
    await fill(cache, "nfs", "v", 10);
    await fill(cache, "afs", "home", 8);
    await fill(cache, "afs", "one", 30);
    await fill(cache, "afs", "two", 30);
    const [all, home] = (await cache.status()).shares;
    assert.equal(all?.usedBytes, 8 * MIB);
    assert.equal(home?.usedBytes, 2 * MIB);
    assert.equal(await kept(cache, "nfs", "v", 10), 10);
    assert.equal(await kept(cache, "afs", "one", 30), 0);
    assert.equal(await kept(cache, "afs", "two", 30), 24);
  });
});

shares("they survive a restart, and can be given and taken while the cache runs", async () => {
  await withPlace(async (directory) => {
    const options = { ...LIMITS, shares: [{ fs: "afs", maxPercent: 50 }] };
    const first = await openAt(directory, options);
    await fill(first, "afs", "a", 20);
    await fill(first, "nfs", "n", 20);
    await first.close();
    const second = await openAt(directory, options);
    assert.equal((await second.status()).shares[0]?.usedBytes, 20 * SLOT_BYTES);
    await second.configure({ ...LIMITS, shares: [{ fs: "nfs", maxPercent: 25 }] });
    assert.deepEqual((await second.status()).shares, [{ fs: "nfs", maxBytes: 4 * MIB, usedBytes: 4 * MIB }]);
    assert.equal(await kept(second, "nfs", "n", 20), 16);
    assert.equal(await kept(second, "afs", "a", 20), 20);
    await second.configure(LIMITS);
    assert.deepEqual((await second.status()).shares, []);
    await fill(second, "nfs", "n", 30);
    assert.equal(await kept(second, "nfs", "n", 30), 30);
    await second.wipe();
    await second.close();
    assert.equal((await startOf(directory, options)).kind, "clean");
  });
});

shares("the least recently used goes first across shares, as it would without them", () => {
  const table = new SlotTable();
  const links = new SlotLinks();
  const rules = [
    { fs: "a", maxPercent: 100 },
    { fs: "b", volume: "v", maxPercent: 100 },
  ];
  const ranking = new Ranking(table, () => new LruPolicy(links));
  const plainTable = new SlotTable();
  const plain = new Ranking(plainTable, () => new LruPolicy(new SlotLinks()));
  ranking.regroup(new Shares(rules, () => 2 ** 40), () => 0);
  const random = randomOf(7);
  const slots = 300;
  for (let slot = 0; slot < slots; slot += 1) {
    for (const each of [table, plainTable]) each.append(STATE.free);
    ranking.insert(slot, Math.floor(random() * 3));
    plain.insert(slot);
  }
  for (let use = 0; use < 1000; use += 1) {
    const slot = Math.floor(random() * slots);
    ranking.touch(slot);
    plain.touch(slot);
  }
  assert.deepEqual([...ranking.order()], [...plain.order()]);
  for (let left = slots; left > 0; left -= 1) {
    const victim = ranking.victim(() => true) as number;
    assert.equal(
      victim,
      plain.victim(() => true),
    );
    ranking.remove(victim);
    plain.remove(victim);
  }
});

shares("names that run into each other are told apart", () => {
  const rules = [
    { fs: "ab", maxPercent: 1 },
    { fs: "a", volume: "b", maxPercent: 1 },
    { fs: Buffer.of(255), minPercent: 1 },
  ];
  const book = new Shares(rules, () => 400 * PAGE_BYTES);
  const of = (fs: Buffer | string, volume: string): number =>
    book.of({ fs: Buffer.from(fs), volume: Buffer.from(volume) });
  assert.deepEqual(
    [of("ab", ""), of("a", "b"), of("a", ""), of(Buffer.of(255), "x"), of("ÿ", "x")],
    [1, 2, 0, 3, 0],
  );
  book.charge(1, 4);
  assert.equal(book.isOver(1), false);
  assert.equal(book.isOver(1, 1), true);
  assert.equal(book.isKept(3), true);
});

shares.run();
