/** A drive that fails on several slots: the whole cache steps aside, and comes back by itself. Takes 20 s by its nature. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, expectHit, openAt, store, tagOf, until, withPlace } from "../../support/temp-cache.js";

const sick = suite("a sick drive");

const SICK = { kind: "bypass", reason: "drive-sick" } as const;
const IO_ERROR = { kind: "bypass", reason: "io-error" } as const;

sick("two bad slots are set aside, a third bypasses all, and three good probes bring it back", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const lines: string[] = [];
    const log = (level: string, message: string) => void lines.push(`${level}: ${message}`);
    const cache = await openAt(directory, { io, log });
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));
    const volume = await cache.acquireVolume("test", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: BigInt(SLOT_BYTES) });
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));

    io.fail("write", "EIO", 3);
    for (const block of [1, 2]) assert.deepEqual(await cache.put(tagOf(block), bytesOf(1, 9)), IO_ERROR);
    expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
    assert.deepEqual(await cache.put(tagOf(3), bytesOf(1, 9)), IO_ERROR);

    const calls = () => io.calls("read") + io.calls("readSync") + io.calls("write") + io.calls("open");
    const before = calls();
    const beganMs = performance.now();
    for (let count = 0; count < 100; count += 1) {
      assert.deepEqual(await cache.get(tagOf(0)), SICK);
      assert.deepEqual(await cache.put(tagOf(4), bytesOf(4, 9)), SICK);
    }
    assert.equal(await cache.has(tagOf(0)), false);
    const read = await cookie.read(0n, 10);
    assert.equal(read.bypass, "drive-sick");
    assert.deepEqual(read.missing, [{ offsetBytes: 0n, lengthBytes: 10 }]);
    assert.deepEqual(await cookie.write(0n, bytesOf(0, SLOT_BYTES)), { stored: [], bypass: "drive-sick" });
    assert.ok(performance.now() - beganMs < 2000, "answered at once");
    assert.equal(calls(), before, "nobody touches the drive");

    const { health, slots, bypassed } = await cache.status();
    assert.deepEqual(health, {
      state: "sick",
      times: 1,
      errors: 3,
      slots: 3,
      slotsMax: 3,
      windowMs: 10_000,
      probeEveryMs: 5000,
      probesGood: 0,
      probesWanted: 3,
    });
    assert.equal(slots.quarantined, 3);
    assert.equal(bypassed["drive-sick"], 200);
    // What makes content stale has to take effect all the same.
    await volume.invalidate();

    await until(async () => (await cache.status()).health.state === "ok", 30_000);
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs > 14_000, `back after ${tookMs} ms, want three probes 5 s apart`);
    assert.equal(fs.existsSync(path.join(directory, "probe")), false);
    assert.equal((await cache.get(tagOf(0))).kind, "miss", "it was invalidated meanwhile");
    await store(cache, tagOf(5), bytesOf(5, SLOT_BYTES));
    expectHit(await cache.get(tagOf(5)), bytesOf(5, SLOT_BYTES));
    assert.equal(lines.filter((line) => line.startsWith("error: the drive is sick")).length, 1);
    assert.equal(lines.filter((line) => line.startsWith("info: the drive is well")).length, 1);
    await cache.close();
  });
});

sick("a cache with a sick drive can be wiped and closed", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    io.fail("write", "EIO", 3);
    for (const block of [1, 2, 3]) assert.deepEqual(await cache.put(tagOf(block), bytesOf(1, 9)), IO_ERROR);
    await cache.wipe();
    assert.deepEqual(await cache.get(tagOf(0)), SICK);
    await cache.close();
  });
});

sick.run();
