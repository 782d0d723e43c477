/** What the crash tests share: seeded chance, blocks whose bytes tell which they are, and a cache that must be in order. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import {
  type BlockCache,
  type OpenCacheOptions,
  SLOT_BYTES,
  type Tag,
  openCache,
} from "../../engine/cache.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { contentOf } from "./content.js";

export { contentOf, seededRandom } from "./content.js";

const PAGE_BYTES = 4096;

/** A small cache: 24 MiB in at most 192 slots. */
export const SMALL = { capacityBytes: 24 * 1024 * 1024, slotsMax: 192 } as const;

/** The seed of this run: from CRASH_SEED, or drawn. Print it, so that a failure can be repeated. */
export function seedOfRun(): number {
  const given = process.env["CRASH_SEED"];
  return given === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(given);
}

/** A whole number from `from` to `to`, both included. */
export function between(random: () => number, from: number, to: number): number {
  return from + Math.floor(random() * (to - from + 1));
}

/** Sizes as a cache meets them: many small blocks, many whole ones, some between. */
export function someLength(random: () => number): number {
  const kind = random();
  if (kind < 0.4) return between(random, 1, 2 * PAGE_BYTES);
  if (kind < 0.7) return SLOT_BYTES;
  return between(random, 1, SLOT_BYTES);
}

/** What is to be found under a tag. */
export interface Stored {
  readonly tag: Tag;
  readonly version: number;
  readonly lengthBytes: number;
}

/** Puts `count` blocks of several files and volumes; returns those that were answered `stored`. */
export async function putSome(
  cache: BlockCache,
  random: () => number,
  options: { readonly fs: string; readonly count: number },
): Promise<Stored[]> {
  const wanted = Array.from({ length: options.count }, (_, number) => ({
    tag: { fs: options.fs, volume: `v${number % 3}`, inode: `file ${number % 7}`, block: number },
    version: between(random, 0, 1000),
    lengthBytes: someLength(random),
  }));
  const answers = await Promise.all(
    wanted.map(({ tag, version, lengthBytes }) => cache.put(tag, contentOf(tag, version, lengthBytes))),
  );
  return wanted.filter((_, number) => answers[number]?.kind === "stored");
}

/** Every one of them hits, with its own bytes. */
export async function expectHits(cache: BlockCache, stored: readonly Stored[]): Promise<void> {
  for (const { tag, version, lengthBytes } of stored) {
    const answer = await cache.get(tag);
    const what = `block ${tag.block} of ${String(tag.inode)} in ${String(tag.volume)} of ${String(tag.fs)}`;
    assert.equal(answer.kind, "hit", `${what} is not a hit but a ${answer.kind}`);
    const right = answer.kind === "hit" && answer.bytes.equals(contentOf(tag, version, lengthBytes));
    assert.ok(right, `${what} has other bytes than were stored`);
  }
}

/** None of them is there. */
export async function expectMisses(cache: BlockCache, tags: Iterable<Tag>): Promise<void> {
  for (const tag of tags) assert.equal((await cache.get(tag)).kind, "miss");
}

/** A deep fsck finds nothing. */
export async function expectInOrder(directory: string): Promise<void> {
  const { findings } = await fsckDirectory({ directory, deep: true });
  assert.deepEqual(findings, []);
}

/** Opens, runs the body, closes clean. */
export async function withCache<T>(
  options: OpenCacheOptions,
  body: (cache: BlockCache) => Promise<T>,
): Promise<T> {
  const cache = await openCache(options);
  try {
    return await body(cache);
  } finally {
    await cache.close();
  }
}

/** Runs the body with a fresh directory, removed afterwards. */
export async function withDirectory<T>(body: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-crash-"));
  try {
    return await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits without leaving the turn: timers are too coarse to hit a moment within a start of some milliseconds. */
export function spin(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

/** For uvu: says something beside the dots. */
export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
