import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { HotSlots } from "../../../engine/slots/hot.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, expectHit, openAt, store, tagOf, withPlace } from "../../support/temp-cache.js";

const hots = suite("slots likely in memory");

function made(availablePages: number) {
  const state: { nowMs: number; availablePages: number; driveReads: number | undefined } = {
    nowMs: 0,
    availablePages,
    driveReads: 0,
  };
  const hot = new HotSlots({
    now: () => state.nowMs,
    availableBytes: () => state.availablePages * 4096,
    driveReads: () => state.driveReads,
  });
  return { hot, state };
}

hots("a slot is likely from its first use until half of the memory was used since", () => {
  const { hot } = made(200);
  assert.equal(hot.likely(7), false);
  hot.noteUse(7, 10);
  assert.equal(hot.likely(7), true);
  hot.noteUse(8, 99);
  assert.equal(hot.likely(7), true);
  hot.noteUse(9, 1);
  assert.equal(hot.likely(7), false);
  assert.equal(hot.likely(8), true);
  assert.equal(hot.likely(100_000), false);
});

hots("a slow read switches the guess off for a minute", () => {
  const { hot, state } = made(1e6);
  hot.noteUse(1, 1);
  hot.took(49);
  assert.equal(hot.likely(1), true);
  state.nowMs = 1000;
  hot.took(51);
  assert.equal(hot.likely(1), true, "the drive was not read: the process had to wait for something else");
  state.driveReads = 1;
  hot.took(51);
  assert.equal(hot.likely(1), false);
  state.nowMs = 60_999;
  assert.equal(hot.likely(1), false);
  state.nowMs = 61_000;
  assert.equal(hot.likely(1), true);
});

hots("slots that nothing is known of are likely while reads of such slots did not reach the drive", () => {
  const { hot, state } = made(1e6);
  const asked = (count: number): boolean[] =>
    Array.from({ length: count }, () => {
      state.nowMs += 1;
      return hot.likely(5);
    });
  assert.deepEqual(new Set(asked(32)), new Set([false]));
  assert.deepEqual(asked(2), [true, true]);
  state.driveReads = 8;
  assert.deepEqual(new Set(asked(32)), new Set([false]), "one of them was read from the drive");
  assert.deepEqual(asked(1), [true]);
});

hots("a burst of reads that have not ended says nothing yet", () => {
  const { hot, state } = made(1e6);
  state.driveReads = 1;
  for (let slot = 0; slot < 1000; slot += 1) assert.equal(hot.likely(slot), false);
});

hots("where the kernel does not count reads of the drive a slow read is taken for one", () => {
  const { hot, state } = made(1e6);
  state.driveReads = undefined;
  hot.noteUse(1, 1);
  assert.equal(hot.likely(1), true);
  hot.took(51);
  assert.equal(hot.likely(1), false);
});

hots("a machine without memory to spare reads nothing on the spot that was not read just now", () => {
  const { hot } = made(0);
  hot.noteUse(1, 64);
  assert.equal(hot.likely(1), true);
  hot.noteUse(2, 64);
  assert.equal(hot.likely(1), false);
});

hots(
  "a cache reads on the spot what it just stored, aside what it has not read yet or when reads are slow",
  async () => {
    await withPlace(async (directory) => {
      const first = await openAt(directory);
      await store(first, tagOf(0), bytesOf(0, SLOT_BYTES));
      await first.close();
      const io = new FaultyIo();
      let nowMs = 0;
      let stepMs = 0;
      const cache = await openAt(directory, { io, now: () => (nowMs += stepMs) });
      const calls = () => [io.calls("readSync"), io.calls("read")];
      expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
      assert.deepEqual(calls(), [0, 1]);
      expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
      assert.deepEqual(calls(), [1, 1]);
      stepMs = 60; // the time that the next read on the spot takes
      expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
      assert.deepEqual(calls(), [2, 1]);
      stepMs = 0;
      expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
      assert.deepEqual(calls(), [2, 2]);
      nowMs += 60_000;
      expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
      assert.deepEqual(calls(), [3, 2]);
      await cache.close();
    });
  },
);

hots.run();
