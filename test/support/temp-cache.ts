/** Caches in temporary directories, and blocks whose bytes tell where they belong. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CacheErrorCode, isCacheError } from "../../index/core/errors.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { BlockCache, GetResult, OwnedCache, Tag } from "../../engine/api.js";
import { type OpenCacheOptions, openCache } from "../../engine/cache.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";

export const MIB = 1024 * 1024;
export const CAPACITY_BYTES = 64 * MIB;
type Options = Partial<OpenCacheOptions>;

/** Runs the body with the name of a directory that does not exist yet, in one that is removed afterwards. */
export async function withPlace(body: (directory: string) => Promise<void>): Promise<void> {
  const place = fs.mkdtempSync(path.join(tmpdir(), "tagcache-test-"));
  try {
    await body(path.join(place, "cache"));
  } finally {
    fs.rmSync(place, { recursive: true, force: true });
  }
}

/** Opens the cache in `directory` with room for a few hundred blocks unless told otherwise. */
export function openAt(directory: string, options: Options = {}): Promise<OwnedCache> {
  return openCache({ directory, capacityBytes: CAPACITY_BYTES, ...options });
}

/**
 * Runs the body with a fresh cache; then closes it, opens it again as its next owner would, closes that, and wants it
 * clean and without a finding, every byte checked.
 */
export async function withCache(
  options: Options,
  body: (cache: OwnedCache, directory: string) => Promise<void>,
): Promise<void> {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, options);
    try {
      await body(cache, directory);
    } finally {
      await cache.close();
    }
    const { io: _, now: __, ...again } = options;
    const next = await openAt(directory, again);
    const { start, slots } = await next.status();
    await next.close();
    assert.equal(start.kind, "clean");
    assert.equal(slots.used + slots.free + slots.quarantined, slots.total);
    await expectSound(directory, options.stateDirectory);
  });
}

/** Wants a closed cache without a finding. */
export async function expectSound(directory: string, stateDirectory?: string): Promise<void> {
  const options = { directory, ...(stateDirectory !== undefined && { stateDirectory }), deep: true };
  const { findings, counts } = await fsckDirectory(options);
  assert.deepEqual(findings, []);
  assert.equal(counts.entries - counts.zeroBlocks, counts.used + counts.unclaimed);
}

/** What the next owner of a closed cache finds. */
export async function startOf(directory: string, options: Options = {}) {
  const cache = await openAt(directory, options);
  const { start, epoch, cacheId } = await cache.status();
  await cache.close();
  return { ...start, epoch, cacheId };
}

export function tagOf(block: number, inode = "file", volume = "volume"): Tag {
  return { fs: "test", volume, inode, block };
}

/** Bytes of which no two pages are alike, of one seed or of several. */
export function bytesOf(seed: number, lengthBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  for (let at = 0; at < lengthBytes; at += PAGE_BYTES) {
    bytes.fill(
      createHash("sha256").update(`${seed} ${at}`).digest(),
      at,
      Math.min(lengthBytes, at + PAGE_BYTES),
    );
  }
  return bytes;
}

export async function store(cache: BlockCache, tag: Tag, bytes: Uint8Array): Promise<void> {
  assert.deepEqual(await cache.put(tag, bytes), { kind: "stored" });
}

export function expectHit(result: GetResult, wanted: Uint8Array): void {
  assert.equal(result.kind, "hit", JSON.stringify(result));
  if (result.kind === "hit") assert.ok(result.bytes.equals(wanted), "a hit has the bytes that were put");
}

/** For assert.throws and assert.rejects: a CacheError with this code. */
export function withCode(code: CacheErrorCode, message = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isCacheError(error, code), `want ${code}, got ${String(error)}`);
    assert.match(error.message, message);
    return true;
  };
}

/** The files of all slots, by number. */
export function slotFiles(directory: string): Map<number, string> {
  const root = path.join(directory, "slots");
  const files = new Map<number, string>();
  for (const name of fs.readdirSync(root, { recursive: true, encoding: "utf8" })) {
    const slot = Number(path.basename(name));
    if (name.includes(path.sep) && !Number.isNaN(slot)) files.set(slot, path.join(root, name));
  }
  return files;
}

/** A run of pseudo-random numbers from 0 to below 1 that a seed repeats. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Waits until the body is true; fails after a while. */
export async function until(body: () => boolean | Promise<boolean>, msMax = 15_000): Promise<void> {
  for (const endMs = Date.now() + msMax; !(await body()); await pause(5)) {
    assert.ok(Date.now() < endMs, `want within ${msMax} ms: ${body.toString()}`);
  }
}
