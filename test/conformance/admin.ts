/** Flush, list, explain and pins, as every BlockCache has them. */
import * as assert from "uvu/assert";
import type { BlockCache, Selector } from "../../engine/api.js";
import { BLOCK, bytesOf, isHit, isStored, rejects, tagOf } from "./support.js";
import type { Check } from "./support.js";

const FS = "nfs";
const VOLUME = "volume";
const NOTHING = { blocks: 0, bytes: 0 };
const NO_SKIPS = { inUse: 0, pinned: 0, unsent: 0 };

/** Three files in a tree and one beside it, of 100 bytes a block. */
async function fill(cache: BlockCache): Promise<void> {
  for (const inode of ["a/1", "a/2", "a/b/3", "ab"]) {
    for (let block = 0; block < 2; block += 1)
      isStored(await cache.put(tagOf(block, inode), bytesOf(block, 100)));
  }
  isStored(await cache.put({ fs: "afs", volume: "other", inode: "a/1", block: 0 }, bytesOf(7, 50)));
}

const textOf = (entries: readonly { name: Buffer }[]) => entries.map(({ name }) => name.toString());

const WRONG: ReadonlyArray<unknown> = [
  undefined,
  null,
  "all",
  {},
  { all: "yes" },
  { all: true, fs: FS },
  { fs: "" },
  { fs: "x".repeat(256) },
  { fs: 7 },
  { volume: VOLUME },
  { fs: FS, inode: "a" },
  { fs: FS, inodePrefix: "a" },
  { fs: FS, volume: VOLUME, inode: "a", inodePrefix: "a" },
  { fs: FS, volume: "x".repeat(65_536) },
  { fs: FS, volume: VOLUME, inode: "x".repeat(65_536) },
  { fs: FS, volume: VOLUME, inode: 7 },
  { fs: FS, volume: VOLUME, inodePrefix: 7 },
];

export function adminTests(check: Check): void {
  flushTests(check);
  listTests(check);
  pinTests(check);
}

function flushTests(check: Check): void {
  check(
    "flushes files, trees, volumes, file systems and everything, and nothing beside it",
    async (cache) => {
      const left = async () => {
        const found: string[] = [];
        for (const inode of ["a/1", "a/2", "a/b/3", "ab"])
          if (await cache.has(tagOf(0, inode))) found.push(inode);
        return found;
      };
      const flushed = async (what: Selector, blocks: number, bytes = blocks * 100) =>
        assert.equal(await cache.flush(what), { dropped: { blocks, bytes }, skipped: NO_SKIPS });
      await fill(cache);
      await flushed({ fs: FS, volume: VOLUME, inode: "a" }, 0);
      await flushed({ fs: FS, volume: "no such volume" }, 0);
      await flushed({ fs: "no such fs" }, 0);
      await flushed({ fs: FS, volume: VOLUME, inode: "a/1" }, 2);
      assert.equal(await left(), ["a/2", "a/b/3", "ab"]);
      await flushed({ fs: FS, volume: VOLUME, inodePrefix: "a/" }, 4);
      assert.equal(await left(), ["ab"]);
      await flushed({ fs: FS, volume: VOLUME }, 2);
      assert.equal(await left(), []);
      await fill(cache);
      await flushed({ fs: FS }, 8);
      assert.ok(await cache.has({ fs: "afs", volume: "other", inode: "a/1", block: 0 }));
      await flushed({ all: true }, 1, 50);
      assert.is((await cache.status()).slots.used, 0);
      isStored(await cache.put(tagOf(0, "a/1"), bytesOf(5, 9)));
      isHit(await cache.get(tagOf(0, "a/1")), bytesOf(5, 9));
    },
  );

  check("counts what a flush would drop, and drops nothing", async (cache) => {
    await fill(cache);
    const what = { fs: FS, volume: VOLUME, inodePrefix: Buffer.from("a/") };
    const wanted = { dropped: { blocks: 6, bytes: 600 }, skipped: NO_SKIPS };
    assert.equal(await cache.flush(what, { dryRun: true }), wanted);
    assert.equal(await cache.flush(what, { dryRun: true }), wanted);
    isHit(await cache.get(tagOf(1, "a/b/3")), bytesOf(1, 100));
    assert.equal(await cache.flush(what), wanted);
    assert.equal(await cache.get(tagOf(1, "a/b/3")), { kind: "miss" });
  });

  check("refuses selectors that are none, for every operation that takes one", async (cache) => {
    await fill(cache);
    for (const what of WRONG as Selector[]) {
      await rejects(() => cache.flush(what), "E_ARGUMENT");
      await rejects(() => cache.list(what), "E_ARGUMENT");
      await rejects(() => cache.pin(what), "E_ARGUMENT");
      await rejects(() => cache.unpin(what), "E_ARGUMENT");
    }
    assert.is((await cache.status()).slots.used, 9);
    assert.equal((await cache.pins()).pins, []);
  });
}

function listTests(check: Check): void {
  check("lists file systems, volumes and files with what is cached, by name", async (cache) => {
    assert.equal(await cache.list({ all: true }), { entries: [], more: false });
    await fill(cache);
    const cookie = await (
      await cache.acquireVolume(FS, VOLUME)
    ).acquireCookie("sized", {
      sizeBytes: BLOCK + 7n,
    });
    await cookie.write(BLOCK, bytesOf(1, 7));
    await cookie.relinquish();
    const systems = await cache.list({ all: true });
    assert.equal(textOf(systems.entries), ["afs", "nfs"]);
    assert.equal(
      systems.entries.map(({ volumes, blocks, bytes }) => [volumes, blocks, bytes]),
      [
        [1, 1, 50],
        [1, 9, 807],
      ],
    );
    const volumes = await cache.list({ fs: FS });
    assert.equal(textOf(volumes.entries), [VOLUME]);
    assert.equal([volumes.entries[0]?.blocks, volumes.entries[0]?.bytes], [9, 807]);
    const files = await cache.list({ fs: FS, volume: VOLUME });
    assert.equal(textOf(files.entries), ["a/1", "a/2", "a/b/3", "ab", "sized"]);
    assert.equal(files.entries.at(-1), {
      name: Buffer.from("sized"),
      blocks: 1,
      bytes: 7,
      sizeBytes: BLOCK + 7n,
      pinned: false,
    });
    const tree = await cache.list({ fs: FS, volume: VOLUME, inodePrefix: "a/" });
    assert.equal(textOf(tree.entries), ["a/1", "a/2", "a/b/3"]);
    assert.equal(textOf((await cache.list({ fs: FS, volume: VOLUME, inode: "a/1" })).entries), ["a/1"]);
    assert.equal((await cache.list({ fs: FS, volume: "no such volume" })).entries, []);
    assert.equal((await cache.list({ fs: "no such fs" })).entries, []);
  });

  check("lists in pages", async (cache) => {
    await fill(cache);
    const all = { fs: FS, volume: VOLUME };
    const first = await cache.list(all, { limit: 3 });
    assert.equal([textOf(first.entries), first.more], [["a/1", "a/2", "a/b/3"], true]);
    const second = await cache.list(all, { limit: 3, after: "a/b/3" });
    assert.equal([textOf(second.entries), second.more], [["ab"], false]);
    assert.equal(await cache.list(all, { after: "zz" }), { entries: [], more: false });
    const systems = await cache.list({ all: true }, { limit: 1 });
    assert.equal([textOf(systems.entries), systems.more], [["afs"], true]);
    assert.equal(textOf((await cache.list({ all: true }, { after: "afs" })).entries), ["nfs"]);
    assert.equal((await cache.list({ fs: FS }, { after: VOLUME })).entries, []);
    for (const limit of [0, -1, 0.5, 501, Number.NaN, "1" as unknown as number]) {
      await rejects(() => cache.list(all, { limit }), "E_ARGUMENT");
      await rejects(() => cache.pins({ limit }), "E_ARGUMENT");
    }
    await rejects(() => cache.list(all, { after: "x".repeat(65_536) }), "E_ARGUMENT");
    await rejects(() => cache.list({ all: true }, { after: "" }), "E_ARGUMENT");
    for (const after of [-1, 0.5, Number.NaN, "1" as unknown as number])
      await rejects(() => cache.pins({ after }), "E_ARGUMENT");
  });

  check("explains a block, cached, pinned or absent", async (cache) => {
    await fill(cache);
    const cached = await cache.explain(tagOf(0, "a/1"));
    assert.equal([cached.state, cached.victim, cached.inUse, cached.pin], ["cached", true, false, "none"]);
    await cache.pin({ fs: FS, volume: VOLUME, inode: "a/1" });
    const pinned = await cache.explain(tagOf(0, "a/1"));
    assert.equal([pinned.state, pinned.victim, pinned.pin], ["cached", false, "pinned"]);
    for (const tag of [tagOf(9, "a/1"), tagOf(0, "none"), { ...tagOf(0), fs: "none" }]) {
      const absent = await cache.explain(tag);
      assert.equal([absent.state, absent.victim], ["absent", false]);
      assert.match(absent.why, /nothing is cached/);
    }
    await rejects(() => cache.explain({ ...tagOf(0), fs: "" }), "E_ARGUMENT");
    await rejects(() => cache.explain({ ...tagOf(0), volume: "x".repeat(65_536) }), "E_ARGUMENT");
    await rejects(() => cache.explain({ ...tagOf(0), inode: "x".repeat(65_536) }), "E_ARGUMENT");
    for (const block of [-1, 0.5, 2 ** 45]) await rejects(() => cache.explain(tagOf(block)), "E_ARGUMENT");
  });
}

function pinTests(check: Check): void {
  check(
    "keeps pinned files, trees and volumes from flush and cull, until they are unpinned",
    async (cache) => {
      await fill(cache);
      const tree = { fs: FS, volume: VOLUME, inodePrefix: "a/" };
      const file = { fs: FS, volume: VOLUME, inode: "ab" };
      const volume = { fs: "afs", volume: "other" };
      assert.equal(await cache.pin(tree), { added: true, blocks: 6, bytes: 600 });
      assert.equal(await cache.pin(tree), { added: false, blocks: 6, bytes: 600 });
      assert.equal(await cache.pin(file), { added: true, blocks: 2, bytes: 200 });
      assert.equal(await cache.pin(volume), { added: true, blocks: 1, bytes: 50 });
      assert.is((await cache.status()).pins.count, 3);
      isStored(await cache.put(tagOf(2, "a/b/3"), bytesOf(2, 100)));
      isStored(await cache.put(tagOf(0, "free"), bytesOf(3, 100)));
      assert.equal(await cache.flush({ all: true }), {
        dropped: { blocks: 1, bytes: 100 },
        skipped: { ...NO_SKIPS, pinned: 10 },
      });
      const listed = await cache.list({ fs: FS, volume: VOLUME });
      assert.equal(
        listed.entries.map(({ pinned }) => pinned),
        [true, true, true, true],
      );
      assert.equal(await cache.unpin(file), { removed: 1 });
      assert.equal(await cache.unpin(file), { removed: 0 });
      assert.equal(await cache.unpin({ fs: FS, volume: VOLUME }), { removed: 0 });
      assert.equal(await cache.unpin({ fs: FS }), { removed: 1 });
      assert.equal(await cache.unpin({ all: true }), { removed: 1 });
      assert.equal(await cache.pins(), { pins: [], more: false });
      assert.equal((await cache.flush({ all: true })).dropped, { blocks: 10, bytes: 950 });
      assert.equal((await cache.flush({ all: true })).dropped, NOTHING);
    },
  );

  check(
    "lists pins with what is cached of them, also after a wipe, as to be fetched again",
    async (cache) => {
      const cookie = await (
        await cache.acquireVolume(FS, VOLUME)
      ).acquireCookie("a", { sizeBytes: BLOCK * 2n });
      await cookie.write(0n, bytesOf(1, Number(BLOCK)));
      const pinned = { fs: FS, volume: VOLUME, inode: "a" };
      await cache.pin(pinned);
      await cache.pin({ fs: FS, volume: VOLUME, inodePrefix: "tree/" });
      const [half, tree] = (await cache.pins()).pins;
      const { id = 0, protectedBytes: _, ...rest } = half ?? {};
      const names = { fs: Buffer.from(FS), volume: Buffer.from(VOLUME) };
      const inode = Buffer.from("a");
      const sums = { files: 1, sizeBytes: BLOCK * 2n, blocks: 1, bytes: Number(BLOCK) };
      assert.equal(rest, { ...names, inode, ...sums, refetch: true });
      assert.is(tree?.inodePrefix?.toString(), "tree/");
      await cookie.write(BLOCK, bytesOf(2, Number(BLOCK)));
      assert.is((await cache.pins()).pins[0]?.refetch, false);

      await cache.wipe();
      const [gone] = (await cache.pins()).pins;
      assert.equal([gone?.id, gone?.files, gone?.bytes, gone?.refetch], [id, 0, 0, true]);
      isStored(await cache.put(tagOf(0, "a"), bytesOf(1, Number(BLOCK))));
      assert.is((await cache.pins()).pins[0]?.refetch, true, "only part of it may be back");
      assert.equal((await cache.pin(pinned, { refetched: true })).added, false);
      const page = await cache.pins({ limit: 1 });
      assert.equal([page.pins[0]?.refetch, page.more], [false, true]);
      const last = await cache.pins({ after: id });
      assert.equal([last.pins.map(({ id: other }) => other > id), last.more], [[true], false]);
    },
  );

  check("pins nothing less than a volume at once", async (cache) => {
    await rejects(() => cache.pin({ all: true }), "E_ARGUMENT");
    await rejects(() => cache.pin({ fs: FS }), "E_ARGUMENT");
    assert.equal(await cache.unpin({ all: true }), { removed: 0 });
  });
}
