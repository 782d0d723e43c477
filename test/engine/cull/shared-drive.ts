/**
 * A cache on a small drive that another program fills, run by drive-full.test.ts in a mount namespace of its own:
 * `shared-drive.js <directory on the drive>`. Ends with status 0, or throws.
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import {
  type BlockCache,
  type OpenCacheOptions,
  SLOT_BYTES,
  driveSpace,
  openCache,
} from "../../../engine/cache.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  slotFiles,
  store,
  tagOf,
  until,
} from "../../support/temp-cache.js";

const WAIT_MS = 20_000;
const [drive = ""] = process.argv.slice(2);
const directory = path.join(drive, "cache");
const other = path.join(drive, "other");
const options: OpenCacheOptions = {
  directory,
  capacityBytes: 48 * MIB,
  brun: 30,
  bcull: 20,
  bstop: 10,
  frun: 30,
  fcull: 20,
  fstop: 10,
};
const BLOCKS = 100;

const available = (): number => driveSpace(drive).availableBytes / driveSpace(drive).totalBytes;
const availableInodes = (): number => driveSpace(drive).availableInodes / driveSpace(drive).totalInodes;

/** Writes the other program's file until so much of the drive is left. */
function fillDrive(left: number): void {
  fs.mkdirSync(other, { recursive: true });
  const fd = fs.openSync(path.join(other, "data"), "a");
  for (const piece = Buffer.alloc(SLOT_BYTES, 1); available() > left;) fs.writeSync(fd, piece);
  fs.closeSync(fd);
}

async function fillCache(cache: BlockCache): Promise<void> {
  for (let block = 0; block < BLOCKS; block += 1)
    await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
}

/** Bytes: what the cache has goes until *run* is reached, the least recently used first, and no more than that. */
async function bytesRunShort(cache: BlockCache): Promise<void> {
  await fillCache(cache);
  fillDrive(0.19);
  assert.ok(available() < 0.2);
  await until(() => available() >= 0.3, WAIT_MS);
  const { culled, slots } = await cache.status();
  assert.ok(culled > 0 && slots.used > 0, `${culled} culled, ${slots.used} left`);
  assert.ok(available() < 0.4, `no more than was wanted: ${available()}`);
  expectHit(await cache.get(tagOf(BLOCKS - 1)), bytesOf(BLOCKS - 1, SLOT_BYTES));
  assert.equal((await cache.get(tagOf(0))).kind, "miss");
  await until(async () => (await cache.status()).drive.state === "ok", WAIT_MS);
}

/** Below *stop* nothing new is allocated; when the other program goes, writers get room again. */
async function driveIsTaken(cache: BlockCache): Promise<void> {
  await until(async () => {
    fillDrive(0.02); // again and again, because the cache gives back what it has
    return (await cache.status()).drive.state === "stopped";
  }, WAIT_MS);
  await until(async () => (await cache.status()).slots.used < 4, WAIT_MS);
  const existing = (await cache.status()).usedBytes;
  for (let block = 0; block < 20; block += 1) {
    const put = await cache.put(tagOf(block, "late"), bytesOf(block, SLOT_BYTES));
    if (put.kind === "bypass") assert.equal(put.reason, "drive-full");
    assert.ok((await cache.status()).usedBytes <= existing);
  }
  fs.rmSync(other, { recursive: true });
  await until(async () => (await cache.put(tagOf(1), bytesOf(1, SLOT_BYTES))).kind === "stored", WAIT_MS);
  await fillCache(cache);
}

/** Inodes: slot files are removed, their numbers are not used again. */
async function inodesRunShort(cache: BlockCache): Promise<void> {
  fs.mkdirSync(other, { recursive: true });
  const before = slotFiles(directory).size;
  for (let number = 0; availableInodes() >= 0.2; number += 1)
    fs.writeFileSync(path.join(other, `${number}`), "");
  await until(() => availableInodes() >= 0.3, WAIT_MS);
  assert.ok(slotFiles(directory).size < before, "slot files are gone");
  const numbers = new Set(slotFiles(directory).keys());
  fs.rmSync(other, { recursive: true });
  await until(async () => (await cache.status()).drive.state === "ok", WAIT_MS);
  await fillCache(cache);
  for (const number of slotFiles(directory).keys()) assert.ok(numbers.has(number) || number >= before);
}

const cache = await openCache(options);
await bytesRunShort(cache);
await driveIsTaken(cache);
await inodesRunShort(cache);
await cache.close();
await expectSound(directory);
