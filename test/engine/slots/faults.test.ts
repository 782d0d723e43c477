import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import type { BlockCache } from "../../../engine/api.js";
import { FaultyIo } from "../../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  startOf,
  store,
  tagOf,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const faults = suite("a drive that fails");

const BYTES = 100_000;
const IO_ERROR = { kind: "bypass", reason: "io-error" } as const;

/** Runs the body over a drive that it may break; the stop must be clean all the same, and the cache sound. */
async function withFaults(
  body: (cache: BlockCache, io: FaultyIo) => Promise<void>,
  options: { readonly warm?: boolean } = {},
): Promise<void> {
  await withPlace(async (directory) => {
    if (options.warm === true) {
      const before = await openAt(directory);
      for (let block = 0; block < 4; block += 1) await store(before, tagOf(block), bytesOf(block, BYTES));
      await before.close();
    }
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    await body(cache, io);
    io.heal();
    await store(cache, tagOf(1000), bytesOf(1000, BYTES));
    expectHit(await cache.get(tagOf(1000)), bytesOf(1000, BYTES));
    await cache.close();
    assert.equal((await startOf(directory)).kind, "clean");
    await expectSound(directory);
  });
}

faults("EIO on write is a bypass, the slot is set aside, and the next put goes elsewhere", async () => {
  await withFaults(async (cache, io) => {
    await store(cache, tagOf(0), bytesOf(0, BYTES));
    io.fail("write", "EIO");
    assert.deepEqual(await cache.put(tagOf(1), bytesOf(1, BYTES)), IO_ERROR);
    const { slots, bypassed, usedBytes } = await cache.status();
    assert.equal(slots.quarantined, 1);
    assert.deepEqual(bypassed, { "io-error": 1 });
    assert.equal(usedBytes, 2 * 25 * 4096, "the bytes of a slot set aside still count");
    assert.equal(await cache.has(tagOf(1)), false);
    await store(cache, tagOf(1), bytesOf(2, BYTES));
    expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
    expectHit(await cache.get(tagOf(1)), bytesOf(2, BYTES));
  });
});

faults(
  "a slot of whose file nothing can be learnt is set aside, and that it has none is no finding",
  async () => {
    await withFaults(async (cache, io) => {
      io.fail("open", "EIO");
      io.fail("lstatSync", "EIO");
      assert.deepEqual(await cache.put(tagOf(0), bytesOf(0, BYTES)), IO_ERROR);
      assert.equal((await cache.status()).slots.quarantined, 1);
    });
  },
);

faults("a put in place of a block that fails leaves the block as it was", async () => {
  await withFaults(async (cache, io) => {
    await store(cache, tagOf(0), bytesOf(0, BYTES));
    for (const [operation, errno] of [
      ["write", "EIO"],
      ["open", "EMFILE"],
    ] as const) {
      io.fail(operation, errno);
      assert.deepEqual(await cache.put(tagOf(0), bytesOf(1, BYTES)), IO_ERROR);
      expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
    }
  });
});

faults("ENOSPC on write goes to a slot that is allocated already, and sets none aside", async () => {
  await withFaults(async (cache, io) => {
    for (let block = 0; block < 3; block += 1) await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
    await cache.remove(tagOf(1));
    // Far too large for it, so a new one would be made while the drive has room.
    io.fail("write", "ENOSPC");
    await store(cache, tagOf(9), bytesOf(9, 5000));
    expectHit(await cache.get(tagOf(9)), bytesOf(9, 5000));
    const { slots, bypassed } = await cache.status();
    assert.equal(slots.quarantined, 0);
    assert.deepEqual(bypassed, {});
  });
});

faults("ENOSPC on create stops new slots, and blocks are culled for those that exist", async () => {
  await withFaults(async (cache, io) => {
    for (let block = 0; block < 4; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    io.fail("open", "ENOSPC");
    assert.deepEqual(await cache.put(tagOf(4), bytesOf(4, BYTES)), { kind: "bypass", reason: "drive-full" });
    const made = io.calls("open");
    await store(cache, tagOf(5), bytesOf(5, BYTES));
    assert.equal(io.calls("open"), made);
    assert.equal((await cache.get(tagOf(0))).kind, "miss");
    const { slots, bypassed, culled } = await cache.status();
    assert.deepEqual(bypassed, { "drive-full": 1 });
    assert.ok(culled >= 1);
    assert.deepEqual({ total: slots.total, quarantined: slots.quarantined }, { total: 4, quarantined: 0 });
  });
});

faults("an empty cache on a full drive is a bypass at once", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    io.fail("open", "ENOSPC", 100);
    const beganMs = Date.now();
    const result = await cache.put(tagOf(0), bytesOf(0, BYTES));
    assert.deepEqual(result, { kind: "bypass", reason: "drive-full" });
    const more = [1, 2, 3, 4].map((block) => cache.put(tagOf(block), bytesOf(block, BYTES)));
    for (const each of await Promise.all(more)) assert.deepEqual(each, result);
    assert.ok(Date.now() - beganMs < 1000);
    assert.equal(io.calls("open"), 1);
    assert.deepEqual((await cache.status()).bypassed, { "drive-full": 5 });
    await cache.close();
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

for (const errno of ["EMFILE", "ENFILE", "ENOMEM"]) {
  faults(`${errno} is a bypass that costs neither slot nor block`, async () => {
    await withFaults(
      async (cache, io) => {
        io.fail("open", errno, 2);
        assert.deepEqual(await cache.get(tagOf(0)), IO_ERROR);
        assert.deepEqual(await cache.put(tagOf(7), bytesOf(7, BYTES)), IO_ERROR);
        expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
        await store(cache, tagOf(7), bytesOf(7, BYTES));
        const { slots, bypassed } = await cache.status();
        assert.deepEqual(bypassed, { "io-error": 2 });
        assert.equal(slots.quarantined, 0);
        assert.equal(slots.used, 5);
      },
      { warm: true },
    );
  });
}

faults("EIO on a cold read is a bypass, and the slot is set aside", async () => {
  await withFaults(
    async (cache, io) => {
      io.fail("read", "EIO");
      assert.deepEqual(await cache.get(tagOf(0)), IO_ERROR);
      assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
      assert.equal((await cache.status()).slots.quarantined, 1);
      for (const block of [1, 2, 3]) expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
    },
    { warm: true },
  );
});

faults("EIO on a read on the spot is a bypass, and the slot is set aside", async () => {
  await withFaults(async (cache, io) => {
    await store(cache, tagOf(0), bytesOf(0, BYTES));
    io.fail("readSync", "EIO");
    assert.deepEqual(await cache.get(tagOf(0)), IO_ERROR);
    assert.equal(await cache.has(tagOf(0)), false);
    assert.equal((await cache.status()).slots.quarantined, 1);
  });
});

faults("short reads and writes are carried on with", async () => {
  await withFaults(
    async (cache, io) => {
      io.shorten("read", 7777, 1000);
      io.shorten("write", 9999, 1000);
      expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
      await store(cache, tagOf(5), bytesOf(5, SLOT_BYTES));
      expectHit(await cache.get(tagOf(5)), bytesOf(5, SLOT_BYTES));
    },
    { warm: true },
  );
});

faults("a short read on the spot is no reason to lose the block", async () => {
  await withFaults(async (cache, io) => {
    await store(cache, tagOf(0), bytesOf(0, BYTES));
    io.shorten("readSync", 5000);
    expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
  });
});

faults("a drive that takes no bytes at all is a bypass, not an endless loop", async () => {
  await withFaults(
    async (cache, io) => {
      io.shorten("write", 0);
      assert.deepEqual(await cache.put(tagOf(5), bytesOf(5, BYTES)), IO_ERROR);
      io.shorten("read", 0);
      assert.deepEqual(await cache.get(tagOf(0)), IO_ERROR);
      for (const block of [1, 2, 3]) expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
    },
    { warm: true },
  );
});

faults("a sync that failed forbids a clean stop, and the next start wipes", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const logged: string[] = [];
    const cache = await openAt(directory, {
      io,
      log: (level, message) => logged.push(`${level} ${message}`),
    });
    for (let block = 0; block < 3; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    io.fail("fdatasync", "EIO");
    await assert.rejects(cache.close(), withCode("E_IO", /failed to keep a slot/));
    assert.ok(logged.some((line) => line.startsWith("error the drive failed to keep a slot")));
    const next = await startOf(directory);
    assert.equal(next.kind, "unclean");
    assert.equal(next.action, "wipe");
    assert.equal((await startOf(directory)).kind, "clean");
    await expectSound(directory);
  });
});

faults("a slot that can't be cut back is set aside, and its bytes still count", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const cache = await openAt(directory, { io, capacityBytes: 4 * 1024 * 1024 });
    io.fail("ftruncate", "EIO", 2);
    for (let block = 0; block < 40; block += 1) await cache.put(tagOf(block), bytesOf(block, SLOT_BYTES));
    for (let block = 0; block < 300; block += 1) await cache.put(tagOf(block, "small"), bytesOf(block, 100));
    const { usedBytes, indexBytes, capacityBytes, slots } = await cache.status();
    assert.equal(slots.quarantined, 2);
    assert.ok(usedBytes + indexBytes <= capacityBytes);
    assert.ok(slots.used > 60, `${slots.used} are used`);
    await cache.close();
    assert.equal((await startOf(directory, { capacityBytes: 4 * 1024 * 1024 })).kind, "clean");
    await expectSound(directory);
  });
});

faults("a drive that never answers does not hold up a stop for ever", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    await store(cache, tagOf(0), bytesOf(0, BYTES));
    const hold = io.hold("write");
    const stuck = cache.put(tagOf(1), bytesOf(1, BYTES));
    await hold.reached;
    await assert.rejects(cache.close(), withCode("E_IO", /does not answer/));
    hold.release();
    assert.equal((await stuck).kind, "bypass");
    assert.equal((await startOf(directory)).kind, "unclean");
  });
});

faults.run();
