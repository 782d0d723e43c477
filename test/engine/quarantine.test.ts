/** Slots that were set aside: listed, tried anew, given up. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import type { OwnedCache } from "../../engine/api.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { FaultyIo } from "../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  slotFiles,
  store,
  tagOf,
  withCode,
  withPlace,
} from "../support/temp-cache.js";

const quarantine = suite("quarantine");
const BYTES = 9000;
const COUNTED = 3 * PAGE_BYTES;

/** A cache whose slot 0 was set aside because its file had a second name. */
async function withAside(
  body: (
    cache: OwnedCache,
    place: { directory: string; file: string; second: string; io: FaultyIo },
  ) => Promise<void>,
): Promise<void> {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    for (let block = 0; block < 3; block += 1) await store(first, tagOf(block), bytesOf(block, BYTES));
    await first.close();
    const file = slotFiles(directory).get(0) as string;
    const second = path.join(path.dirname(directory), "second");
    fs.linkSync(file, second);
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    try {
      assert.equal((await cache.get(tagOf(0))).kind, "bypass");
      await body(cache, { directory, file, second, io });
      expectHit(await cache.get(tagOf(1)), bytesOf(1, BYTES));
    } finally {
      await cache.close();
    }
    await expectSound(directory);
  });
}

quarantine("lists what is there, in pages", async () => {
  await withAside(async (cache, { file, second }) => {
    const calls = cache.fsck.quarantine;
    const listed = { slot: 0, bytes: COUNTED };
    assert.deepEqual(await calls.list(), { slots: [{ ...listed, file: "unusable" }], more: false });
    fs.rmSync(second);
    assert.deepEqual((await calls.list()).slots, [{ ...listed, file: "usable" }]);
    fs.rmSync(file);
    assert.deepEqual((await calls.list()).slots, [{ ...listed, file: "missing" }]);
    assert.deepEqual(await calls.list({ after: 0 }), { slots: [], more: false });
    for (const limit of [0, 501, 1.5]) await assert.rejects(calls.list({ limit }), withCode("E_ARGUMENT"));
    for (const slot of [1, 99]) await assert.rejects(calls.retry(slot), withCode("E_NOT_FOUND"));
    await assert.rejects(calls.release(-1), withCode("E_ARGUMENT"));
    await calls.release(0);
  });
});

quarantine("a slot that works again is free and takes a block; one that does not stays", async () => {
  await withAside(async (cache, { file, second, io }) => {
    const calls = cache.fsck.quarantine;
    assert.deepEqual(await calls.retry(0), { slot: 0, free: false, reason: "its file is unusable" });
    const kept = fs.readFileSync(second);
    fs.rmSync(file);
    fs.copyFileSync(second, file);
    for (const operation of ["write", "fdatasync", "read"] as const) {
      io.fail(operation, "EIO");
      const { free, reason = "" } = await calls.retry(0);
      assert.equal(free, false);
      assert.match(reason, /EIO/);
      io.heal();
    }
    assert.deepEqual(await calls.retry(0), { slot: 0, free: true });
    assert.deepEqual((await calls.list()).slots, []);
    assert.deepEqual((await cache.status()).slots.quarantined, 0);
    await store(cache, tagOf(0), bytesOf(50, BYTES));
    expectHit(await cache.get(tagOf(0)), bytesOf(50, BYTES));
    assert.equal((await cache.status()).slots.total, 3, "the slot was used again");
    assert.ok(fs.readFileSync(second).equals(kept), "another name's bytes were never touched");
  });
});

quarantine("a slot that is given up leaves its room to another, and its number to nobody", async () => {
  await withAside(async (cache, { directory, file, second }) => {
    const before = await cache.status();
    await cache.fsck.quarantine.release(0);
    const after = await cache.status();
    assert.equal(after.slots.total, before.slots.total - 1);
    assert.equal(after.usedBytes, before.usedBytes - COUNTED);
    assert.equal(fs.existsSync(file), false);
    assert.ok(fs.existsSync(second), "another name of the file stays");
    await store(cache, tagOf(0), bytesOf(60, BYTES));
    assert.deepEqual(
      [...slotFiles(directory).keys()].toSorted((a, b) => a - b),
      [1, 2, 3],
    );
  });
});

quarantine("what can't be removed stays, with its reason", async () => {
  await withAside(async (cache, { file, second }) => {
    fs.rmSync(file);
    fs.mkdirSync(file);
    await assert.rejects(cache.fsck.quarantine.release(0), withCode("E_IO", /slot 0: E/));
    assert.equal((await cache.fsck.quarantine.list()).slots.length, 1);
    fs.rmdirSync(file);
    await cache.fsck.quarantine.release(0);
    fs.rmSync(second);
  });
});

quarantine("one is tried once at a time, and a stop waits for it", async () => {
  await withAside(async (cache, { second, io }) => {
    fs.rmSync(second);
    const calls = cache.fsck.quarantine;
    const hold = io.hold("fdatasync");
    const trying = calls.retry(0);
    await hold.reached;
    await assert.rejects(calls.retry(0), withCode("E_BUSY"));
    await assert.rejects(calls.release(0), withCode("E_BUSY"));
    const wiping = cache.wipe();
    hold.release();
    assert.equal((await trying).free, true);
    await wiping;
    assert.equal((await cache.status()).slots.quarantined, 0);
    await store(cache, tagOf(1), bytesOf(1, BYTES));
  });
});

quarantine.run();
