/** Metadata of files: attributes, link targets, extended attributes, directory entries. */
import * as assert from "uvu/assert";
import type { BlockCache, CookieHandle, FileMetadata } from "../../engine/api.js";
import {
  ATTRIBUTES_BYTES_MAX,
  ENTRIES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  NEGATIVE_MS_MAX,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
} from "../../engine/metadata-api.js";
import type { FileType } from "../../engine/metadata-api.js";
import { cookieOf, entry, fill, isFound, metadataOf, namesOf } from "./directories.js";
import { bytesOf, rejects, VERSION_1, VERSION_2 } from "./support.js";
import type { Check } from "./support.js";

const MISS = { kind: "miss" };
const ABSENT = { kind: "absent" };
const STORED = { kind: "stored" };
const REMOVED = { kind: "removed" };
const STALE = { kind: "bypass", reason: "stale" };

export function metadataTests(check: Check): void {
  valueTests(check);
  xattrTests(check);
  endTests(check);
  limitTests(check);
}

function valueTests(check: Check): void {
  check("keeps attributes and the target of a link, each with its own coherency data", async (cache) => {
    const metadata = await metadataOf(cache);
    assert.equal(await metadata.getAttributes(), MISS);
    assert.equal(await metadata.getSymlink(), MISS);
    assert.equal(await metadata.setAttributes(bytesOf(1, 100), { coherency: VERSION_1 }), STORED);
    assert.equal(await metadata.setSymlink("../target"), STORED);
    assert.equal(await metadata.getAttributes(), { kind: "found", value: bytesOf(1, 100) });
    assert.equal(await metadata.getAttributes({ coherency: VERSION_1 }), {
      kind: "found",
      value: bytesOf(1, 100),
    });
    assert.equal(await metadata.getSymlink(), { kind: "found", value: Buffer.from("../target") });
    assert.equal(await (await metadataOf(cache, "other")).getAttributes(), MISS);

    assert.equal(await metadata.getAttributes({ coherency: VERSION_2 }), MISS);
    assert.equal(await metadata.getAttributes({ coherency: VERSION_1 }), MISS); // dropped by the mismatch
    assert.is((await metadata.getSymlink()).kind, "found");
    await metadata.setAttributes(Buffer.alloc(0));
    assert.equal(await metadata.getAttributes(), { kind: "found", value: Buffer.alloc(0) });
    await metadata.setAttributes(bytesOf(2, 50));
    assert.equal(await metadata.getAttributes(), { kind: "found", value: bytesOf(2, 50) });
    await metadata.drop("attributes");
    assert.equal(await metadata.getAttributes(), MISS);
    assert.is((await metadata.getSymlink()).kind, "found");
  });
}

function xattrTests(check: Check): void {
  check("keeps extended attributes by name, and knows when it has them all", async (cache) => {
    const metadata = await metadataOf(cache);
    assert.equal(await metadata.getXattr("user.a"), MISS);
    assert.equal(await metadata.listXattrs(), MISS);
    assert.equal(await metadata.setXattr({ name: "user.b", value: bytesOf(2, 20) }), STORED);
    assert.equal(await metadata.getXattr("user.b"), { kind: "found", value: bytesOf(2, 20) });
    assert.equal(await metadata.getXattr("user.a"), MISS);
    const listed = { kind: "listed", names: [Buffer.from("user.b")], complete: false };
    assert.equal(await metadata.listXattrs(), listed);

    const xattrs = ["user.c", "user.a"].map((name) => ({ name, value: Buffer.from(name) }));
    assert.equal(await metadata.replaceXattrs(xattrs, { coherency: VERSION_1 }), STORED);
    assert.equal(await metadata.getXattr("user.b"), ABSENT);
    assert.equal(await metadata.getXattr("user.a"), { kind: "found", value: Buffer.from("user.a") });
    const names = ["user.a", "user.c"].map((name) => Buffer.from(name));
    assert.equal(await metadata.listXattrs(), { kind: "listed", names, complete: true });
    const page = await metadata.listXattrs({ countMax: 1 });
    assert.is(page.kind, "listed");
    if (page.kind === "listed") assert.equal(page.names, [names[0]]);
    if (page.kind === "listed") assert.ok(page.next !== undefined);
    const rest = { kind: "listed", names: [names[1]], complete: true };
    assert.equal(await metadata.listXattrs({ after: "user.a" }), rest);

    await metadata.setXattr({ name: "user.d", value: Buffer.alloc(0) }, { coherency: VERSION_1 });
    assert.equal(await metadata.removeXattr("user.a", { nextCoherency: VERSION_2 }), REMOVED);
    assert.equal(await metadata.getXattr("user.a", { coherency: VERSION_2 }), ABSENT);
    assert.equal(await metadata.getXattr("user.d"), { kind: "found", value: Buffer.alloc(0) });
    assert.equal(await metadata.getXattr("user.d", { coherency: VERSION_1 }), MISS);
    assert.equal(await metadata.listXattrs(), MISS); // dropped by the mismatch

    assert.equal(await metadata.replaceXattrs([]), STORED);
    assert.equal(await metadata.listXattrs(), { kind: "listed", names: [], complete: true });
    await metadata.drop("xattrs");
    assert.equal(await metadata.getXattr("user.a"), MISS);
  });
}

async function fillAll(metadata: FileMetadata): Promise<void> {
  await metadata.setAttributes(bytesOf(1, 10));
  await metadata.setSymlink("target");
  await metadata.replaceXattrs([{ name: "user.a", value: bytesOf(2, 10) }]);
  await fill(metadata, ["a", "b"]);
}

async function isEmpty(metadata: FileMetadata): Promise<void> {
  assert.equal(await metadata.getAttributes(), MISS);
  assert.equal(await metadata.getSymlink(), MISS);
  assert.equal(await metadata.getXattr("user.a"), MISS);
  assert.equal(await metadata.listXattrs(), MISS);
  assert.equal(await metadata.lookup("a"), MISS);
  assert.equal(await metadata.list(), MISS);
}

function endTests(check: Check): void {
  const ends: ReadonlyArray<[string, (cache: BlockCache, cookie: CookieHandle) => Promise<unknown>]> = [
    ["its file is invalidated", (_, cookie) => cookie.invalidate()],
    ["its file is retired", (_, cookie) => cookie.relinquish({ retire: true })],
    ["its volume is invalidated", async (cache) => (await cache.acquireVolume("nfs", "volume")).invalidate()],
    [
      "its file is acquired with other coherency data",
      async (cache) =>
        (await cache.acquireVolume("nfs", "volume")).acquireCookie("directory", { coherency: VERSION_2 }),
    ],
    [
      "its volume is acquired with other coherency data",
      (cache) => cache.acquireVolume("nfs", "volume", { coherency: VERSION_2 }),
    ],
    ["the cache is wiped", (cache) => cache.wipe()],
  ];
  for (const [what, end] of ends) {
    check(`forgets metadata when ${what}`, async (cache) => {
      const cookie = await cookieOf(cache);
      await fillAll(cookie.metadata);
      await end(cache, cookie);
      const { metadata } = await cookieOf(cache);
      await isEmpty(metadata);
      await metadata.putEntries([entry("b")]);
      isFound(await metadata.lookup("b"), entry("b"));
      assert.equal(await metadata.lookup("a"), MISS);
    });
  }

  check("keeps metadata when a handle is given up, and shows it to other handles", async (cache) => {
    const cookie = await cookieOf(cache);
    await fillAll(cookie.metadata);
    const { metadata } = await cookieOf(cache);
    assert.equal(await namesOf(metadata), { names: ["a", "b"], complete: true, pages: 1 });
    await cookie.relinquish();
    assert.equal(await metadata.getAttributes(), { kind: "found", value: bytesOf(1, 10) });
    assert.equal(await metadata.getXattr("user.b"), ABSENT);
  });

  check("bypasses calls through handles of another version", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const { metadata } = await volume.acquireCookie("directory", { coherency: VERSION_1 });
    await fillAll(metadata);
    const newer = (await volume.acquireCookie("directory", { coherency: VERSION_2 })).metadata;
    await newer.setAttributes(bytesOf(3, 10));
    const calls: ReadonlyArray<() => Promise<unknown>> = [
      () => metadata.setAttributes(bytesOf(1, 1)),
      () => metadata.getAttributes(),
      () => metadata.replaceXattrs([]),
      () => metadata.getXattr("user.a"),
      () => metadata.removeXattr("user.a"),
      () => metadata.putEntries([entry("a")]),
      () => metadata.putNegative("a", { ttlMs: 1 }),
      () => metadata.lookup("a"),
      () => metadata.list(),
      () => metadata.removeEntry("a"),
      () => metadata.beginListing(),
      () => metadata.completeListing(1),
    ];
    for (const call of calls) assert.equal(await call(), STALE);
    await metadata.drop("attributes");
    assert.equal(await newer.getAttributes(), { kind: "found", value: bytesOf(3, 10) });
  });
}

function limitTests(check: Check): void {
  check("takes metadata up to its limits, and refuses what is beyond them", async (cache) => {
    const metadata = await metadataOf(cache);
    const longest = Buffer.alloc(ENTRY_NAME_BYTES_MAX, "n");
    const whole = { name: longest, inode: bytesOf(1, 65_535), value: bytesOf(2, ENTRY_VALUE_BYTES_MAX) };
    await metadata.setAttributes(bytesOf(1, ATTRIBUTES_BYTES_MAX));
    assert.equal(await metadata.getAttributes(), { kind: "found", value: bytesOf(1, ATTRIBUTES_BYTES_MAX) });
    assert.equal(await metadata.setSymlink(bytesOf(2, SYMLINK_BYTES_MAX)), STORED);
    assert.equal(await metadata.getSymlink(), { kind: "found", value: bytesOf(2, SYMLINK_BYTES_MAX) });
    const xattr = { name: Buffer.alloc(XATTR_NAME_BYTES_MAX, "x"), value: bytesOf(3, XATTR_BYTES_MAX) };
    assert.equal(await metadata.setXattr(xattr), STORED);
    assert.equal(await metadata.getXattr(xattr.name), { kind: "found", value: xattr.value });
    assert.equal(await metadata.putEntries([whole]), STORED);
    isFound(await metadata.lookup(longest), whole);
    const many = Array.from({ length: ENTRIES_MAX }, (_, number) => entry(`${number}`));
    assert.equal(await metadata.putEntries(many), STORED);
    assert.is((await namesOf(metadata)).names.length, ENTRIES_MAX + 1);
    for (let number = 0; number < 16; number += 1)
      await metadata.putEntries([{ ...whole, name: `z${number}` }]);
    const { names } = await namesOf(metadata); // a page ends where its bytes would pass their limit
    assert.is(names.length, ENTRIES_MAX + 17);

    const long = (bytes: number) => Buffer.alloc(bytes, "l");
    const wrong: ReadonlyArray<() => Promise<unknown>> = [
      () => metadata.setAttributes(long(ATTRIBUTES_BYTES_MAX + 1)),
      () => metadata.setAttributes(long(1), { coherency: long(4097) }),
      () => metadata.getAttributes({ coherency: long(4097) }),
      () => metadata.setSymlink(long(SYMLINK_BYTES_MAX + 1)),
      () => metadata.setXattr({ name: "", value: long(1) }),
      () => metadata.setXattr({ name: long(XATTR_NAME_BYTES_MAX + 1), value: long(1) }),
      () => metadata.setXattr({ name: "a", value: long(XATTR_BYTES_MAX + 1) }),
      () =>
        metadata.replaceXattrs([
          { name: "a", value: long(1) },
          { name: "a", value: long(2) },
        ]),
      () =>
        metadata.replaceXattrs(Array.from({ length: 17 }, (_, n) => ({ name: `${n}`, value: long(65_000) }))),
      () => metadata.getXattr(""),
      () => metadata.removeXattr(long(XATTR_NAME_BYTES_MAX + 1)),
      () => metadata.putEntries([entry("")]),
      () => metadata.putEntries([entry(long(ENTRY_NAME_BYTES_MAX + 1))]),
      () => metadata.putEntries([{ name: "a", inode: long(65_536) }]),
      () => metadata.putEntries([{ name: "a", inode: "i", value: long(ENTRY_VALUE_BYTES_MAX + 1) }]),
      () => metadata.putEntries([{ name: "a", inode: "i", type: "toString" as FileType }]),
      () => metadata.putEntries([...many, entry("one more")]),
      () =>
        metadata.putEntries(Array.from({ length: 20 }, (_, n) => ({ name: `${n}`, inode: long(65_000) }))),
      () => metadata.putEntries([entry("a")], { nextCoherency: long(4097) }),
      () => metadata.putEntries([entry("a")], { listing: -1 }),
      () => metadata.putNegative("a", { ttlMs: 0 }),
      () => metadata.putNegative("a", { ttlMs: NEGATIVE_MS_MAX + 1 }),
      () => metadata.putNegative("a", { ttlMs: 1.5 }),
      () => metadata.putNegative("", { ttlMs: 1 }),
      () => metadata.removeEntry(""),
      () => metadata.lookup(""),
      () => metadata.lookup(long(ENTRY_NAME_BYTES_MAX + 1)),
      () => metadata.list({ after: "" }),
      () => metadata.list({ countMax: 0 }),
      () => metadata.list({ countMax: ENTRIES_MAX + 1 }),
      () => metadata.listXattrs({ countMax: Number.NaN }),
      () => metadata.completeListing(0.5),
      () => metadata.drop("blocks" as "xattrs"),
    ];
    for (const call of wrong) await rejects(call, "E_ARGUMENT");
  });

  check("refuses calls on metadata of a file that was given up, and of a closed cache", async (cache) => {
    const cookie = await cookieOf(cache);
    const { metadata } = await cookieOf(cache);
    await cookie.relinquish();
    const calls = (of: FileMetadata): ReadonlyArray<() => Promise<unknown>> => [
      () => of.setAttributes(bytesOf(1, 1)),
      () => of.getAttributes(),
      () => of.setSymlink("a"),
      () => of.getSymlink(),
      () => of.setXattr({ name: "a", value: bytesOf(1, 1) }),
      () => of.replaceXattrs([]),
      () => of.removeXattr("a"),
      () => of.getXattr("a"),
      () => of.listXattrs(),
      () => of.putEntries([entry("a")]),
      () => of.putNegative("a", { ttlMs: 1 }),
      () => of.removeEntry("a"),
      () => of.lookup("a"),
      () => of.list(),
      () => of.beginListing(),
      () => of.completeListing(1),
      () => of.drop("attributes"),
    ];
    for (const call of calls(cookie.metadata)) await rejects(call, "E_CLOSED");
    await cache.close();
    for (const call of calls(metadata)) await rejects(call, "E_CLOSED");
  });
}
