/**
 * What a large directory costs: `node dist/test/bench/directory.js [entries]`. Through the library: filled in batches as a
 * listing, looked up by name at random, changed by one entry, listed in pages; names of 16 to 24 bytes, 16 bytes of inode,
 * 32 bytes of value.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openCache } from "../../engine/cache.js";
import type { DirectoryEntry, FileMetadata, OwnedCache } from "../../engine/cache.js";
import { randomOf } from "../support/temp-cache.js";

const BATCH = 1000;
const LOOKUPS = 20_000;
const CHANGES = 2000;
const GIB = 2 ** 30;

export interface DirectoryMeasurement {
  readonly entries: number;
  readonly fillMs: number;
  readonly indexBytesPerEntry: number;
  /** Names that are there, names that are not, in microseconds; the first after an event turn costs a new snapshot. */
  readonly lookupMicroseconds: number;
  readonly absentMicroseconds: number;
  /** A put of one entry until it is visible, and until its commit. */
  readonly changeMicroseconds: number;
  readonly removeMicroseconds: number;
  readonly firstPageMs: number;
  readonly listMs: number;
  readonly pages: number;
}

export async function measureDirectory(entries: number): Promise<DirectoryMeasurement> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-directory-"));
  const cache = await openCache({ directory: join(directory, "cache"), capacityBytes: 4 * GIB });
  try {
    const volume = await cache.acquireVolume("nfs", "volume");
    const { metadata } = await volume.acquireCookie("directory");
    const order = shuffled(entries);
    const before = await indexBytes(cache);
    const fillMs = await timed(() => fill(metadata, order));
    await metadata.removeEntry("none"); // resolves when all is committed
    const indexBytesPerEntry = ((await indexBytes(cache)) - before) / entries;
    const random = randomOf(1);
    const name = (): string => nameOf(Math.floor(random() * entries));
    const lookupMs = await timed(async () => {
      for (let count = 0; count < LOOKUPS; count += 1) await expect(metadata, name(), "found");
    });
    const absentMs = await timed(async () => {
      for (let count = 0; count < LOOKUPS; count += 1) await expect(metadata, `${name()}x`, "absent");
    });
    const changeMs = await timed(async () => {
      for (let count = 0; count < CHANGES; count += 1) await metadata.putEntries([entryOf(entries + count)]);
    });
    const removeMs = await timed(async () => {
      for (let count = 0; count < CHANGES; count += 1) await metadata.removeEntry(nameOf(entries + count));
    });
    const firstPageMs = await timed(() => metadata.list());
    let pages = 0;
    const listMs = await timed(async () => {
      pages = await listAll(metadata, entries);
    });
    return {
      entries,
      fillMs,
      indexBytesPerEntry,
      lookupMicroseconds: (lookupMs * 1000) / LOOKUPS,
      absentMicroseconds: (absentMs * 1000) / LOOKUPS,
      changeMicroseconds: (changeMs * 1000) / CHANGES,
      removeMicroseconds: (removeMs * 1000) / CHANGES,
      firstPageMs,
      listMs,
      pages,
    };
  } finally {
    await cache.close();
    rmSync(directory, { recursive: true });
  }
}

async function fill(metadata: FileMetadata, order: readonly number[]): Promise<void> {
  const begun = await metadata.beginListing({ coherency: Buffer.from("1") });
  if (begun.kind !== "begun") throw new Error(`the listing was not begun: ${begun.reason}`);
  const { listing } = begun;
  for (let at = 0; at < order.length; at += BATCH) {
    const answer = await metadata.putEntries(order.slice(at, at + BATCH).map(entryOf), { listing });
    if (answer.kind !== "stored") throw new Error(`entries were not stored: ${answer.reason}`);
  }
  const { kind } = await metadata.completeListing(listing);
  if (kind !== "completed") throw new Error(`the listing is ${kind}`);
}

async function listAll(metadata: FileMetadata, entries: number): Promise<number> {
  let found = 0;
  let pages = 0;
  for (let after: Buffer | undefined, more = true; more;) {
    const page = await metadata.list(after && { after });
    if (page.kind !== "listed" || !page.complete) throw new Error("the directory is not complete");
    found += page.entries.length;
    pages += 1;
    after = page.next;
    more = after !== undefined;
  }
  if (found !== entries) throw new Error(`${found} entries were listed, want ${entries}`);
  return pages;
}

async function expect(metadata: FileMetadata, name: string, kind: "found" | "absent"): Promise<void> {
  const result = await metadata.lookup(name);
  if (result.kind !== kind) throw new Error(`${name} is ${result.kind}, want ${kind}`);
}

function nameOf(number: number): string {
  return `file-${String(number * 2_654_435).padStart(11, "0")}`;
}

function entryOf(number: number): DirectoryEntry {
  const inode = Buffer.alloc(16);
  inode.writeUInt32LE(number);
  return { name: nameOf(number), inode, type: "file", value: Buffer.alloc(32, number) };
}

function shuffled(count: number): number[] {
  const random = randomOf(2);
  return Array.from({ length: count }, (_, number) => ({ number, key: random() }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ number }) => number);
}

async function indexBytes(cache: OwnedCache): Promise<number> {
  return (await cache.status()).indexBytes;
}

async function timed(body: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await body();
  return performance.now() - startMs;
}

async function main(): Promise<void> {
  const found = await measureDirectory(Number(process.argv[2] ?? 100_000));
  for (const [what, value] of Object.entries(found)) console.log(`${what}: ${Math.round(value * 100) / 100}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
