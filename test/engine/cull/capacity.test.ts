import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { PAGE_BYTES, SLOT_BYTES } from "../../../index/core/layout.js";
import type { BlockCache } from "../../../engine/api.js";
import {
  MIB,
  bytesOf,
  expectHit,
  openAt,
  randomOf,
  slotFiles,
  startOf,
  store,
  tagOf,
  until,
  withCache,
  withPlace,
} from "../../support/temp-cache.js";

const capacity = suite("capacity");

/** A file of 256 KiB in more than four pieces may need one block for the list of them (ext4's extent tree). */
const FILE_SYSTEM_BYTES = PAGE_BYTES;
const WRITERS = 16;

async function expectPromises(cache: BlockCache, directory: string): Promise<void> {
  const { usedBytes, indexBytes, capacityBytes, slots, slotsMax, validBytes } = await cache.status();
  assert.ok(usedBytes + indexBytes <= capacityBytes, `${usedBytes} + ${indexBytes} > ${capacityBytes}`);
  assert.ok(validBytes <= usedBytes);
  assert.ok(slots.total <= slotsMax, `${slots.total} slots`);
  let files = 0;
  let allocatedBytes = 0;
  for (const file of slotFiles(directory).values()) {
    files += 1;
    allocatedBytes += fs.lstatSync(file).blocks * 512;
  }
  assert.ok(files <= slotsMax, `${files} files`);
  assert.ok(
    allocatedBytes <= usedBytes + files * FILE_SYSTEM_BYTES,
    `${allocatedBytes} allocated, ${usedBytes} counted`,
  );
}

for (const [what, options] of [
  ["bytes", { capacityBytes: 8 * MIB }],
  ["slots", { capacityBytes: 16 * MIB, slotsMax: 40 }],
  ["both at their least", { capacityBytes: 4 * MIB, slotsMax: 16 }],
] as const) {
  capacity(
    `neither limit is ever exceeded under ${WRITERS} writers of 1 B to 256 KiB, short of ${what}`,
    async () => {
      await withCache(options, async (cache, directory) => {
        let writing = true;
        let samples = 0;
        const sampler = (async () => {
          for (; writing; samples += 1) {
            await expectPromises(cache, directory);
            await new Promise<void>((resolve) => setImmediate(resolve));
          }
        })();
        const answers = new Map<string, number>();
        const writer = async (number: number) => {
          const random = randomOf(number);
          for (let turn = 0; turn < 60; turn += 1) {
            const bytes = bytesOf(number, Math.floor(SLOT_BYTES ** random()));
            const result = await cache.put(tagOf(Math.floor(random() * 100), `file ${number}`), bytes);
            const answer = result.kind === "stored" ? result.kind : result.reason;
            answers.set(answer, (answers.get(answer) ?? 0) + 1);
          }
        };
        await Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)));
        writing = false;
        await sampler;
        await expectPromises(cache, directory);
        assert.ok(samples > 10, `${samples} samples`);
        assert.deepEqual([...answers], [["stored", WRITERS * 60]]);
        assert.ok((await cache.status()).culled > 0);
      });
    },
  );
}

capacity("slot files keep their inode and their size when slots are freed and used again", async () => {
  await withCache({ slotsMax: 24 }, async (cache, directory) => {
    const bytes = 60_000;
    const facts = () =>
      [...slotFiles(directory)].map(([slot, file]) => [
        slot,
        fs.lstatSync(file).ino,
        fs.lstatSync(file).size,
      ]);
    for (let block = 0; block < 24; block += 1) await store(cache, tagOf(block), bytesOf(block, bytes));
    const before = facts();
    assert.equal(before.length, 24);
    for (let block = 24; block < 150; block += 1) await store(cache, tagOf(block), bytesOf(block, bytes));
    for (let block = 100; block < 150; block += 2) await cache.remove(tagOf(block));
    for (let block = 150; block < 160; block += 1) await store(cache, tagOf(block), bytesOf(block, bytes));
    await cache.wipe();
    for (let block = 0; block < 20; block += 1) await store(cache, tagOf(block), bytesOf(block, bytes));
    assert.deepEqual(facts(), before);
  });
});

capacity("an overwrite with fewer bytes does not shorten the slot file it leaves", async () => {
  await withCache({}, async (cache, directory) => {
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));
    const [[, file] = []] = slotFiles(directory);
    await store(cache, tagOf(0), bytesOf(1, 10));
    assert.equal(fs.lstatSync(file as string).size, SLOT_BYTES);
    assert.equal((await cache.status()).validBytes, 10);
  });
});

capacity("small tenants take small free slots and leave the large ones to large tenants", async () => {
  await withCache({}, async (cache) => {
    for (let block = 0; block < 8; block += 1) {
      await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
      await store(cache, tagOf(100 + block), bytesOf(block, 3000));
    }
    const before = await cache.status();
    for (let block = 0; block < 8; block += 1) {
      await cache.remove(tagOf(block));
      await cache.remove(tagOf(100 + block));
    }
    for (let block = 0; block < 8; block += 1) await store(cache, tagOf(200 + block), bytesOf(block, 2000));
    for (let block = 0; block < 8; block += 1)
      await store(cache, tagOf(300 + block), bytesOf(block, SLOT_BYTES));
    const after = await cache.status();
    assert.equal(after.usedBytes, before.usedBytes);
    assert.deepEqual(after.slots, before.slots);
  });
});

capacity("many small tenants after few large ones get the bytes that these left", async () => {
  await withCache({ capacityBytes: 4 * MIB }, async (cache) => {
    for (let block = 0; block < 40; block += 1) await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
    for (let block = 0; block < 400; block += 1)
      await store(cache, tagOf(block, "small"), bytesOf(block, 4000));
    const { slots, slotsMax } = await cache.status();
    assert.ok(slots.used > slotsMax * 0.8, `${slots.used} of ${slotsMax} slots are used`);
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));
    expectHit(await cache.get(tagOf(0)), bytesOf(0, SLOT_BYTES));
  });
});

capacity("a lower capacity at the next start keeps what was used last", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory, { capacityBytes: 32 * MIB, slotsMax: 200 });
    for (let block = 0; block < 100; block += 1) await store(first, tagOf(block), bytesOf(block, SLOT_BYTES));
    await first.close();
    const options = { capacityBytes: 16 * MIB, slotsMax: 40 };
    const second = await openAt(directory, options);
    await expectPromises(second, directory);
    await until(async () => (await second.status()).slots.free > 0); // the headroom is ready
    const { start, slots } = await second.status();
    assert.equal(start.action, "none");
    assert.ok(slots.used > 30, `${slots.used} are used`);
    for (let block = 99; block > 99 - slots.used; block -= 1) {
      expectHit(await second.get(tagOf(block)), bytesOf(block, SLOT_BYTES));
    }
    await second.close();
    assert.equal((await startOf(directory, options)).kind, "clean");
  });
});

capacity("a start after an unclean end counts the slot files that it finds, and uses them", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    for (let block = 0; block < 30; block += 1) await store(first, tagOf(block), bytesOf(block, 100_000));
    await first.close();
    fs.rmSync(`${directory}/checkpoint`);
    const second = await openAt(directory);
    const { slots, start, usedBytes } = await second.status();
    assert.equal(start.kind, "unclean");
    assert.deepEqual(slots, { total: 30, used: 0, free: 30, quarantined: 0, unknown: 0 });
    assert.equal(usedBytes, 30 * 25 * PAGE_BYTES);
    for (let block = 0; block < 30; block += 1) {
      assert.equal((await second.get(tagOf(block))).kind, "miss");
      await store(second, tagOf(block), bytesOf(block + 1000, 100_000));
    }
    assert.equal((await second.status()).usedBytes, usedBytes);
    await second.close();
  });
});

capacity.run();
