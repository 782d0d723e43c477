/** Metadata of files beyond what the conformance suite sees: restarts, clocks, sizes, culling, damage. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { BlockIndex } from "../../index/block-index.js";
import { Ledger } from "../../index/ledger.js";
import type { BlockCache, CookieHandle, DirectoryEntry, FileMetadata } from "../../engine/api.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { fill, namesOf } from "../conformance/directories.js";
import {
  CAPACITY_BYTES,
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  pause,
  store,
  tagOf,
  until,
  withCache,
  withPlace,
} from "../support/temp-cache.js";

const metadata = suite("metadata of files");

const MISS = { kind: "miss" };
const ABSENT = { kind: "absent" };
const STORED = { kind: "stored" };

async function cookieOf(cache: BlockCache, inode = "directory"): Promise<CookieHandle> {
  return (await cache.acquireVolume("test", "volume")).acquireCookie(inode);
}

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, number) => `file ${String(number).padStart(6, "0")}`);
}

function entryOf(name: string): DirectoryEntry {
  return { name, inode: `inode of ${name}`, type: "file" };
}

/** How many metadata records a closed cache has, those that note what is to go included. */
async function recordsIn(directory: string): Promise<number> {
  const ledger = await Ledger.open({ directory: path.join(directory, "ledger") });
  const { cacheId, epoch } = ledger;
  await ledger.close();
  const place = path.join(directory, "index", String(epoch));
  const index = BlockIndex.open({ directory: place, mapBytes: 2 ** 30, cacheId, epoch, create: false });
  const { records, next } = index.metadata.slice({ recordsMax: 100_000 });
  await index.close();
  assert.equal(next, undefined);
  return records.length;
}

metadata("a clean restart keeps everything but negative entries", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    const first = (await cookieOf(cache)).metadata;
    await first.setAttributes(bytesOf(1, 100), { coherency: Buffer.from("1") });
    await first.setSymlink("target");
    await first.replaceXattrs([{ name: "user.a", value: bytesOf(2, 5000) }]);
    await fill(first, ["a", "b"], Buffer.from("2"));
    const partial = (await cookieOf(cache, "partial")).metadata;
    await partial.putEntries([entryOf("a")]);
    await partial.putNegative("b", { ttlMs: 3_600_000 });
    assert.deepEqual(await partial.lookup("b"), ABSENT);
    const begun = await partial.beginListing();
    await partial.putEntries([entryOf("c")]);
    await cache.close();

    const next = await openAt(directory);
    assert.equal((await next.status()).start.kind, "clean");
    const again = (await cookieOf(next)).metadata;
    const found = { kind: "found", value: bytesOf(1, 100) };
    assert.deepEqual(await again.getAttributes({ coherency: Buffer.from("1") }), found);
    assert.deepEqual(await again.getSymlink(), { kind: "found", value: Buffer.from("target") });
    assert.deepEqual(await again.getXattr("user.a"), { kind: "found", value: bytesOf(2, 5000) });
    assert.deepEqual(await again.getXattr("user.b"), ABSENT);
    assert.deepEqual(await namesOf(again), { names: ["a", "b"], complete: true, pages: 1 });
    assert.deepEqual(await again.lookup("c", { coherency: Buffer.from("2") }), ABSENT);
    const other = (await cookieOf(next, "partial")).metadata;
    assert.deepEqual(await namesOf(other), { names: ["c"], complete: false, pages: 1 });
    assert.deepEqual(await other.lookup("b"), MISS);
    if (begun.kind === "begun")
      assert.deepEqual(await other.completeListing(begun.listing), { kind: "superseded" });
    await next.close();
    await expectSound(directory);
  });
});

metadata("a negative entry of an earlier session has expired, however its clock stood", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, { now: () => 1e9 + performance.now() });
    const { metadata: first } = await cookieOf(cache);
    await first.putNegative("a", { ttlMs: 60_000 });
    await cache.close();
    const next = await openAt(directory, { now: () => performance.now() });
    const { metadata: second } = await cookieOf(next);
    assert.deepEqual(await second.lookup("a"), MISS);
    await second.putNegative("a", { ttlMs: 60_000 });
    assert.deepEqual(await second.lookup("a"), ABSENT);
    await next.close();
  });
});

metadata("a negative entry expires by the monotonic clock", async () => {
  let skippedMs = 0;
  await withCache({ now: () => performance.now() + skippedMs }, async (cache) => {
    const { metadata: directory } = await cookieOf(cache);
    await directory.putNegative("a", { ttlMs: 60_000 });
    await directory.putNegative("b", { ttlMs: 86_400_000 });
    skippedMs = 50_000;
    assert.deepEqual(await directory.lookup("a"), ABSENT);
    skippedMs = 60_010;
    assert.deepEqual(await directory.lookup("a"), MISS);
    assert.deepEqual(await directory.lookup("b"), ABSENT);
  });
});

metadata(
  "a directory of 20,000 entries is filled, searched, changed and listed, also after a restart",
  async () => {
    await withPlace(async (directory) => {
      const options = { capacityBytes: 1024 * MIB };
      const cache = await openAt(directory, options);
      const { metadata: large } = await cookieOf(cache);
      const names = numbered(20_000);
      await fill(large, names.toReversed());
      assert.deepEqual(await namesOf(large), { names, complete: true, pages: 20 });
      const before = (await cache.status()).indexBytes;
      for (let at = 0; at < 100; at += 1) {
        await large.putEntries([entryOf(`${names[at * 100]}+`)]);
        assert.deepEqual(await large.removeEntry(`${names[at * 100]}+`), { kind: "removed" });
      }
      const grownBytes = (await cache.status()).indexBytes - before;
      assert.ok(grownBytes < MIB, `200 changes of one entry each took ${grownBytes} bytes`);
      assert.equal((await large.lookup("file 012345")).kind, "found");
      assert.deepEqual(await large.lookup("file 0123456"), ABSENT);
      await cache.close();
      const next = await openAt(directory, options);
      const { metadata: again } = await cookieOf(next);
      assert.deepEqual(await namesOf(again, 700), { names, complete: true, pages: 29 });
      await fill(again, ["only"]); // what was there before is skipped until it is removed
      assert.deepEqual((await namesOf(again)).names, ["only"]);
      await next.close();
      await expectSound(directory);
    });
  },
);

metadata("what was invalidated leaves the index, and what is stored since stays", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    const volume = await cache.acquireVolume("test", "volume");
    const cookies = await Promise.all(["a", "b", "c"].map((inode) => volume.acquireCookie(inode)));
    for (const { metadata: one } of cookies) await fill(one, numbered(1000));
    const [a, b, c] = cookies as [CookieHandle, CookieHandle, CookieHandle];
    await a.invalidate();
    await a.metadata.putEntries([entryOf("new")]);
    await b.metadata.drop("directory");
    await fill(c.metadata, ["one"]);
    await c.metadata.setAttributes(bytesOf(1, 10));
    await pause(1000);
    await cache.close();
    // Of a: directory and entry; of c: directory, entry, attributes.
    assert.equal(await recordsIn(directory), 5);
  });
});

metadata("what a retired file leaves behind at a stop is removed in the next session", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, { capacityBytes: 256 * MIB });
    const cookie = await cookieOf(cache);
    await fill(cookie.metadata, numbered(10_000));
    await cookie.relinquish({ retire: true });
    await cache.close();
    assert.ok((await recordsIn(directory)) > 1, "the stop came before the end of the cleaning");
    await expectSound(directory); // what is left is noted to go
    const next = await openAt(directory, { capacityBytes: 256 * MIB });
    await pause(2500); // nothing outside tells when cleaning is done
    await next.close();
    assert.equal(await recordsIn(directory), 0);
    await expectSound(directory);
  });
});

metadata("metadata is culled with its file when the index is pressed, the longest unused first", async () => {
  await withCache({ capacityBytes: CAPACITY_BYTES }, async (cache) => {
    const volume = await cache.acquireVolume("test", "volume");
    await store(cache, tagOf(0, "with a block"), bytesOf(1, 100));
    const held = await volume.acquireCookie("held");
    await fill(held.metadata, ["a"]);
    const blocked = await volume.acquireCookie("with a block");
    await blocked.metadata.setAttributes(bytesOf(2, 100));
    await blocked.relinquish();
    const value = bytesOf(3, 4000);
    let stored = 0;
    for (let file = 0; file < 1500; file += 1) {
      const cookie = await volume.acquireCookie(`file ${file}`);
      // What is refused while the culling is under way is tried again, as a caller would later.
      await until(async () => {
        const { kind } = await cookie.metadata.setAttributes(value);
        if (kind === "stored") stored += 1;
        return kind === "stored";
      }, 30_000);
      await cookie.relinquish();
      const { usedBytes, indexBytes, capacityBytes } = await cache.status();
      assert.ok(usedBytes + indexBytes <= capacityBytes, "the capacity holds");
    }
    assert.equal(stored, 1500);
    const attributesOf = async (inode: string) =>
      (await volume.acquireCookie(inode)).metadata.getAttributes();
    assert.deepEqual(await attributesOf("file 1499"), { kind: "found", value });
    assert.deepEqual(await attributesOf("file 0"), MISS);
    assert.deepEqual(await held.metadata.lookup("b"), ABSENT);
    expectHit(await cache.get(tagOf(0, "with a block")), bytesOf(1, 100));
    assert.equal((await attributesOf("with a block")).kind, "found");
  });
});

metadata("a listing that the index has no room for does not become complete", async () => {
  await withCache({ capacityBytes: 32 * MIB }, async (cache) => {
    const { metadata: one } = await cookieOf(cache);
    const { metadata: other } = await cookieOf(cache, "other");
    await fill(other, ["a", "b"]);
    const begun = await one.beginListing();
    assert.equal(begun.kind, "begun");
    if (begun.kind !== "begun") return;
    const { listing } = begun;
    const full = { kind: "bypass", reason: "index-full" };
    const putsUntilFull = async (): Promise<void> => {
      for (let round = 0; round < 100; round += 1) {
        const entries = numbered(1000).map((name) => entryOf(`${round} ${name}`));
        const answer = await one.putEntries(entries, { listing });
        if (answer.kind === "bypass") return assert.deepEqual(answer, full);
        await pause(1);
      }
      assert.fail("want the index to be full");
    };
    await putsUntilFull();
    assert.deepEqual(await one.completeListing(listing), { kind: "superseded" });
    assert.equal((await one.list()).kind, "listed");
    assert.equal((await one.lookup("0 file 000000")).kind, "found");
    assert.deepEqual(await one.lookup("none"), MISS);
    // A change that is refused leaves nothing of what it was to replace.
    let more = 0;
    await until(async () => {
      // What was cleaned up meanwhile has made room again.
      more += 1;
      await one.putEntries(numbered(1000).map((name) => entryOf(`more ${more} ${name}`)));
      return (await other.putEntries([entryOf("a")])).kind === "bypass";
    });
    assert.deepEqual(await other.lookup("a"), MISS);
    assert.deepEqual(await other.lookup("c"), MISS);
    assert.equal((await other.lookup("b")).kind, "found");
    const { usedBytes, indexBytes, capacityBytes } = await cache.status();
    assert.ok(usedBytes + indexBytes <= capacityBytes, "the capacity holds");
  });
});

/** Gives the record under a key with this end another version. @returns how many were found. */
function damage(directory: string, name: string | Buffer): number {
  const [epoch] = fs.readdirSync(path.join(directory, "index")).filter((one) => /^\d+$/.test(one));
  const file = path.join(directory, "index", String(epoch), "data.mdb");
  const bytes = fs.readFileSync(file);
  let found = 0;
  for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
    if (bytes[at + name.length] !== 1) continue; // the name in another place
    bytes[at + name.length] = 9;
    found += 1;
  }
  fs.writeFileSync(file, bytes);
  return found;
}

const damagedReads: ReadonlyArray<[string, (of: FileMetadata) => Promise<unknown>]> = [
  ["looked up", async (of) => assert.deepEqual(await of.lookup("the victim"), MISS)],
  ["listed", async (of) => assert.deepEqual((await namesOf(of)).names, ["bystander"])],
];

for (const [how, read] of damagedReads) {
  metadata(
    `an entry that does not read back when ${how} is dropped, and its directory is incomplete`,
    async () => {
      await withPlace(async (directory) => {
        const cache = await openAt(directory);
        const { metadata: one } = await cookieOf(cache);
        await fill(one, ["bystander", "the victim"]);
        await cache.close();
        assert.ok(damage(directory, "the victim") > 0);
        const { findings } = await fsckDirectory({ directory, deep: true });
        assert.deepEqual([...new Set(findings.map(({ code }) => code))], ["metadata-corrupt"]);

        const next = await openAt(directory);
        const { metadata: again } = await cookieOf(next);
        await read(again);
        assert.ok((await next.status()).corrupt > 0);
        assert.equal((await again.lookup("bystander")).kind, "found");
        assert.deepEqual(await again.lookup("other"), MISS);
        assert.equal((await namesOf(again)).complete, false);
        assert.deepEqual(await again.putEntries([entryOf("the victim")]), STORED);
        assert.equal((await again.lookup("the victim")).kind, "found");
        await next.close();
        await expectSound(directory);
      });
    },
  );
}

metadata("a directory whose own record does not read back is as good as not cached", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    const { metadata: one } = await cookieOf(cache);
    await fill(one, ["a", "b"]);
    await one.setAttributes(bytesOf(1, 10));
    await cache.close();
    assert.ok(damage(directory, Buffer.from([0, 0, 0, 0, 0, 1, 5])) > 0);
    const next = await openAt(directory);
    const { metadata: again } = await cookieOf(next);
    assert.deepEqual(await again.lookup("a"), MISS);
    assert.deepEqual(await again.list(), MISS);
    assert.equal((await again.getAttributes()).kind, "found");
    await fill(again, ["c"]);
    assert.deepEqual((await namesOf(again)).names, ["c"]);
    assert.equal((await next.status()).corrupt, 1);
    await pause(600);
    await next.close();
    assert.equal(await recordsIn(directory), 3);
    await expectSound(directory);
  });
});

metadata("fsck finds metadata of a file that is not known", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    const { metadata: one } = await cookieOf(cache);
    await fill(one, ["a"]);
    await cache.close();
    await expectSound(directory);
    // The record of the file becomes that of another one.
    const [epoch] = fs.readdirSync(path.join(directory, "index")).filter((name) => /^\d+$/.test(name));
    const file = path.join(directory, "index", String(epoch), "data.mdb");
    const bytes = fs.readFileSync(file);
    const at = bytes.indexOf(Buffer.from([0, ...Buffer.from("directory"), 1, 0x95, 1]));
    assert.ok(at > 0);
    bytes[at + "directory".length + 3] = 99;
    fs.writeFileSync(file, bytes);
    const { findings } = await fsckDirectory({ directory, deep: true });
    assert.deepEqual(
      findings.map(({ code }) => code),
      ["object-corrupt", "metadata-orphan"],
    );
  });
});

metadata.run();
