import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import {
  bytesOf,
  expectHit,
  slotFiles,
  store,
  tagOf,
  until,
  withCache,
  withCode,
} from "../../support/temp-cache.js";

const scrubs = suite("scrub");
const BYTES = 50_000;
const MIB = 1024 * 1024;

scrubs("checks every block, drops what is damaged, and gives its slot to others", async () => {
  await withCache({}, async (cache, directory) => {
    for (let block = 0; block < 6; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    const file = slotFiles(directory).get(4) as string;
    const bytes = fs.readFileSync(file);
    bytes[BYTES - 1] = (bytes[BYTES - 1] as number) ^ 1;
    fs.writeFileSync(file, bytes);
    await cache.scrub();
    await until(async () => (await cache.status()).trust.scrub.state === "idle");
    const { trust, corrupt } = await cache.status();
    assert.deepEqual([trust.scrub.blocks, trust.scrub.bytes, trust.scrub.corrupt], [6, 6 * BYTES, 1]);
    assert.equal(corrupt, 1);
    assert.equal((await cache.get(tagOf(4))).kind, "miss");
    for (const block of [0, 1, 2, 3, 5]) expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
    await until(async () => (await cache.status()).slots.used === 5);
    await store(cache, tagOf(4), bytesOf(40, BYTES));
    assert.equal((await cache.status()).slots.total, 6);
  });
});

scrubs("keeps to its rate, and ends when it is told to", async () => {
  await withCache({}, async (cache) => {
    for (let block = 0; block < 40; block += 1) await store(cache, tagOf(block), bytesOf(block, 4 * BYTES));
    await assert.rejects(cache.scrub({ bytesPerSecond: 1 }), withCode("E_ARGUMENT"));
    const beganMs = performance.now();
    await cache.scrub({ bytesPerSecond: 4 * MIB });
    await until(async () => (await cache.status()).trust.scrub.blocks >= 10);
    const { bytes } = (await cache.status()).trust.scrub;
    const allowed = ((performance.now() - beganMs) / 1000) * 4 * MIB + 4 * BYTES;
    assert.ok(bytes <= allowed, `${bytes} bytes, allowed ${allowed}`);
    await cache.scrub({ bytesPerSecond: 0 });
    const { trust } = await cache.status();
    assert.equal(trust.scrub.state, "idle");
    assert.ok(trust.scrub.blocks < 40);
  });
});

scrubs.run();
