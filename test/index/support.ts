/** What the tests of the index share. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { IndexTable } from "../../index/batch.js";
import { BlockIndex } from "../../index/block-index.js";
import type { Store } from "../../index/environment.js";
import type { BlockIndexOptions } from "../../index/index-options.js";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import type { Entry } from "../../index/entry.js";

export const cacheId = Buffer.from("00112233445566778899aabbccddeeff", "hex");

/** Runs the body with a fresh directory, removed afterwards. */
export async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-test-"));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Opens, or makes, the index of epoch 1 in a directory. */
export function openIndex(directory: string, options: Partial<BlockIndexOptions> = {}): BlockIndex {
  return BlockIndex.open({ directory, mapBytes: 2 ** 26, cacheId, epoch: 1, create: true, ...options });
}

/** Runs the body with a fresh index, closed afterwards. */
export async function withIndex(
  body: (index: BlockIndex, directory: string) => Promise<void>,
  options: Partial<BlockIndexOptions> = {},
): Promise<void> {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, options);
    try {
      await body(index, directory);
    } finally {
      await index.close().catch(() => undefined); // some bodies leave commits failing
    }
  });
}

/** An entry of a whole block in `slot`. */
export function entryOf(slot: number, changes: Partial<Entry> = {}): Entry {
  return {
    version: 1,
    slot,
    epoch: 1,
    sequence: slot,
    validBytes: 262_144,
    presentLow: 0xffff_ffff,
    presentHigh: 0xffff_ffff,
    zeroLow: 0,
    zeroHigh: 0,
    checksumKind: 1,
    sums: Uint32Array.from({ length: 8 }, (_, group) => (slot * 31 + group) >>> 0),
    ...changes,
  };
}

/** Puts `before` in front of every commit: it may wait, or throw to make the commit fail. */
export function beforeCommit(before: () => Promise<void>): (store: Store<IndexTable>) => Store<IndexTable> {
  return (store) => ({
    watchDeath: (watch) => store.watchDeath(watch),
    get: (table, key) => store.get(table, key),
    peek: (table, key) => store.peek(table, key),
    scan: (table, range, countMax, after) => store.scan(table, range, countMax, after),
    commit: async (writes) => {
      await before();
      await store.commit(writes);
    },
    commitNow: (writes) => store.commitNow(writes),
    stats: () => store.stats(),
    sync: () => store.sync(),
    close: () => store.close(),
  });
}

/** For assert.throws and assert.rejects: a CacheError with this code. */
export function withCode(code: CacheErrorCode): (error: unknown) => boolean {
  return (error) => isCacheError(error, code);
}

/** Path of a file in fixtures/, from the sources and from dist/ alike. */
export function fixturePath(name: string): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, "fixtures"))) directory = dirname(directory);
  return join(directory, "fixtures", name);
}

/** Path of a script beside the module at `url`, as compiled or not as that is. */
export function siblingScript(url: string, name: string): string {
  const path = fileURLToPath(url);
  return join(dirname(path), name + path.slice(path.lastIndexOf(".")));
}
