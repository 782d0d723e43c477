import assert from "node:assert/strict";
import { suite } from "uvu";
import type { OwnedCache } from "../../../engine/api.js";
import { SeenBlocks } from "../../../engine/cull/seen-blocks.js";
import { type Claim, WriteBudget } from "../../../engine/cull/write-budget.js";
import { MIB, bytesOf, tagOf, withCache, withCode } from "../../support/temp-cache.js";

const budget = suite("write budget");
const BLOCK = 262_144;
const HOUR = 3_600_000;
const REJECTED = { kind: "bypass", reason: "write-budget" };

function fileOf(inode: string) {
  return { inode: Buffer.from(inode), volume: { fs: Buffer.from("f"), volume: Buffer.from("v") } };
}

function makeBudget(perSecond: number, perDay: number) {
  const clock = { ms: 17 * HOUR + 1 };
  const limits = { writeBytesPerSecond: perSecond, writeBytesPerDay: perDay };
  const made = new WriteBudget(
    () => limits,
    () => clock.ms,
  );
  let block = 0;
  /** Tries writes of a block until one is refused. @returns how many there were. */
  const writesOf = (bytes: number, claim: Claim = "asked", max = 10_000): number => {
    for (let count = 0; ; count += 1) {
      if (count === max || !made.admit(fileOf("i"), { block: (block += 1), page: 0 }, bytes, claim))
        return count;
      made.wrote(bytes);
      made.settle(bytes, bytes);
    }
  };
  return { made, clock, limits, writesOf };
}

budget("lets no more through than so many bytes a second, but for a burst of four seconds", () => {
  const { clock, writesOf } = makeBudget(10 * BLOCK, 0);
  assert.equal(writesOf(BLOCK), 40);
  for (let second = 0; second < 100; second += 1) {
    clock.ms += 1000;
    assert.equal(writesOf(BLOCK), 10);
  }
  clock.ms += 60 * HOUR;
  assert.equal(writesOf(BLOCK), 40);
});

budget("lets no more through in any 24 hours than so many bytes a day", () => {
  const { made, clock, writesOf } = makeBudget(0, 100 * BLOCK);
  const written: { atMs: number; bytes: number }[] = [];
  for (let step = 0; step < 400; step += 1) {
    clock.ms += 0.37 * HOUR;
    const count = writesOf(BLOCK, "asked", 3);
    written.push({ atMs: clock.ms, bytes: count * BLOCK });
    const day = written.filter(({ atMs }) => atMs > clock.ms - 24 * HOUR);
    const sum = day.reduce((total, { bytes }) => total + bytes, 0);
    assert.ok(sum <= 100 * BLOCK, `${sum / BLOCK} blocks in a day`);
  }
  const all = written.reduce((total, { bytes }) => total + bytes, 0);
  assert.ok(all > 500 * BLOCK, "the budget is used");
  clock.ms += 30 * HOUR;
  assert.equal(made.status().dayBytes, 0);
});

budget("counts what is admitted and not yet written", () => {
  const { made } = makeBudget(BLOCK, 0);
  const admitted = [1, 2, 3, 4, 5, 6].map((block) =>
    made.admit(fileOf("i"), { block, page: 0 }, BLOCK, "asked"),
  );
  assert.deepEqual(admitted, [true, true, true, true, false, false]);
  assert.deepEqual([made.status().rejected, made.status().rejectedBytes], [2, 2 * BLOCK]);
});

budget("what is promised is written whatever the budget, and counts in it", () => {
  const { made, writesOf } = makeBudget(BLOCK, 0);
  assert.equal(writesOf(BLOCK, "promised", 50), 50);
  assert.equal(writesOf(BLOCK), 0);
  assert.equal(made.status().amplification, 1);
});

budget("remembers what came lately, whatever file it is of, and forgets it in time", () => {
  const seen = new SeenBlocks();
  const [one, two] = [fileOf("one"), fileOf("two")];
  assert.equal(seen.seen(one, 5, 0), false);
  assert.equal(seen.seen(two, 5, 0), false);
  assert.equal(seen.seen(one, 2 ** 32 + 5, 0), false);
  assert.equal(seen.seen(one, 5, 1), false);
  assert.equal(seen.seen(fileOf("one"), 5, 0), true);
  let taken = 0;
  for (let block = 0; block < 262_144; block += 1) if (seen.seen(two, 1000 + block, 0)) taken += 1;
  assert.ok(taken < 262_144 / 40, `${taken} new blocks were taken for seen`);
  assert.equal(seen.seen(one, 5, 0), true, "it is among the last so many");
  for (let block = 0; block < 600_000; block += 1) seen.seen(two, 1_000_000 + block, 0);
  let again = 0;
  for (let block = 0; block < 1000; block += 1) if (seen.seen(two, 1000 + block, 0)) again += 1;
  assert.ok(again < 100, `${again} of 1000 long gone blocks are remembered`);
});

const put = (cache: OwnedCache, block: number, inode = "file") =>
  cache.put(tagOf(block, inode), bytesOf(block, BLOCK));

budget("a block is stored when it comes for the second time; no budget, no question", async () => {
  await withCache({ writeBytesPerDay: 1024 * MIB }, async (cache) => {
    assert.deepEqual(await put(cache, 1), REJECTED);
    assert.equal((await cache.get(tagOf(1))).kind, "miss");
    assert.deepEqual(await put(cache, 1), { kind: "stored" });
    assert.equal((await cache.get(tagOf(1))).kind, "hit");
    assert.deepEqual(await put(cache, 1), { kind: "stored" }, "what is cached was asked for");
    const status = await cache.status();
    assert.deepEqual(status.bypassed, { "write-budget": 1 });
    const { writes } = status;
    assert.deepEqual([writes.rejected, writes.rejectedBytes, writes.firstTime], [1, BLOCK, 1]);
    assert.deepEqual([writes.slotBytes, writes.dayBytes, writes.amplification], [2 * BLOCK, 2 * BLOCK, 1]);
    await cache.configure({ capacityBytes: 64 * MIB });
    assert.deepEqual(await put(cache, 2), { kind: "stored" });
    await cache.configure({ capacityBytes: 64 * MIB, writeBytesPerSecond: 8192 });
    assert.deepEqual(await put(cache, 2), { kind: "stored" });
    assert.deepEqual(await put(cache, 2), REJECTED, "its burst is used up");
    assert.equal((await cache.get(tagOf(2))).kind, "hit", "what was there stays");
  });
});

budget("pins, leases and handles keep their promises", async () => {
  await withCache({ writeBytesPerSecond: 4096 }, async (cache) => {
    await cache.pin({ fs: "test", volume: "volume", inode: "pinned" });
    for (let block = 0; block < 3; block += 1) {
      assert.deepEqual(await put(cache, block, "pinned"), { kind: "stored" });
    }
    const volume = await cache.acquireVolume("test", "volume");
    const file = await volume.acquireCookie("handle", { sizeBytes: 10n * BigInt(BLOCK) });
    assert.deepEqual(await file.write(0n, bytesOf(1, BLOCK)), { stored: [], bypass: "write-budget" });
    const zero = await file.zero(0n, BLOCK);
    assert.equal(zero.stored.length, 1, "it writes nothing to the drive");
    await file.resize(1000n);
    await cache.invalidate({ fs: "test", volume: "volume", inode: "pinned" });
    assert.equal((await cache.get(tagOf(0, "pinned"))).kind, "miss");
  });
  await withCache({ writeBytesPerDay: 1024 * MIB }, async (cache) => {
    const lease = await cache.getOrLease(tagOf(0));
    const waiting = cache.getOrLease(tagOf(0), { waitMs: 5000 });
    await new Promise((resolve) => setImmediate(resolve));
    if (lease.kind === "lease")
      assert.deepEqual(await lease.lease.put(bytesOf(0, BLOCK)), { kind: "stored" });
    assert.equal((await waiting).kind, "hit", "others wait for it: that is a second time");
    const alone = await cache.getOrLease(tagOf(1));
    if (alone.kind === "lease") assert.deepEqual(await alone.lease.put(bytesOf(1, BLOCK)), REJECTED);
    assert.equal((await cache.getOrLease(tagOf(1))).kind, "lease", "the next may fetch it");
  });
});

budget("counts what is copied for a part of a block, and admits parts one by one", async () => {
  await withCache({ writeBytesPerDay: 1024 * MIB }, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    const file = await volume.acquireCookie("file", { sizeBytes: BigInt(BLOCK) });
    for (const round of ["first", "second"]) {
      for (let page = 0; page < 8; page += 1) {
        const { stored } = await file.write(BigInt(page * 4096), bytesOf(page, 4096));
        // Once a part of it is cached the block was asked for.
        assert.equal(stored.length, round === "first" ? 0 : 1, `${round} ${page}`);
      }
    }
    await file.write(0n, bytesOf(9, 4096));
    const { writes } = await cache.status();
    assert.equal(writes.firstTime, 8);
    assert.equal(writes.slotBytes, 8 * 4096 + 8 * 4096, "a present page is replaced in a fresh slot");
    assert.ok((writes.amplification ?? 0) > 1);
  });
});

budget("refuses a budget that is none", async () => {
  await withCache({}, async (cache) => {
    for (const options of [
      { writeBytesPerSecond: 4095 },
      { writeBytesPerDay: -1 },
      { writeBytesPerDay: 1.5e6 + 0.5 },
    ]) {
      await assert.rejects(
        cache.configure(options),
        withCode("E_CONFIG", /write budget of .* want 0 for none/),
      );
    }
  });
});

budget.run();
