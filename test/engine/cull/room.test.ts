import assert from "node:assert/strict";
import { suite } from "uvu";
import { PAGE_BYTES, SLOT_PAGES } from "../../../index/core/layout.js";
import { Drive } from "../../../engine/cull/drive.js";
import { FreeLists } from "../../../engine/cull/free-lists.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import { SlotBytes } from "../../../engine/cull/slot-bytes.js";
import { PinSet } from "../../../engine/cull/pin-set.js";
import { makePolicy } from "../../../engine/cull/policies/make.js";
import { blockIdentity } from "../../../engine/cull/policy.js";
import { Ranking } from "../../../engine/cull/ranking.js";
import { Room } from "../../../engine/cull/room.js";
import type { Reservation } from "../../../engine/cull/waiting.js";
import { THRESHOLDS } from "../../../engine/limits.js";
import { POLICY_NAMES, type PolicyName } from "../../../engine/policy-names.js";
import { SlotFiles } from "../../../engine/slots/slot-files.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import { WriteBack } from "../../../engine/slots/write-back.js";
import { pause, until, withPlace } from "../../support/temp-cache.js";

const rooms = suite("room for new tenants");

interface Scene {
  readonly room: Room;
  readonly table: SlotTable;
  readonly culled: number[];
  /** Sets the pages that the drive has above its floor, and lets it be looked at. */
  drivePages(pages: number): Promise<void>;
  indexPressed: boolean;
}

/** A room over no index: removals are committed in the next turn of the event loop. Its slot files are never made. */
async function withRoom(
  { policy, ...limits }: { policy: PolicyName; slotsMax: number; pagesMax: number },
  body: (scene: Scene) => Promise<void>,
): Promise<void> {
  await withPlace(async (root) => {
    const links = new SlotLinks();
    const files = new SlotFiles({ root, descriptorsMax: 4 });
    const now = () => performance.now();
    const scene = { indexPressed: false, culled: [] as number[] };
    let drivePagesLeft = 1e6;
    const total = 1e9 * PAGE_BYTES;
    const look = () => ({
      totalBytes: total,
      availableBytes: total * 0.5 + drivePagesLeft * PAGE_BYTES,
      totalInodes: 0,
      availableInodes: 0,
    });
    const table = new SlotTable();
    const identityOf = (slot: number): number => blockIdentity(table.objectIdOf(slot), table.blockOf(slot));
    const thresholds = { ...THRESHOLDS, bstop: 50, bcull: 50.0001, brun: 50.0002 };
    const drive = new Drive({ space: look(), look: async () => look(), thresholds: () => thresholds, now });
    const room = new Room({
      table,
      free: new FreeLists(links),
      ranking: new Ranking(table, () => makePolicy(policy, { links, notes: new SlotBytes(), identityOf })),
      pins: new PinSet(),
      now,
      files,
      writeBack: new WriteBack({ files, now, onError: () => {} }),
      drive,
      limits: { slotsMax: limits.slotsMax, slotBytesMax: limits.pagesMax * PAGE_BYTES },
      dropEntry: () => {},
      committed: () => new Promise((resolve) => setImmediate(resolve)),
      sweep: async () => false,
      indexPressed: () => scene.indexPressed,
      onCulled: (slot) => scene.culled.push(slot),
      onSlice: () => undefined,
      onTrouble: () => {},
    });
    const drivePages = (pages: number): Promise<void> => {
      drivePagesLeft = pages;
      return drive.refresh();
    };
    await body(Object.assign(scene, { room, table, drivePages }));
    await room.close();
  });
}

function ownerOf(id: number) {
  const volume = { id: 1, fs: Buffer.from("test"), volume: Buffer.from("volume") };
  return {
    id,
    volume,
    inode: Buffer.from("file"),
    pinsVersion: -1,
    pinned: false,
    holds: 0,
    rank: "normal" as const,
  };
}

function granted(answer: Reservation | string): Reservation {
  assert.equal(typeof answer, "object", JSON.stringify(answer));
  return answer as Reservation;
}

async function fill(room: Room, pages: number, block: number): Promise<number> {
  const { slot } = granted(await room.reserve(pages));
  room.settle(slot, ownerOf(1), block, pages * PAGE_BYTES);
  return slot;
}

for (const policy of POLICY_NAMES) {
  rooms(
    `${policy}: no new slot is made while the drive is below its floor, what exists is used again`,
    async () => {
      await withRoom({ policy, slotsMax: 100, pagesMax: 10_000 }, async (scene) => {
        const { room, table } = scene;
        for (let block = 0; block < 8; block += 1) await fill(room, 16, block);
        await scene.drivePages(0);
        const { slot, create } = granted(await room.reserve(16));
        assert.equal(create, false);
        assert.ok(scene.culled.includes(slot));
        assert.deepEqual(
          scene.culled,
          scene.culled.toSorted((a, b) => a - b),
        );
        assert.equal(table.numbers, 8);
        assert.equal(table.usedBytes, 8 * 16 * PAGE_BYTES);
        room.giveBack(slot);
      });
    },
  );

  rooms(`${policy}: no slot grows while the drive is below its floor`, async () => {
    await withRoom({ policy, slotsMax: 100, pagesMax: 10_000 }, async (scene) => {
      const { room, table } = scene;
      for (let block = 0; block < 4; block += 1) room.leave(await fill(room, 4, block));
      await until(() => table.countOf(STATE.free) === 4);
      await scene.drivePages(0);
      assert.equal(await room.reserve(5), "drive-full");
      assert.equal(table.usedBytes, 16 * PAGE_BYTES);
      await scene.drivePages(1);
      assert.equal(granted(await room.reserve(5)).create, false);
    });
  });

  rooms(
    `${policy}: a full drive never costs more than a bounded number of blocks for one writer`,
    async () => {
      await withRoom({ policy, slotsMax: 2000, pagesMax: 100_000 }, async (scene) => {
        const { room } = scene;
        for (let block = 0; block < 1500; block += 1) await fill(room, 1, block);
        await scene.drivePages(0);
        assert.equal(await room.reserve(SLOT_PAGES), "drive-full");
        assert.ok(scene.culled.length < 700, `${scene.culled.length} were culled`);
      });
    },
  );

  rooms(`${policy}: writers that wait are served in their order`, async () => {
    await withRoom({ policy, slotsMax: 16, pagesMax: 10_000 }, async ({ room }) => {
      for (let block = 0; block < 16; block += 1) await fill(room, 1, block);
      const served: number[] = [];
      const waits = Array.from({ length: 8 }, async (_, number) => {
        const answer = granted(await room.reserve(number % 2 === 0 ? 1 : SLOT_PAGES));
        served.push(number);
        room.settle(answer.slot, ownerOf(2), number, 1);
      });
      await Promise.all(waits);
      assert.deepEqual(served, [0, 1, 2, 3, 4, 5, 6, 7]);
    });
  });

  rooms(`${policy}: who finds every slot taken by writers is told so in bounded time`, async () => {
    await withRoom({ policy, slotsMax: 16, pagesMax: 10_000 }, async ({ room }) => {
      const taken: Reservation[] = [];
      for (let number = 0; number < 16; number += 1) taken.push(granted(await room.reserve(1)));
      const beganMs = Date.now();
      assert.equal(await room.reserve(1), "no-space");
      assert.ok(Date.now() - beganMs < 3000);
      for (const { slot } of taken) room.giveBack(slot);
      granted(await room.reserve(1));
    });
  });

  rooms(
    `${policy}: a block that is read is passed over, and its slot is free only after the last reader`,
    async () => {
      await withRoom({ policy, slotsMax: 16, pagesMax: 10_000 }, async ({ room, table, culled }) => {
        const first = await fill(room, 1, 0);
        for (let block = 1; block < 16; block += 1) await fill(room, 1, block);
        room.startReading(first);
        room.startReading(first);
        for (let block = 16; block < 40; block += 1) await fill(room, 1, block);
        assert.ok(!culled.includes(first));
        room.leave(first);
        room.endReading(first);
        await pause(20);
        assert.equal(table.stateOf(first), STATE.leaving);
        room.endReading(first);
        assert.notEqual(table.stateOf(first), STATE.leaving);
      });
    },
  );

  rooms(`${policy}: a pressed index costs blocks though there is room for more`, async () => {
    await withRoom({ policy, slotsMax: 1000, pagesMax: 10_000 }, async (scene) => {
      for (let block = 0; block < 10; block += 1) await fill(scene.room, 1, block);
      assert.equal(scene.culled.length, 0);
      scene.indexPressed = true;
      await fill(scene.room, 1, 10);
      await until(() => scene.culled.length > 0);
      scene.indexPressed = false;
      await pause(20);
      const culled = scene.culled.length;
      await fill(scene.room, 1, 11);
      await pause(20);
      assert.equal(scene.culled.length, culled);
      const oldestFirst = scene.culled.toSorted((a, b) => a - b);
      // Adaptive keeps what came first, while there was room, over what has not proved itself.
      if (policy === "adaptive") assert.equal(new Set(oldestFirst).size, culled);
      else assert.deepEqual(scene.culled, oldestFirst);
    });
  });

  rooms(`${policy}: who waits when the room is closed is told so, and who comes after`, async () => {
    await withRoom({ policy, slotsMax: 16, pagesMax: 10_000 }, async ({ room }) => {
      for (let number = 0; number < 16; number += 1) granted(await room.reserve(1));
      const waiting = room.reserve(1);
      await room.close();
      assert.equal(await waiting, "closing");
      assert.equal(await room.reserve(1), "closing");
    });
  });
}

rooms("free slots are taken by size: the smallest that fits, or the largest that does not", () => {
  const free = new FreeLists(new SlotLinks());
  for (const [slot, pages] of [0, 1, 3, 3, 17, 64].entries()) free.give(slot, pages);
  assert.equal(free.slots, 6);
  assert.equal(free.pages, 88);
  assert.equal(free.smallestAtLeast(2), 3);
  assert.equal(free.takeAtLeast(2), 3, "the one given last");
  assert.equal(free.takeAtLeast(2), 2);
  assert.equal(free.takeAtLeast(2), 4);
  assert.equal(free.largestBelow(64), 1);
  assert.equal(free.takeBelow(64, 1), 1);
  assert.equal(free.takeBelow(64, 1), undefined);
  assert.equal(free.largestBelow(64), 0);
  assert.equal(free.takeAtLeast(65), undefined);
  assert.equal(free.slots, 2);
  free.clear();
  assert.equal(free.pages, 0);
  assert.equal(free.takeAtLeast(0), undefined);
});

rooms.run();
