import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { FULL_PAUSE_MS } from "../../../engine/cull/drive.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, expectHit, store, tagOf, until, withCache } from "../../support/temp-cache.js";

const full = suite("a drive without space");

const FULL = { kind: "bypass", reason: "drive-full" } as const;

full("makes no new slots, uses those there are, then bypasses, and comes back by itself", async () => {
  const io = new FaultyIo();
  let aheadMs = 0;
  await withCache({ io, now: () => performance.now() + aheadMs }, async (cache) => {
    for (let block = 0; block < 4; block += 1) await store(cache, tagOf(block), bytesOf(block, 9));
    const { total } = (await cache.status()).slots;
    io.fail("open", "ENOSPC", 1000);
    assert.deepEqual(await cache.put(tagOf(4), bytesOf(4, 9)), FULL);
    const opened = io.calls("open");

    // Slots that exist go on taking blocks: one was removed, others are culled.
    await cache.remove(tagOf(3));
    for (let block = 5; block < 12; block += 1) await store(cache, tagOf(block), bytesOf(block, 9));
    expectHit(await cache.get(tagOf(11)), bytesOf(11, 9));

    // For a larger block there is none.
    const beganMs = performance.now();
    assert.deepEqual(await cache.put(tagOf(20), bytesOf(20, SLOT_BYTES)), FULL);
    assert.ok(performance.now() - beganMs < 1000, "answered soon");
    const during = await cache.status();
    assert.equal(during.slots.total, total);
    assert.equal(during.slots.quarantined, 0);
    assert.equal(during.drive.state, "stopped");
    assert.equal(during.health.errors, 0, "a full drive is not a sick one");
    assert.equal(io.calls("open"), opened, "nobody tries again before the pause is over");
    assert.deepEqual(during.bypassed, { "drive-full": 2 });

    // Still full after the pause: one try, and a pause again.
    aheadMs += FULL_PAUSE_MS;
    io.fail("write", "ENOSPC", 1000);
    const tried = io.calls("open") + io.calls("write");
    assert.deepEqual(await cache.put(tagOf(20), bytesOf(20, SLOT_BYTES)), FULL);
    assert.deepEqual(await cache.put(tagOf(20), bytesOf(20, SLOT_BYTES)), FULL);
    assert.equal(io.calls("open") + io.calls("write"), tried + 1);

    io.heal();
    aheadMs += FULL_PAUSE_MS;
    await until(async () => (await cache.status()).drive.state === "ok");
    await store(cache, tagOf(20), bytesOf(20, SLOT_BYTES));
    expectHit(await cache.get(tagOf(20)), bytesOf(20, SLOT_BYTES));
  });
});

full.run();
