import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { suite } from "uvu";
import { openCache } from "../../../engine/cache.js";
import { FreeLists } from "../../../engine/cull/free-lists.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import { StockTaking } from "../../../engine/cull/stock-taking.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import { fillDirectory, filledTag, fullLimits } from "../../bench/filled.js";
import { zeroIo } from "../../bench/zero-io.js";
import { bytesOf, expectHit, withPlace } from "../../support/temp-cache.js";

const stock = suite("slots after a wipe");

/** Three slices of the walk, and a bit. */
const SLOTS = 50_000;
const TENANT = { volumeId: 3, objectId: 2 ** 40, block: 7 };

/** Slots of one to four pages, in turn used, free and leaving, and a few that no wipe changes. */
function mixedTable(): { table: SlotTable; kept: number } {
  const table = new SlotTable();
  let kept = 0;
  for (let count = 0; count < SLOTS; count += 1) {
    if (count % 100 === 99) {
      table.append(count % 200 === 99 ? STATE.retired : STATE.quarantined);
      kept += 1;
      continue;
    }
    const state = [STATE.used, STATE.free, STATE.leaving][count % 3] as number;
    const slot = table.append(state);
    table.setPages(slot, 1 + (count % 4));
    if (state === STATE.used) table.setTenant(slot, TENANT, 4096);
  }
  return { table, kept };
}

stock("each is given out once, whatever it was, and none has a tenant", async () => {
  const { table, kept } = mixedTable();
  const { usedBytes } = table;
  table.wipe();
  assert.deepEqual([table.usedBytes, table.validBytes], [usedBytes, 0]);
  assert.equal(table.volumes.of(TENANT.volumeId), 0);
  assert.equal(table.isSettled, false);
  const free = new FreeLists(new SlotLinks());
  let slices = 0;
  const taking = new StockTaking({ table, free, onSlice: () => (slices += 1) });
  taking.start();
  assert.ok(free.slots > 0 && free.slots < SLOTS - kept, "a part at once");
  const early = free.takeAtLeast(1) as number; // a writer does not wait for the rest
  table.move(early, STATE.free, STATE.used);
  taking.start(); // at it already
  await taking.done();
  assert.ok(slices > 2);
  assert.equal(table.isSettled, true);
  const given = new Set([early]);
  for (let slot = free.takeAtLeast(0); slot !== undefined; slot = free.takeAtLeast(0)) {
    assert.ok(!given.has(slot), `slot ${slot} twice`);
    assert.equal(table.stateOf(slot), slot === early ? STATE.used : STATE.free);
    assert.deepEqual([table.objectIdOf(slot), table.volumeIdOf(slot), table.blockOf(slot)], [0, 0, 0]);
    given.add(slot);
  }
  assert.equal(given.size, SLOTS - kept);
});

stock("a walk that is stopped goes on where it was, and a second wipe begins anew", async () => {
  const { table, kept } = mixedTable();
  table.wipe();
  const first = new StockTaking({ table, free: new FreeLists(new SlotLinks()), onSlice: () => {} });
  first.start();
  await turn();
  await first.stop();
  const left = table.countOf(STATE.wiped);
  assert.ok(left > 0 && left < SLOTS - kept);
  first.start();
  await first.stop();
  assert.ok(table.countOf(STATE.wiped) < left);
  table.wipe();
  assert.equal(table.countOf(STATE.wiped), SLOTS - kept);
  const free = new FreeLists(new SlotLinks());
  const second = new StockTaking({ table, free, onSlice: () => {} });
  second.start();
  await second.done();
  assert.equal(free.slots, SLOTS - kept);
});

stock("a cache that was wiped twice and stopped at once begins with every slot free", async () => {
  await withPlace(async (place) => {
    const directory = `${place}/cache`;
    await fillDirectory({ directory, blocks: SLOTS, recency: "stored" });
    const options = { directory, ...fullLimits(SLOTS), io: zeroIo };
    const cache = await openCache(options);
    expectHit(await cache.get(filledTag(SLOTS - 1)), Buffer.alloc(4096));
    await cache.wipe();
    assert.equal((await cache.get(filledTag(SLOTS - 1))).kind, "miss");
    const tag = { fs: "f", volume: "v", inode: "i", block: 0 };
    assert.equal((await cache.put(tag, bytesOf(1, 100))).kind, "stored");
    await cache.wipe();
    const { slots, validBytes, usedBytes } = await cache.status();
    assert.deepEqual({ ...slots }, { total: SLOTS, used: 0, free: SLOTS, quarantined: 0, unknown: 0 });
    assert.deepEqual([validBytes, usedBytes], [0, SLOTS * 4096]);
    await cache.close();
    const again = await openCache(options);
    const status = await again.status();
    assert.equal(status.start.kind, "clean");
    assert.deepEqual([status.slots.used, status.slots.free], [0, SLOTS]);
    await again.close();
  });
});

stock("a shrink right after a wipe gives free slots back and culls nothing", async () => {
  await withPlace(async (place) => {
    const directory = `${place}/cache`;
    await fillDirectory({ directory, blocks: SLOTS, recency: "stored" });
    const cache = await openCache({ directory, ...fullLimits(SLOTS), io: zeroIo });
    await cache.wipe();
    const tag = { fs: "f", volume: "v", inode: "i", block: 0 };
    assert.equal((await cache.put(tag, Buffer.alloc(4096))).kind, "stored");
    const { usedBytes } = await cache.status();
    const report = await cache.cull({ usedBytesMax: usedBytes - 40_000 * 4096 });
    assert.deepEqual([report.blocks, report.bytes], [0, 40_000 * 4096]);
    expectHit(await cache.get(tag), Buffer.alloc(4096));
    await cache.close();
  });
});

stock.run();
