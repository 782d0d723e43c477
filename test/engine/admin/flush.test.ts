/** Flush and the looks of operators, over the engine: what a model does not have. */
import "../../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import type { OwnedCache } from "../../../engine/api.js";
import { LIST_NAME_BYTES_MAX } from "../../../engine/cache.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { bytesOf, expectHit, openAt, store, tagOf, withCache, withPlace } from "../../support/temp-cache.js";

const admin = suite("flush, list and explain");

async function fill(cache: OwnedCache, inode: string, blocks: number, bytes = 100): Promise<void> {
  for (let block = 0; block < blocks; block += 1)
    await store(cache, tagOf(block, inode), bytesOf(block, bytes));
}

admin("makes slots free for reuse, and files without blocks go with the next sweep", async () => {
  await withCache({}, async (cache) => {
    await fill(cache, "file", 20, SLOT_BYTES);
    const { slots, usedBytes } = await cache.status();
    await cache.flush({ fs: "test", volume: "volume", inode: "file" });
    const after = await cache.status();
    assert.deepEqual([after.slots.free, after.slots.total], [slots.total, slots.total]);
    assert.equal(after.validBytes, 0);
    await fill(cache, "other", 20, SLOT_BYTES);
    assert.equal((await cache.status()).usedBytes, usedBytes);
  });
});

admin("leaves blocks that are being read, and counts them", async () => {
  const io = new FaultyIo();
  await withPlace(async (directory) => {
    const filled = await openAt(directory);
    await fill(filled, "file", 3, SLOT_BYTES);
    await filled.close();
    const cache = await openAt(directory, { io });
    const hold = io.hold("read");
    const reading = cache.get(tagOf(1, "file"));
    await hold.reached;
    assert.equal((await cache.explain(tagOf(1, "file"))).inUse, true);
    assert.match((await cache.explain(tagOf(1, "file"))).why, /being read/);
    assert.deepEqual(await cache.flush({ all: true }), {
      dropped: { blocks: 2, bytes: 2 * SLOT_BYTES },
      skipped: { inUse: 1, pinned: 0, unsent: 0 },
    });
    hold.release();
    expectHit(await reading, bytesOf(1, SLOT_BYTES));
    expectHit(await cache.get(tagOf(1, "file")), bytesOf(1, SLOT_BYTES));
    await cache.close();
  });
});

admin("takes other calls while many blocks are flushed, and ends with a wipe or a close", async () => {
  await withCache({}, async (cache) => {
    const count = 2000;
    for (let inode = 0; inode < count; inode += 1) await store(cache, tagOf(0, `${inode}`), bytesOf(0, 10));
    let answered = 0;
    let done = false;
    const flushing = cache.flush({ all: true }).finally(() => {
      done = true;
    });
    while (!done) {
      await cache.get(tagOf(0, "none"));
      answered += 1;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    assert.deepEqual((await flushing).dropped, { blocks: count, bytes: count * 10 });
    assert.ok(answered > 3, `${answered} calls were answered meanwhile`);
    for (let inode = 0; inode < count; inode += 1) await store(cache, tagOf(0, `${inode}`), bytesOf(0, 10));
    const [flushed, listed] = await Promise.all([
      cache.flush({ all: true }),
      cache.list({ fs: "test", volume: "volume" }),
      cache.pins(),
      cache.wipe(),
    ]);
    assert.ok(flushed.dropped.blocks <= count);
    assert.deepEqual(listed.entries, []);
    assert.equal((await cache.status()).slots.used, 0);
  });
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let inode = 0; inode < 1000; inode += 1) await store(cache, tagOf(0, `${inode}`), bytesOf(0, 10));
    const flushing = cache.flush({ all: true }).then(
      () => "done",
      (error: { code: string }) => error.code,
    );
    await cache.close();
    assert.ok(["done", "E_CLOSED"].includes(await flushing));
    const again = await openAt(directory);
    assert.equal((await again.status()).start.kind, "clean");
    await again.close();
  });
});

admin("lists long names in pages of bounded size, each once", async () => {
  await withCache({}, async (cache) => {
    const names = Array.from({ length: 12 }, (_, i) => `tree/${String(i).repeat(i % 2 === 0 ? 3 : 20_000)}`);
    for (const inode of names) await store(cache, tagOf(0, inode), bytesOf(0, 10));
    const tree = { fs: "test", volume: "volume", inodePrefix: "tree/" };
    const seen: string[] = [];
    for (let after: Buffer | undefined, more = true; more;) {
      const page = await cache.list(tree, after === undefined ? {} : { after });
      assert.ok(page.entries.reduce((sum, { name }) => sum + name.length, 0) <= LIST_NAME_BYTES_MAX);
      seen.push(...page.entries.map(({ name }) => name.toString()));
      after = page.entries.at(-1)?.name;
      more = page.more;
    }
    assert.deepEqual(seen.toSorted(), names.toSorted());
    const all = (await cache.flush(tree)).dropped.blocks;
    assert.equal(all, names.length);
  });
});

admin("finds trees by any bytes, at the end of their range too", async () => {
  await withCache({}, async (cache) => {
    const inodes = [
      Buffer.of(0xff, 0xff),
      Buffer.of(0xff, 0xff, 1),
      Buffer.of(0xff),
      Buffer.of(0xfe, 0xff),
      Buffer.of(),
    ];
    for (const inode of inodes) await store(cache, { ...tagOf(0), inode }, bytesOf(0, 10));
    const found = async (inodePrefix: Buffer) => {
      const { entries } = await cache.list({ fs: "test", volume: "volume", inodePrefix });
      return entries.map(({ name }) => name.toString("hex"));
    };
    assert.deepEqual(await found(Buffer.of(0xff, 0xff)), ["ffff", "ffff01"]);
    assert.deepEqual(await found(Buffer.of(0xff)), ["ff", "ffff", "ffff01"]);
    assert.deepEqual(await found(Buffer.of(0xfe)), ["feff"]);
    assert.deepEqual(await found(Buffer.of()), ["", "feff", "ff", "ffff", "ffff01"]);
  });
});

admin("does not list, flush or pin what was invalidated", async () => {
  await withCache({}, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    await fill(cache, "file", 5);
    await volume.invalidate();
    assert.deepEqual((await cache.list({ fs: "test", volume: "volume" })).entries, []);
    assert.equal((await cache.flush({ all: true })).dropped.blocks, 0);
    assert.equal((await cache.pin({ fs: "test", volume: "volume" })).blocks, 0);
    const { state, victim } = await cache.explain(tagOf(0));
    assert.ok(["stale", "absent"].includes(state));
    assert.equal(victim, false);
  });
});

admin("explains entry, slot, rank and share of a block", async () => {
  const shares = [{ fs: "test", volume: "volume", minPercent: 50 }];
  await withCache({ shares }, async (cache) => {
    const coherency = Buffer.from("v1");
    const volume = await cache.acquireVolume("test", "volume", { coherency });
    const cookie = await volume.acquireCookie("file", { sizeBytes: 5000n, coherency });
    await cookie.write(0n, bytesOf(1, 5000));
    await store(cache, tagOf(0, "later"), bytesOf(1, 10));
    const explained = await cache.explain(tagOf(0));
    const { entry, slot, recency, share, file, why, victim } = explained;
    assert.deepEqual(
      [entry?.validBytes, entry?.present, entry?.zero, entry?.checksum],
      [5000, [[0, 1]], [], "crc32"],
    );
    assert.deepEqual([slot?.state, slot?.pages], ["used", 2]);
    assert.deepEqual(recency, { rank: 1, used: 2 });
    assert.deepEqual(share, { fs: "test", volume: "volume", state: "kept" });
    assert.deepEqual([file?.sizeBytes, file?.coherency], [5000n, coherency]);
    assert.deepEqual(explained.volume?.coherency, coherency);
    assert.equal(victim, true);
    assert.match(why, /share, of test\/volume, is not above its minimum.*next to go/);
    await cache.get(tagOf(0));
    assert.equal((await cache.explain(tagOf(0))).recency?.rank, 2);
    assert.equal((await cache.explain(tagOf(0))).recency?.rank, 2, "a look is no use");
  });
});

admin.run();
