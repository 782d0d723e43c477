import assert from "node:assert/strict";
import { suite } from "uvu";
import type { FileName, HeldFile, OwnedCache, StagedFile } from "../../engine/api.js";
import { SLOT_BYTES } from "../../engine/cache.js";
import {
  bytesOf,
  expectHit,
  openAt,
  startOf,
  store,
  withCache,
  withCode,
  withPlace,
} from "../support/temp-cache.js";

const open = suite("open files");

const fileOf = (inode: string, volume = "volume"): FileName => ({ fs: "test", volume, inode });
const tagOf = (inode: string, block = 0, volume = "volume") => ({ ...fileOf(inode, volume), block });

/** Stores a file whole, and leaves it open. */
async function publish(
  cache: OwnedCache,
  inode: string,
  lengthBytes: number,
  rank?: "first" | "last",
): Promise<HeldFile> {
  const staged = cache.stage(fileOf(inode), rank === undefined ? {} : { rank });
  await putAll(staged, inode.length, lengthBytes);
  return held(await staged.publish({ sizeBytes: BigInt(lengthBytes), attributes: Buffer.from(inode) }));
}

async function putAll(staged: StagedFile, seed: number, lengthBytes: number): Promise<void> {
  for (let block = 0; block * SLOT_BYTES < lengthBytes; block += 1) {
    const bytes = bytesOf(seed + block, Math.min(SLOT_BYTES, lengthBytes - block * SLOT_BYTES));
    assert.deepEqual(await staged.put(block, bytes), { kind: "stored" });
  }
}

function held(result: { readonly kind: string; readonly file?: HeldFile }): HeldFile {
  assert.equal(result.kind, "held", JSON.stringify(result));
  return result.file as HeldFile;
}

const isThere = (cache: OwnedCache, inode: string): boolean => cache.look(fileOf(inode))?.whole === true;

open(
  "a file that is stored is not found before it is whole, and then it is, with size and attributes",
  async () => {
    await withPlace(async (directory) => {
      const cache = await openAt(directory);
      const staged = cache.stage(fileOf("a"));
      await putAll(staged, 1, 2 * SLOT_BYTES + 1);
      assert.equal(cache.look(fileOf("a")), undefined);
      assert.deepEqual(await cache.get(tagOf("a")), { kind: "miss" });
      assert.deepEqual(cache.hold(fileOf("a")), { kind: "miss" });
      assert.deepEqual((await cache.files({ fs: "test", volume: "volume" })).files, []);
      assert.equal(cache.holds.stagedBytes, 2 * SLOT_BYTES + 1);
      const file = held(
        await staged.publish({ sizeBytes: BigInt(2 * SLOT_BYTES + 1), attributes: Buffer.from("type 1") }),
      );
      const whole = { sizeBytes: BigInt(2 * SLOT_BYTES + 1), whole: true, attributes: Buffer.from("type 1") };
      assert.deepEqual(cache.look(fileOf("a")), whole);
      assert.deepEqual(cache.holds.stagedBytes, 0);
      expectHit(await cache.get(tagOf("a", 2)), bytesOf(3, 1));
      file.release();
      await cache.close();
      const again = await openAt(directory);
      assert.deepEqual(again.look(fileOf("a")), whole);
      expectHit(await again.get(tagOf("a", 1)), bytesOf(2, SLOT_BYTES));
      assert.deepEqual(await again.files({ fs: "test", volume: "volume" }), {
        files: [{ inode: Buffer.from("a"), look: whole }],
        more: false,
      });
      await again.close();
    });
  },
);

open("what is given up, or is still being stored at a close, leaves nothing behind", async () => {
  await withCache({}, async (cache) => {
    const staged = cache.stage(fileOf("a"));
    await putAll(staged, 1, 3 * SLOT_BYTES);
    const late = staged.put(3, bytesOf(4, SLOT_BYTES));
    await staged.abandon();
    await staged.abandon();
    assert.deepEqual(await late, { kind: "bypass", reason: "stale" });
    await assert.rejects(staged.put(0, bytesOf(1, 1)), withCode("E_CLOSED"));
    await assert.rejects(staged.publish({ sizeBytes: 0n }), withCode("E_CLOSED"));
    const { validBytes, slots, holds } = await cache.status();
    assert.deepEqual([validBytes, slots.used, holds.bytes, holds.stagedBytes], [0, 0, 0, 0]);
    await putAll(cache.stage(fileOf("b")), 1, SLOT_BYTES);
    void cache.stage(fileOf("c")).put(0, bytesOf(1, SLOT_BYTES)); // the close tells it
  });
});

open("a file is published only if all of it was put", async () => {
  await withCache({}, async (cache) => {
    const staged = cache.stage(fileOf("a"));
    await staged.put(0, bytesOf(1, 100));
    await staged.put(2, bytesOf(1, 100));
    for (const size of [0, 99, 101, 200, SLOT_BYTES + 100]) {
      const published = staged.publish({ sizeBytes: BigInt(size) });
      if (size === 200) assert.deepEqual(await published, { kind: "bypass", reason: "io-error" });
      else await assert.rejects(published, withCode("E_ARGUMENT"));
      if (size === 200) break;
    }
    assert.equal(cache.look(fileOf("a")), undefined);
    const empty = cache.stage(fileOf("empty"));
    await assert.rejects(empty.put(0, new Uint8Array(0)), withCode("E_ARGUMENT"));
    await assert.rejects(empty.put(-1, new Uint8Array(1)), withCode("E_ARGUMENT"));
    await assert.rejects(
      empty.publish({ sizeBytes: 0n, attributes: Buffer.alloc(4097) }),
      withCode("E_ARGUMENT"),
    );
    held(await empty.publish({ sizeBytes: 0n })).release();
    assert.deepEqual(cache.look(fileOf("empty")), { sizeBytes: 0n, whole: true });
  });
});

open("a file takes the place of one that has its name; handles and holds on that are harmless", async () => {
  await withCache({}, async (cache) => {
    const old = await publish(cache, "a", SLOT_BYTES + 5);
    const volume = await cache.acquireVolume("test", "volume");
    const cookie = await volume.acquireCookie("a");
    const young = await publish(cache, "a", 10);
    assert.equal(cache.look(fileOf("a"))?.sizeBytes, 10n);
    assert.deepEqual(await cache.get(tagOf("a", 1)), { kind: "miss" });
    assert.equal((await cookie.read(0n, 5)).bypass, "stale");
    assert.equal((await cookie.write(0n, bytesOf(9, 5))).bypass, "stale");
    old.release();
    old.release();
    expectHit(await cache.get(tagOf("a")), bytesOf(1, 10));
    assert.equal((await cache.flush({ all: true })).skipped.inUse, 1);
    young.release();
    assert.equal((await cache.flush({ all: true })).dropped.blocks, 1);
    await cookie.relinquish();
    assert.equal(cache.look(fileOf("a"))?.whole, false);
  });
});

open("an open file is neither culled nor flushed, until all have let it go", async () => {
  await withCache({ capacityBytes: 16 * 1024 * 1024 }, async (cache) => {
    (await publish(cache, "open", 2 * SLOT_BYTES)).release();
    const [one, two] = [held(cache.hold(fileOf("open"))), held(cache.hold(fileOf("open")))];
    await store(cache, tagOf("open", 2), bytesOf(7, SLOT_BYTES)); // what comes later is kept too
    const { files, bytes, keptBytes } = cache.holds;
    assert.deepEqual([files, bytes, keptBytes], [1, 3 * SLOT_BYTES, 3 * SLOT_BYTES]);
    const press = async () => {
      for (let block = 0; block < 100; block += 1)
        await store(cache, tagOf("press", block), bytesOf(block, SLOT_BYTES));
    };
    await press();
    assert.deepEqual(
      await cache.evict({ validBytesMax: 0 }).then(({ validBytes }) => validBytes),
      3 * SLOT_BYTES,
    );
    assert.equal((await cache.flush({ all: true })).skipped.inUse, 3);
    const explained = await cache.explain(tagOf("open"));
    assert.deepEqual([explained.victim, explained.inUse], [false, true]);
    one.release();
    one.release();
    await press();
    assert.ok(isThere(cache, "open"));
    two.release();
    assert.deepEqual(cache.holds, { ...cache.holds, files: 0, bytes: 0, keptBytes: 0 });
    assert.deepEqual(await cache.evict({ validBytesMax: 0 }).then(({ validBytes }) => validBytes), 0);
    assert.equal(isThere(cache, "open"), false);
    assert.equal((await cache.status()).usedBytes > 0, true, "slots keep their size for others");
  });
});

open("open and staged files keep no more from culling than they may, whatever is asked", async () => {
  await withCache({ capacityBytes: 16 * 1024 * 1024 }, async (cache) => {
    const { bytesMax } = cache.holds;
    const staged = cache.stage(fileOf("large"));
    const answers = await Promise.all(
      Array.from({ length: 64 }, (_, block) => staged.put(block, bytesOf(block, SLOT_BYTES))),
    );
    const stored = answers.filter(({ kind }) => kind === "stored").length;
    assert.equal(stored, Math.floor(bytesMax / SLOT_BYTES));
    assert.deepEqual(answers.at(-1), { kind: "bypass", reason: "no-space" });
    assert.ok(cache.holds.keptBytes <= bytesMax);
    await store(cache, tagOf("other"), bytesOf(1, 100));
    await staged.abandon();
    for (let file = 0; file < 3; file += 1) {
      for (let block = 0; block < 19; block += 1)
        await store(cache, tagOf(`file ${file}`, block), bytesOf(block, SLOT_BYTES));
    }
    const one = held(cache.hold(fileOf("file 2")));
    const two = held(cache.hold(fileOf("file 1")));
    const refused = cache.hold(fileOf("file 0"));
    assert.deepEqual(refused, { kind: "bypass", reason: "no-space" });
    two.release();
    held(cache.hold(fileOf("file 0"))).release();
    one.release();
  });
});

open("of what is evicted the first rank goes first, and the last rank last among equals", async () => {
  await withPlace(async (directory) => {
    let cache = await openAt(directory);
    const order = ["c1", "r1", "v1", "c2", "r2", "v2", "c3", "r3", "v3"];
    const ranks = { c: "last", r: undefined, v: "first" } as const;
    for (const inode of order) {
      (await publish(cache, inode, 100, ranks[inode.charAt(0) as "c" | "r" | "v"])).release();
    }
    const left = () => order.filter((inode) => isThere(cache, inode));
    const evict = async (files: number) => {
      await cache.evict({ validBytesMax: files * 100 });
      return left();
    };
    assert.deepEqual(
      await evict(8),
      order.filter((inode) => inode !== "v1"),
    );
    await cache.close();
    cache = await openAt(directory);
    assert.deepEqual(await evict(6), ["c1", "r1", "c2", "r2", "c3", "r3"], "remembered in the order of use");
    for (const inode of ["c1", "c2", "c3"]) held(cache.hold(fileOf(inode), { rank: "last" })).release();
    assert.deepEqual(await evict(3), ["c1", "c2", "c3"]);
    (await publish(cache, "r4", 100)).release();
    assert.deepEqual(await evict(3), ["c1", "c2", "c3"], "their first turn counts as a use");
    (await publish(cache, "r5", 100)).release();
    assert.deepEqual(await evict(3), ["c2", "c3"], "they had their second turn");
    assert.ok(isThere(cache, "r5"));
    assert.deepEqual(await evict(0), []);
    await cache.close();
  });
});

open("a wipe takes open and staged files as everything else", async () => {
  await withCache({}, async (cache) => {
    const old = await publish(cache, "a", 100);
    const staged = cache.stage(fileOf("b"));
    await putAll(staged, 1, 100);
    await cache.wipe();
    assert.deepEqual(cache.holds, { ...cache.holds, files: 0, bytes: 0, stagedBytes: 0 });
    assert.equal(cache.look(fileOf("a")), undefined);
    assert.deepEqual(await staged.put(1, bytesOf(1, 1)), { kind: "bypass", reason: "stale" });
    assert.deepEqual(await staged.publish({ sizeBytes: 100n }), { kind: "bypass", reason: "stale" });
    const young = await publish(cache, "a", 100);
    old.release();
    assert.equal(cache.holds.files, 1);
    young.release();
    assert.equal(cache.holds.files, 0);
  });
});

open("a file that is being stored while its volume is invalidated is not published", async () => {
  await withCache({}, async (cache) => {
    for (const target of [{ fs: "test", volume: "volume" }, { fs: "test" }]) {
      await store(cache, tagOf("other"), bytesOf(1, 1));
      const staged = cache.stage(fileOf("a"));
      await putAll(staged, 1, 100);
      await cache.invalidate(target);
      assert.deepEqual(await staged.publish({ sizeBytes: 100n }), { kind: "bypass", reason: "stale" });
      assert.equal(cache.look(fileOf("a")), undefined);
    }
  });
});

open("notes survive wipes and restarts, and are bounded", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    assert.equal(await cache.note("test", "one"), undefined);
    await cache.putNote("test", "one", Buffer.from("1"));
    await cache.putNote("test", "one", Buffer.from("2"));
    await cache.putNote("other", "one", Buffer.alloc(1024, 3));
    await cache.wipe();
    for (const name of ["", "x".repeat(1025)])
      await assert.rejects(cache.note("test", name), withCode("E_ARGUMENT"));
    await assert.rejects(cache.putNote("", "x", Buffer.alloc(1)), withCode("E_ARGUMENT"));
    await assert.rejects(cache.putNote("test", "x", Buffer.alloc(1025)), withCode("E_ARGUMENT"));
    await cache.close();
    await startOf(directory, { wipeReason: "a test" });
    const again = await openAt(directory);
    assert.deepEqual(await again.note("test", "one"), Buffer.from("2"));
    assert.deepEqual(await again.note("other", "one"), Buffer.alloc(1024, 3));
    await again.close();
    await assert.rejects(again.note("test", "one"), withCode("E_CLOSED"));
    for (const call of [
      () => again.look(fileOf("a")),
      () => again.hold(fileOf("a")),
      () => again.stage(fileOf("a")),
      () => again.holds,
    ])
      assert.throws(call, withCode("E_CLOSED"));
    await assert.rejects(again.evict({ validBytesMax: 0 }), withCode("E_CLOSED"));
    await assert.rejects(again.files({ fs: "a", volume: "b" }), withCode("E_CLOSED"));
  });
});

open.run();
