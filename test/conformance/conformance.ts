/** What every BlockCache does, over a factory: the library, the daemon's client and the model pass the same suite. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { NAME_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";
import { READ_BYTES_MAX, WRITE_BYTES_MAX } from "../../engine/api.js";
import type { BlockCache, ByteRange, CookieHandle, GetResult, Tag } from "../../engine/api.js";

export interface OpenedCache {
  /** Empty, with room for a few hundred blocks. */
  readonly cache: BlockCache;
  /** Frees what the cache needed, after it was closed. */
  readonly done?: () => Promise<void>;
}

/** Registers the suite under `name`; every test gets a cache of its own. */
export function conformance(name: string, open: () => Promise<OpenedCache>): void {
  const test = suite(`conformance: ${name}`);
  const check = (behaviour: string, body: (cache: BlockCache) => Promise<void>) => {
    test(behaviour, async () => {
      const { cache, done } = await open();
      try {
        await body(cache);
      } finally {
        await cache.close();
        await done?.();
      }
    });
  };
  blockTests(check);
  nameTests(check);
  argumentTests(check);
  handleTests(check);
  rangeTests(check);
  wholeCacheTests(check);
  test.run();
}

type Check = (behaviour: string, body: (cache: BlockCache) => Promise<void>) => void;

const BLOCK = BigInt(SLOT_BYTES);
const VERSION_1 = Buffer.from("version 1");
const VERSION_2 = Buffer.from("version 2");

function tagOf(block: number, inode = "file"): Tag {
  return { fs: "nfs", volume: "volume", inode, block };
}

/** Bytes that differ by seed and place. */
function bytesOf(seed: number, lengthBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(lengthBytes);
  let state = seed * 2_654_435_761 + 1;
  for (let at = 0; at < lengthBytes; at += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

async function rejects(call: () => Promise<unknown>, code: CacheErrorCode): Promise<void> {
  let outcome: unknown = "no error";
  try {
    await call();
  } catch (error) {
    outcome = error;
  }
  assert.ok(isCacheError(outcome, code), `want ${code}, got ${String(outcome)}`);
}

function isHit(result: GetResult, wanted: Uint8Array): void {
  assert.is(result.kind, "hit");
  if (result.kind === "hit")
    assert.ok(result.bytes.equals(wanted), "the bytes of a hit are those that were put");
}

function isStored(result: { kind: string }): void {
  assert.is(result.kind, "stored");
}

function blockTests(check: Check): void {
  check("misses what was never put", async (cache) => {
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    assert.is(await cache.has(tagOf(0)), false);
    assert.is(await cache.remove(tagOf(0)), false);
  });

  check("returns what was put, of 1 byte, of a page's edges and of 256 KiB", async (cache) => {
    const sizes = [1, 4095, 4096, 4097, 32_768, 100_001, SLOT_BYTES - 1, SLOT_BYTES];
    for (const [index, size] of sizes.entries())
      isStored(await cache.put(tagOf(index), bytesOf(index, size)));
    for (const [index, size] of sizes.entries()) {
      isHit(await cache.get(tagOf(index)), bytesOf(index, size));
      assert.is(await cache.has(tagOf(index)), true);
    }
  });

  check("puts in place of what was there, longer and shorter", async (cache) => {
    for (const [index, size] of [5000, SLOT_BYTES, 10].entries()) {
      isStored(await cache.put(tagOf(3), bytesOf(index, size)));
      isHit(await cache.get(tagOf(3)), bytesOf(index, size));
    }
  });

  check("removes a block and no other", async (cache) => {
    await cache.put(tagOf(1), bytesOf(1, 100));
    await cache.put(tagOf(2), bytesOf(2, 100));
    assert.is(await cache.remove(tagOf(1)), true);
    assert.is(await cache.remove(tagOf(1)), false);
    assert.equal(await cache.get(tagOf(1)), { kind: "miss" });
    isHit(await cache.get(tagOf(2)), bytesOf(2, 100));
    isStored(await cache.put(tagOf(1), bytesOf(3, 100)));
    isHit(await cache.get(tagOf(1)), bytesOf(3, 100));
  });

  check("returns the range asked for, cut where the block ends", async (cache) => {
    const bytes = bytesOf(7, 100_000);
    await cache.put(tagOf(0), bytes);
    const ranges = [
      [0, 1],
      [0, 4096],
      [4096, 4096],
      [32_767, 2],
      [99_999, 1],
      [99_999, 100],
      [100_000, 10],
      [200_000, 10],
      [50_000, 0],
      [SLOT_BYTES, 0],
      [SLOT_BYTES, SLOT_BYTES],
    ] as const;
    for (const [offsetBytes, lengthBytes] of ranges) {
      const result = await cache.get(tagOf(0), { offsetBytes, lengthBytes });
      isHit(result, bytes.subarray(offsetBytes, offsetBytes + lengthBytes));
    }
    isHit(await cache.get(tagOf(0), { offsetBytes: 60_000 }), bytes.subarray(60_000));
    isHit(await cache.get(tagOf(0), { lengthBytes: 60_000 }), bytes.subarray(0, 60_000));
  });

  check("reads into the memory given, from its start", async (cache) => {
    const bytes = bytesOf(9, 70_000);
    await cache.put(tagOf(0), bytes);
    const into = new Uint8Array(SLOT_BYTES);
    const whole = await cache.get(tagOf(0), { into });
    isHit(whole, bytes);
    assert.ok(whole.kind === "hit" && whole.bytes.buffer === into.buffer && whole.bytes.byteOffset === 0);
    const part = new Uint8Array(new ArrayBuffer(5000), 100, 4096);
    const result = await cache.get(tagOf(0), { offsetBytes: 8192, lengthBytes: 4096, into: part });
    isHit(result, bytes.subarray(8192, 12_288));
    assert.ok(Buffer.from(part).equals(bytes.subarray(8192, 12_288)));
  });

  check("gives memory that the caller may change", async (cache) => {
    const bytes = bytesOf(9, 1000);
    await cache.put(tagOf(0), bytes);
    const first = await cache.get(tagOf(0));
    if (first.kind === "hit") first.bytes.fill(0);
    bytes.fill(1);
    isHit(await cache.get(tagOf(0)), bytesOf(9, 1000));
  });

  check("serves many calls at once", async (cache) => {
    const numbers = Array.from({ length: 200 }, (_, index) => index);
    const puts = await Promise.all(
      numbers.map((n) => cache.put(tagOf(n), bytesOf(n, 1 + ((n * 997) % 30_000)))),
    );
    for (const result of puts) isStored(result);
    const gets = await Promise.all([...numbers, ...numbers].map((n) => cache.get(tagOf(n))));
    for (const [index, result] of gets.entries()) {
      const n = index % 200;
      isHit(result, bytesOf(n, 1 + ((n * 997) % 30_000)));
    }
    const large = await Promise.all(
      numbers.slice(0, 40).map((n) => cache.put(tagOf(n, "large"), bytesOf(n, SLOT_BYTES))),
    );
    for (const result of large) isStored(result);
    const back = await Promise.all(numbers.slice(0, 40).map((n) => cache.get(tagOf(n, "large"))));
    for (const [n, result] of back.entries()) isHit(result, bytesOf(n, SLOT_BYTES));
    const removed = await Promise.all(numbers.map((n) => cache.remove(tagOf(n))));
    assert.ok(removed.every(Boolean));
  });
}

function nameTests(check: Check): void {
  check("tells names apart by every byte", async (cache) => {
    const names = ["", "\0", "\0\0", "a", "a\0", "a\0b", "A", "ä", "a/b", "a/b/c"];
    const tags: Tag[] = [];
    for (const volume of names) for (const inode of names) tags.push({ fs: "x", volume, inode, block: 0 });
    for (const fs of ["y", "xx", "\0"]) tags.push({ fs, volume: "", inode: "", block: 0 });
    for (const [index, tag] of tags.entries()) isStored(await cache.put(tag, bytesOf(index, 50)));
    for (const [index, tag] of tags.entries()) isHit(await cache.get(tag), bytesOf(index, 50));
  });

  check("takes names of any length, and text for its UTF-8 bytes", async (cache) => {
    const long = Buffer.alloc(NAME_BYTES_MAX, 0xff);
    const other = Buffer.from(long);
    other[NAME_BYTES_MAX - 1] = 0;
    const sizes = [100, 500, 1900, 1978, 2100, 10_000];
    const tags: Tag[] = [
      { fs: Buffer.alloc(255, 1), volume: long, inode: long, block: 2 ** 45 - 1 },
      { fs: Buffer.alloc(255, 1), volume: long, inode: other, block: 2 ** 45 - 1 },
      { fs: Buffer.alloc(255, 1), volume: other, inode: long, block: 2 ** 32 },
      ...sizes.map((size) => ({
        fs: "x",
        volume: Buffer.alloc(size, 7),
        inode: Buffer.alloc(size),
        block: 1,
      })),
    ];
    for (const [index, tag] of tags.entries()) isStored(await cache.put(tag, bytesOf(index, 50)));
    for (const [index, tag] of tags.entries()) isHit(await cache.get(tag), bytesOf(index, 50));
    await cache.put({ fs: "nfs", volume: "Größe", inode: "日本", block: 0 }, bytesOf(5, 9));
    const bytes = new Uint8Array(Buffer.from("日本"));
    isHit(
      await cache.get({ fs: Buffer.from("nfs"), volume: Buffer.from("Größe"), inode: bytes, block: 0 }),
      bytesOf(5, 9),
    );
  });
}

function argumentTests(check: Check): void {
  const bad = "E_ARGUMENT";

  check("refuses a payload that is empty or over 256 KiB", async (cache) => {
    await rejects(() => cache.put(tagOf(0), new Uint8Array(0)), bad);
    await rejects(() => cache.put(tagOf(0), new Uint8Array(SLOT_BYTES + 1)), bad);
    assert.is(await cache.has(tagOf(0)), false);
  });

  check("refuses block numbers that are none", async (cache) => {
    for (const block of [-1, 0.5, 2 ** 45, 2 ** 60, Number.NaN, Infinity]) {
      await rejects(() => cache.get(tagOf(block)), bad);
      await rejects(() => cache.put(tagOf(block), bytesOf(0, 1)), bad);
      await rejects(() => cache.has(tagOf(block)), bad);
      await rejects(() => cache.remove(tagOf(block)), bad);
    }
  });

  check("refuses names out of their limits", async (cache) => {
    const long = Buffer.alloc(NAME_BYTES_MAX + 1);
    for (const tag of [
      { ...tagOf(0), fs: "" },
      { ...tagOf(0), fs: Buffer.alloc(256) },
      { ...tagOf(0), volume: long },
      { ...tagOf(0), inode: long },
    ]) {
      await rejects(() => cache.get(tag), bad);
      await rejects(() => cache.put(tag, bytesOf(0, 1)), bad);
    }
    await rejects(() => cache.acquireVolume("", "v"), bad);
    await rejects(() => cache.acquireVolume("nfs", long), bad);
    const volume = await cache.acquireVolume("nfs", "v");
    await rejects(() => volume.acquireCookie(long), bad);
  });

  check("refuses ranges that do not lie in the block or in the memory given", async (cache) => {
    await cache.put(tagOf(0), bytesOf(0, SLOT_BYTES));
    for (const offsetBytes of [-1, 0.5, SLOT_BYTES + 1])
      await rejects(() => cache.get(tagOf(0), { offsetBytes }), bad);
    for (const lengthBytes of [-1, 1.5, SLOT_BYTES + 1])
      await rejects(() => cache.get(tagOf(0), { lengthBytes }), bad);
    await rejects(() => cache.get(tagOf(0), { into: new Uint8Array(SLOT_BYTES - 1) }), bad);
    await rejects(() => cache.get(tagOf(0), { lengthBytes: 10, into: new Uint8Array(9) }), bad);
  });

  check("refuses coherency data, sizes and ranges of files out of their limits", async (cache) => {
    const coherency = new Uint8Array(4097);
    await rejects(() => cache.acquireVolume("nfs", "v", { coherency }), bad);
    const volume = await cache.acquireVolume("nfs", "v");
    await rejects(() => volume.acquireCookie("i", { coherency }), bad);
    await rejects(() => volume.acquireCookie("i", { sizeBytes: -1n }), bad);
    await rejects(() => volume.acquireCookie("i", { sizeBytes: 2n ** 63n }), bad);
    const cookie = await volume.acquireCookie("i", { sizeBytes: 2n ** 63n - 1n });
    assert.is(cookie.sizeBytes, 2n ** 63n - 1n);
    await rejects(() => cookie.read(-1n, 1), bad);
    await rejects(() => cookie.read(2n ** 63n, 1), bad);
    await rejects(() => cookie.read(0n, -1), bad);
    await rejects(() => cookie.read(0n, 0.5), bad);
    await rejects(() => cookie.read(0n, READ_BYTES_MAX + 1), bad);
    await rejects(() => cookie.write(-1n, bytesOf(0, 1)), bad);
    await rejects(() => cookie.write(0n, new Uint8Array(WRITE_BYTES_MAX + 1)), bad);
    await rejects(() => cookie.invalidate({ coherency }), bad);
    await rejects(() => cookie.relinquish({ coherency }), bad);
  });
}

async function fileOf(cache: BlockCache, sizeBytes: bigint, inode = "file"): Promise<CookieHandle> {
  const volume = await cache.acquireVolume("nfs", "volume");
  return await volume.acquireCookie(inode, { sizeBytes });
}

function handleTests(check: Check): void {
  check("says how an acquire found the volume, and invalidates on a mismatch", async (cache) => {
    const open = (coherency: Buffer) => cache.acquireVolume("nfs", "volume", { coherency });
    assert.is((await open(VERSION_1)).outcome, "created");
    const second = await open(VERSION_1);
    assert.is(second.outcome, "found");
    await cache.put(tagOf(0), bytesOf(1, 10));
    assert.is((await cache.acquireVolume("nfs", "volume")).outcome, "found");
    isHit(await cache.get(tagOf(0)), bytesOf(1, 10));
    assert.is((await open(VERSION_2)).outcome, "invalidated");
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    assert.is((await open(VERSION_2)).outcome, "found");
  });

  check("says how an acquire found the file, and invalidates that file only on a mismatch", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_1 });
    const open = (coherency: Buffer) => volume.acquireCookie("file", { coherency, sizeBytes: 100n });
    assert.is((await open(VERSION_1)).outcome, "created");
    await cache.put(tagOf(0), bytesOf(1, 10));
    await cache.put(tagOf(0, "other"), bytesOf(2, 10));
    const found = await open(VERSION_1);
    assert.is(found.outcome, "found");
    assert.is(found.sizeBytes, 100n);
    isHit(await cache.get(tagOf(0)), bytesOf(1, 10));
    assert.is((await open(VERSION_2)).outcome, "invalidated");
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    isHit(await cache.get(tagOf(0, "other")), bytesOf(2, 10));
  });

  check("keeps the size of a file unless one is given", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    assert.is((await volume.acquireCookie("file")).sizeBytes, 0n);
    const large = 2n ** 53n + 1n;
    await volume.acquireCookie("large", { sizeBytes: large });
    assert.is((await volume.acquireCookie("large")).sizeBytes, large);
  });

  check("invalidates a volume for every reader", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const other: Tag = { fs: "nfs", volume: "other", inode: "file", block: 0 };
    for (const inode of ["a", "b"]) await cache.put(tagOf(0, inode), bytesOf(1, 10));
    await cache.put(other, bytesOf(2, 10));
    await volume.invalidate();
    for (const inode of ["a", "b"]) assert.equal(await cache.get(tagOf(0, inode)), { kind: "miss" });
    isHit(await cache.get(other), bytesOf(2, 10));
    isStored(await cache.put(tagOf(0, "a"), bytesOf(3, 10)));
    isHit(await cache.get(tagOf(0, "a")), bytesOf(3, 10));
  });

  check("invalidates a file, with new coherency data and size", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { coherency: VERSION_1, sizeBytes: 10n });
    await cookie.write(0n, bytesOf(1, 10));
    await cookie.invalidate({ coherency: VERSION_2, sizeBytes: 20n });
    assert.is(cookie.sizeBytes, 20n);
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    assert.equal((await cookie.read(0n, 20)).missing, [{ offsetBytes: 0n, lengthBytes: 20 }]);
    assert.equal((await cookie.write(0n, bytesOf(2, 20))).stored, [{ offsetBytes: 0n, lengthBytes: 20 }]);
    const again = await volume.acquireCookie("file", { coherency: VERSION_2, sizeBytes: 20n });
    assert.is(again.outcome, "found");
    assert.ok((await again.read(0n, 20)).bytes.equals(bytesOf(2, 20)));
  });

  check("relinquishes a file: kept, with new coherency data, retired", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const first = await volume.acquireCookie("file", { coherency: VERSION_1, sizeBytes: 10n });
    await first.write(0n, bytesOf(1, 10));
    await first.relinquish({ coherency: VERSION_2 });
    isHit(await cache.get(tagOf(0)), bytesOf(1, 10));
    const second = await volume.acquireCookie("file", { coherency: VERSION_2 });
    assert.is(second.outcome, "found");
    await second.relinquish({ retire: true });
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    await rejects(() => second.read(0n, 1), "E_CLOSED");
    await rejects(() => second.write(0n, bytesOf(0, 1)), "E_CLOSED");
    await rejects(() => second.invalidate(), "E_CLOSED");
    await rejects(() => second.relinquish(), "E_CLOSED");
  });

  check("relinquishes a volume, and its cookies with it", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_1 });
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    await cookie.write(0n, bytesOf(1, 10));
    await volume.relinquish({ coherency: VERSION_2 });
    await rejects(() => cookie.read(0n, 1), "E_CLOSED");
    await rejects(() => volume.acquireCookie("file"), "E_CLOSED");
    await rejects(() => volume.invalidate(), "E_CLOSED");
    await rejects(() => volume.relinquish(), "E_CLOSED");
    isHit(await cache.get(tagOf(0)), bytesOf(1, 10));
    const again = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_2 });
    assert.is(again.outcome, "found");
    await again.relinquish({ invalidate: true });
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
  });
}

function ranges(...pairs: ReadonlyArray<readonly [bigint, number]>): ByteRange[] {
  return pairs.map(([offsetBytes, lengthBytes]) => ({ offsetBytes, lengthBytes }));
}

function rangeTests(check: Check): void {
  check("reads what was written, across blocks, with the last one short", async (cache) => {
    const size = 2 * SLOT_BYTES + 1000;
    const bytes = bytesOf(1, size);
    const cookie = await fileOf(cache, BigInt(size));
    assert.equal((await cookie.write(0n, bytes)).stored, ranges([0n, size]));
    for (const [offset, length] of [
      [0, size],
      [0, 1],
      [SLOT_BYTES - 1, 2],
      [SLOT_BYTES, SLOT_BYTES],
      [size - 1, 1],
      [100_000, 300_000],
      [0, 0],
    ] as const) {
      const result = await cookie.read(BigInt(offset), length);
      assert.ok(result.bytes.equals(bytes.subarray(offset, offset + length)));
      assert.equal(result.missing, []);
    }
    isHit(await cache.get(tagOf(1)), bytes.subarray(SLOT_BYTES, 2 * SLOT_BYTES));
    isHit(await cache.get(tagOf(2)), bytes.subarray(2 * SLOT_BYTES));
  });

  check("cuts reads at the end of the file", async (cache) => {
    const cookie = await fileOf(cache, 5000n);
    await cookie.write(0n, bytesOf(1, 5000));
    assert.ok((await cookie.read(4000n, 10_000)).bytes.equals(bytesOf(1, 5000).subarray(4000)));
    assert.is((await cookie.read(5000n, 10)).bytes.length, 0);
    assert.equal(await cookie.read(2n ** 62n, 10), { bytes: Buffer.alloc(0), missing: [] });
  });

  check("says exactly what is missing, and zeroes it", async (cache) => {
    const cookie = await fileOf(cache, 4n * BLOCK + 10n);
    assert.equal((await cookie.read(5n, 100)).missing, ranges([5n, 100]));
    await cookie.write(BLOCK, bytesOf(1, SLOT_BYTES));
    await cookie.write(3n * BLOCK, bytesOf(3, SLOT_BYTES));
    const { bytes, missing, bypass } = await cookie.read(100n, 4 * SLOT_BYTES);
    assert.is(bypass, undefined);
    assert.equal(missing, ranges([100n, SLOT_BYTES - 100], [2n * BLOCK, SLOT_BYTES], [4n * BLOCK, 10]));
    const wanted = Buffer.alloc(4 * SLOT_BYTES + 10);
    wanted.set(bytesOf(1, SLOT_BYTES), SLOT_BYTES);
    wanted.set(bytesOf(3, SLOT_BYTES), 3 * SLOT_BYTES);
    assert.ok(bytes.equals(wanted.subarray(100)));
  });

  check("reports the rest of a block as missing that was put short", async (cache) => {
    const cookie = await fileOf(cache, BLOCK);
    await cache.put(tagOf(0), bytesOf(1, 1000));
    const { bytes, missing } = await cookie.read(500n, 1000);
    assert.equal(missing, ranges([1000n, 500]));
    assert.ok(bytes.equals(Buffer.concat([bytesOf(1, 1000).subarray(500), Buffer.alloc(500)])));
  });

  check("stores the blocks that a write covers whole, and says which", async (cache) => {
    const size = 3 * SLOT_BYTES + 100;
    const cookie = await fileOf(cache, BigInt(size));
    const bytes = bytesOf(1, size);
    const write = (from: number, to: number) => cookie.write(BigInt(from), bytes.subarray(from, to));
    assert.equal((await write(0, SLOT_BYTES - 1)).stored, []);
    assert.equal((await write(1, SLOT_BYTES)).stored, []);
    assert.equal((await write(size - 99, size)).stored, []);
    assert.equal((await write(100, 2 * SLOT_BYTES + 5)).stored, ranges([BLOCK, SLOT_BYTES]));
    assert.equal((await write(2 * SLOT_BYTES + 1, size)).stored, ranges([3n * BLOCK, 100]));
    assert.equal((await cookie.read(0n, size)).missing, ranges([0n, SLOT_BYTES], [2n * BLOCK, SLOT_BYTES]));
  });

  check("reads and writes the most at once", async (cache) => {
    const cookie = await fileOf(cache, BigInt(WRITE_BYTES_MAX));
    const bytes = bytesOf(5, WRITE_BYTES_MAX);
    assert.equal((await cookie.write(0n, bytes)).stored, ranges([0n, WRITE_BYTES_MAX]));
    const result = await cookie.read(0n, READ_BYTES_MAX);
    assert.equal(result.missing, []);
    assert.ok(result.bytes.equals(bytes));
  });

  check("handles the far end of the largest file", async (cache) => {
    const cookie = await fileOf(cache, 2n ** 63n - 1n);
    const start = 2n ** 63n - BLOCK;
    const bytes = bytesOf(2, SLOT_BYTES - 1);
    assert.equal((await cookie.write(start, bytes)).stored, ranges([start, SLOT_BYTES - 1]));
    assert.ok((await cookie.read(start, SLOT_BYTES)).bytes.equals(bytes));
    isHit(await cache.get(tagOf(2 ** 45 - 1)), bytes);
  });
}

function wholeCacheTests(check: Check): void {
  check("wipes everything at once and ends handles", async (cache) => {
    const before = (await cache.status()).epoch;
    const volume = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_1 });
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    await cookie.write(0n, bytesOf(1, 10));
    await cache.wipe();
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    await rejects(() => cookie.read(0n, 1), "E_STALE");
    await rejects(() => volume.acquireCookie("file"), "E_STALE");
    await rejects(() => volume.invalidate(), "E_STALE");
    assert.ok((await cache.status()).epoch > before);
    isStored(await cache.put(tagOf(0), bytesOf(2, 10)));
    isHit(await cache.get(tagOf(0)), bytesOf(2, 10));
    assert.is((await cache.acquireVolume("nfs", "volume")).outcome, "found");
  });

  check("tells its state", async (cache) => {
    const before = await cache.status();
    await cache.get(tagOf(0));
    await cache.put(tagOf(0), bytesOf(1, 5000));
    await cache.get(tagOf(0));
    const status = await cache.status();
    assert.is(status.state, "running");
    assert.match(status.cacheId, /^[0-9a-f]{16,}$/);
    assert.is(status.hits - before.hits, 1);
    assert.is(status.misses - before.misses, 1);
    assert.is(status.puts - before.puts, 1);
    assert.is(status.slots.used - before.slots.used, 1);
    assert.is(status.validBytes - before.validBytes, 5000);
    assert.ok(status.usedBytes + status.indexBytes <= status.capacityBytes);
    const { total, used, free, quarantined, unknown } = status.slots;
    assert.is(total, used + free + quarantined + unknown);
    for (const key of [
      "pid",
      "uptimeSeconds",
      "capacityBytes",
      "indexBytesMax",
      "slotsMax",
      "culled",
      "corrupt",
    ] as const) {
      assert.type(status[key], "number", key);
    }
    for (const key of ["version", "policy", "directory"] as const) assert.type(status[key], "string", key);
    assert.type(status.start.kind, "string");
    assert.type(status.start.ms, "number");
  });

  check("fails every call with E_CLOSED once closed", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    await Promise.all([cache.close(), cache.close()]);
    await cache.close();
    const calls: ReadonlyArray<() => Promise<unknown>> = [
      () => cache.get(tagOf(0)),
      () => cache.put(tagOf(0), bytesOf(0, 1)),
      () => cache.has(tagOf(0)),
      () => cache.remove(tagOf(0)),
      () => cache.acquireVolume("nfs", "volume"),
      () => cache.status(),
      () => cache.wipe(),
      () => volume.acquireCookie("file"),
      () => volume.invalidate(),
      () => volume.relinquish(),
      () => cookie.read(0n, 1),
      () => cookie.write(0n, bytesOf(0, 10)),
      () => cookie.invalidate(),
      () => cookie.relinquish(),
    ];
    for (const call of calls) await rejects(call, "E_CLOSED");
  });
}
