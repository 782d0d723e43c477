import assert from "node:assert/strict";
import { suite } from "uvu";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";

const test = suite("bytes of volumes");

/** A table with one slot for each [volume id, bytes]. */
function tableOf(tenants: ReadonlyArray<readonly [number, number]>): SlotTable {
  const table = new SlotTable();
  for (const [volumeId, bytes] of tenants) {
    const slot = table.append(STATE.used);
    if (bytes > 0) table.setTenant(slot, { volumeId, objectId: slot + 1, block: 0 }, bytes);
  }
  return table;
}

test("follow tenants as they come, change and go", () => {
  const table = tableOf([
    [1, 10],
    [2, 20],
    [1, 30],
  ]);
  assert.equal(table.volumes.of(1), 40);
  assert.equal(table.volumes.of(2), 20);
  assert.equal(table.volumes.of(3), 0);
  table.setTenant(0, { volumeId: 2, objectId: 9, block: 0 }, 5);
  assert.equal(table.volumes.of(1), 30);
  assert.equal(table.volumes.of(2), 25);
  table.setTenant(0, { volumeId: 2, objectId: 9, block: 0 }, 7);
  assert.equal(table.volumes.of(2), 27);
  table.clearTenant(2);
  assert.equal(table.volumes.of(1), 0);
});

test("are counted in slices after a start, whatever changes meanwhile", () => {
  const tenants = Array.from({ length: 100 }, (_, n) => [1 + (n % 7 === 0 ? 2 : n % 3), n % 5] as const);
  const table = SlotTable.from(tableOf(tenants).arrays());
  assert.equal(table.volumes.of(1), undefined);
  assert.equal(table.countVolumes(30), false);
  // One that is counted, one that is not, one that changes hands on either side, one that is new.
  table.clearTenant(4);
  table.clearTenant(94);
  table.setTenant(9, { volumeId: 4, objectId: 1, block: 0 }, 1000);
  table.setTenant(99, { volumeId: 4, objectId: 1, block: 1 }, 500);
  table.setTenant(table.append(STATE.used), { volumeId: 4, objectId: 1, block: 2 }, 70);
  while (!table.countVolumes(30)) assert.equal(table.volumes.of(4), undefined);
  const sums = new Map<number, number>();
  for (let slot = 0; slot < table.numbers; slot += 1) {
    const id = table.volumeIdOf(slot);
    sums.set(id, (sums.get(id) ?? 0) + table.validBytesOf(slot));
  }
  for (const id of [1, 2, 3, 4]) assert.equal(table.volumes.of(id), sums.get(id) ?? 0, `volume ${id}`);
  assert.equal(table.volumes.of(4), 1570);
  table.setTenant(5, { volumeId: 4, objectId: 2, block: 0 }, 1);
  assert.equal(table.volumes.of(4), 1571);
});

test("are kept of volumes with any id", () => {
  const table = tableOf([
    [63, 1],
    [64, 2],
    [65_000, 3],
    [2 ** 20 - 1, 4],
    [2 ** 20, 5],
    [2 ** 47, 6],
  ]);
  for (const [slot, id] of [63, 64, 65_000, 2 ** 20 - 1, 2 ** 20, 2 ** 47].entries()) {
    assert.equal(table.volumes.of(id), slot + 1, `volume ${id}`);
    table.clearTenant(slot);
    assert.equal(table.volumes.of(id), 0);
  }
});

test("are known at once in an empty table, and of one that was written empty", () => {
  assert.equal(new SlotTable().volumes.of(1), 0);
  const table = SlotTable.from(new SlotTable().arrays());
  assert.equal(table.countVolumes(1), true);
  assert.equal(table.volumes.of(1), 0);
});

test.run();
