/** Entries of directories: by name, negative ones, and listings. */
import * as assert from "uvu/assert";
import type {
  BlockCache,
  CookieHandle,
  DirectoryEntry,
  FileMetadata,
  LookupResult,
} from "../../engine/api.js";
import { ENTRIES_MAX, FILE_TYPES, NEGATIVE_MS_MAX } from "../../engine/metadata-api.js";
import type { FileType } from "../../engine/metadata-api.js";
import { VERSION_1, VERSION_2 } from "./support.js";
import type { Check } from "./support.js";

const MISS = { kind: "miss" };
const ABSENT = { kind: "absent" };
const STORED = { kind: "stored" };
const REMOVED = { kind: "removed" };
const STALE = { kind: "bypass", reason: "stale" };

export async function cookieOf(cache: BlockCache, inode = "directory"): Promise<CookieHandle> {
  return (await cache.acquireVolume("nfs", "volume")).acquireCookie(inode);
}

export async function metadataOf(cache: BlockCache, inode?: string): Promise<FileMetadata> {
  return (await cookieOf(cache, inode)).metadata;
}

export function entry(name: string | Buffer, inode = `inode of ${String(name)}`): DirectoryEntry {
  return { name, inode, type: "file", value: Buffer.from(`value of ${String(name)}`) };
}

export function isFound(result: LookupResult, wanted: DirectoryEntry): void {
  assert.is(result.kind, "found");
  if (result.kind !== "found") return;
  const { name, inode, type = "unknown", value = "" } = wanted;
  const bytes = { name: Buffer.from(name), inode: Buffer.from(inode), type, value: Buffer.from(value) };
  assert.equal(result.entry, bytes);
}

/** The names of all pages, and whether every page was complete. */
export async function namesOf(
  metadata: FileMetadata,
  countMax?: number,
): Promise<{ names: string[]; complete: boolean; pages: number }> {
  const names: string[] = [];
  let complete = true;
  let pages = 0;
  for (let after: Buffer | undefined, more = true; more;) {
    const page = await metadata.list({ ...(after && { after }), ...(countMax && { countMax }) });
    assert.is(page.kind, "listed");
    if (page.kind !== "listed") break;
    names.push(...page.entries.map((one) => one.name.toString()));
    complete &&= page.complete;
    pages += 1;
    after = page.next;
    more = after !== undefined;
  }
  return { names, complete, pages };
}

/** Fills a directory whole. */
export async function fill(
  metadata: FileMetadata,
  names: readonly string[],
  coherency?: Buffer,
): Promise<void> {
  const begun = await metadata.beginListing(coherency && { coherency });
  assert.is(begun.kind, "begun");
  if (begun.kind !== "begun") return;
  const { listing } = begun;
  for (let at = 0; at < names.length; at += ENTRIES_MAX) {
    const entries = names.slice(at, at + ENTRIES_MAX).map((name) => entry(name));
    assert.equal(await metadata.putEntries(entries, { listing }), STORED);
  }
  assert.equal(await metadata.completeListing(listing), { kind: "completed" });
}

export function directoryTests(check: Check): void {
  entryTests(check);
  listingTests(check);
}

function entryTests(check: Check): void {
  check("finds entries by name, and knows nothing of others", async (cache) => {
    const metadata = await metadataOf(cache);
    assert.equal(await metadata.lookup("a"), MISS);
    assert.equal(await metadata.list(), MISS);
    const odd = entry(Buffer.from([0, 255, 47, 0]));
    assert.equal(
      await metadata.putEntries([entry("b"), entry("a"), odd, { name: "bare", inode: "" }]),
      STORED,
    );
    isFound(await metadata.lookup("a"), entry("a"));
    isFound(await metadata.lookup(odd.name), odd);
    isFound(await metadata.lookup("bare"), { name: "bare", inode: "" });
    assert.equal(await metadata.lookup("c"), MISS);
    assert.equal(await metadata.lookup("ab"), MISS);
    await metadata.putEntries([entry("a", "another inode")]);
    isFound(await metadata.lookup("a"), entry("a", "another inode"));
    assert.equal(await metadata.removeEntry("a"), REMOVED);
    assert.equal(await metadata.lookup("a"), MISS);
    assert.equal(await metadata.putEntries([]), STORED);
    for (const type of Object.keys(FILE_TYPES) as FileType[]) {
      await metadata.putEntries([{ name: type, inode: "i", type }]);
      isFound(await metadata.lookup(type), { name: type, inode: "i", type });
    }
  });

  check("keeps for a while that a name does not exist", async (cache) => {
    const metadata = await metadataOf(cache);
    await metadata.putEntries([entry("a")]);
    assert.equal(await metadata.putNegative("a", { ttlMs: 60_000 }), STORED);
    assert.equal(await metadata.lookup("a"), ABSENT);
    assert.equal((await namesOf(metadata)).names, []);
    await metadata.putEntries([entry("a")]);
    isFound(await metadata.lookup("a"), entry("a"));
    await metadata.putNegative("b", { ttlMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await metadata.lookup("b"), MISS);
    await metadata.putNegative("c", { ttlMs: NEGATIVE_MS_MAX });
    assert.equal(await metadata.lookup("c"), ABSENT);
    await metadata.removeEntry("c");
    assert.equal(await metadata.lookup("c"), MISS);
  });

  check("compares a directory's own coherency data", async (cache) => {
    const metadata = await metadataOf(cache);
    await fill(metadata, ["a", "b"], VERSION_1);
    isFound(await metadata.lookup("a", { coherency: VERSION_1 }), entry("a"));
    await metadata.putEntries([entry("c")], { coherency: VERSION_1, nextCoherency: VERSION_2 });
    assert.equal(await metadata.lookup("d", { coherency: VERSION_2 }), ABSENT);
    assert.equal(await metadata.removeEntry("a", { coherency: VERSION_2 }), REMOVED);
    assert.equal(await namesOf(metadata), { names: ["b", "c"], complete: true, pages: 1 });
    assert.equal(await metadata.list({ coherency: VERSION_1 }), MISS);
    assert.equal(await metadata.lookup("b"), MISS);
    await fill(metadata, ["a", "b"], VERSION_1);
    await metadata.putEntries([entry("z")], { coherency: VERSION_2 }); // of another version: the rest is not known to hold
    assert.equal(await metadata.lookup("a"), MISS);
    isFound(await metadata.lookup("z", { coherency: VERSION_2 }), entry("z"));
    assert.equal(await metadata.removeEntry("z", { coherency: VERSION_1 }), REMOVED);
    assert.equal(await metadata.list(), MISS);
  });
}

function listingTests(check: Check): void {
  check("lists a complete directory in order, from any cookie", async (cache) => {
    const metadata = await metadataOf(cache);
    const names = Array.from({ length: 2500 }, (_, number) => `file ${(number * 7919) % 2500}`);
    await fill(metadata, names);
    const sorted = names.toSorted();
    assert.equal(await namesOf(metadata), { names: sorted, complete: true, pages: 3 });
    assert.equal((await namesOf(metadata, 100)).names, sorted);
    const page = await metadata.list({ after: "file 17", countMax: 2 });
    assert.is(page.kind, "listed");
    if (page.kind === "listed") {
      assert.equal(
        page.entries.map((one) => one.name.toString()),
        ["file 170", "file 1700"],
      );
      assert.is(page.next?.toString(), "file 1700");
    }
    const behind = { kind: "listed", entries: [], complete: true };
    assert.equal(await metadata.list({ after: "g" }), behind);
    isFound(await metadata.lookup("file 1234"), entry("file 1234"));
    assert.equal(await metadata.lookup("file"), ABSENT);
  });

  check("stays complete when entries are put and removed", async (cache) => {
    const metadata = await metadataOf(cache);
    await fill(metadata, ["a", "c"]);
    await metadata.putEntries([entry("b")]);
    await metadata.removeEntry("a");
    await metadata.removeEntry("never there");
    await metadata.putNegative("c", { ttlMs: 1 });
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await metadata.lookup("c"), ABSENT);
    assert.equal(await namesOf(metadata), { names: ["b"], complete: true, pages: 1 });
    await fill(metadata, []);
    assert.equal(await namesOf(metadata), { names: [], complete: true, pages: 1 });
    await metadata.drop("directory");
    assert.equal(await metadata.list(), MISS);
  });

  check("is incomplete while it is listed, and what is changed meanwhile stands", async (cache) => {
    const metadata = await metadataOf(cache);
    const other = await metadataOf(cache);
    await fill(metadata, ["old"]);
    const begun = await metadata.beginListing();
    assert.is(begun.kind, "begun");
    if (begun.kind !== "begun") return;
    const { listing } = begun;
    assert.equal(await metadata.lookup("old"), MISS);
    await metadata.putEntries([entry("a"), entry("b")], { listing });
    await other.removeEntry("b");
    await other.removeEntry("c");
    await other.putEntries([entry("d", "new inode")]);
    await other.putNegative("e", { ttlMs: 60_000 });
    assert.is((await namesOf(metadata)).complete, false);
    const late = ["b", "c", "d", "e", "f"].map((name) => entry(name));
    assert.equal(await metadata.putEntries(late, { listing }), STORED);
    assert.equal(await metadata.completeListing(listing), { kind: "completed" });
    assert.equal(await namesOf(metadata), { names: ["a", "d", "f"], complete: true, pages: 1 });
    isFound(await metadata.lookup("d"), entry("d", "new inode"));
    assert.equal(await metadata.completeListing(listing), { kind: "superseded" });
    assert.equal(await metadata.putEntries([entry("x")], { listing }), STALE);
  });

  check("completes no listing that another one, an invalidation or a drop came into", async (cache) => {
    const cookie = await cookieOf(cache);
    const { metadata } = cookie;
    const ends: ReadonlyArray<() => Promise<unknown>> = [
      () => metadata.beginListing(),
      () => cookie.invalidate(),
      () => metadata.drop("directory"),
      () => metadata.lookup("a", { coherency: VERSION_2 }),
      () => metadata.putEntries([entry("a")], { coherency: VERSION_2 }),
    ];
    for (const end of ends) {
      const begun = await metadata.beginListing({ coherency: VERSION_1 });
      if (begun.kind !== "begun") throw new Error("want begun");
      await end();
      assert.equal(await metadata.putEntries([entry("b")], { listing: begun.listing }), STALE);
      assert.equal(await metadata.completeListing(begun.listing), { kind: "superseded" });
      assert.equal(await metadata.lookup("c"), MISS);
    }
    assert.equal(await metadata.completeListing(12_345_678), { kind: "superseded" });
  });

  check("misses and doubles no entry that was there all the while", async (cache) => {
    const metadata = await metadataOf(cache);
    const stay = Array.from({ length: 600 }, (_, number) => `stay ${String(number).padStart(4, "0")}`);
    await fill(metadata, stay);
    let over = false;
    const changes = (async (): Promise<void> => {
      for (let number = 0; !over; number += 1) {
        const name = `${stay[(number * 37) % stay.length]} ${number % 50}`;
        await metadata.putEntries([entry(name)]);
        if (number % 3 > 0) await metadata.removeEntry(name);
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    for (let round = 0; round < 5; round += 1) {
      const { names, complete } = await namesOf(metadata, 50);
      assert.is(complete, true);
      assert.equal(names, names.toSorted());
      assert.is(new Set(names).size, names.length);
      assert.equal(
        names.filter((name) => name.length === 9),
        stay,
      );
    }
    over = true;
    await changes;
  });
}
