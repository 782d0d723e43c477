/** Parts of blocks: presence by pages, known zeros, sizes that change; and what an invalidation takes away. */
import * as assert from "uvu/assert";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import { ZERO_BYTES_MAX } from "../../engine/api.js";
import type { CookieHandle } from "../../engine/api.js";
import { BLOCK, type Check, bytesOf, fileOf, isHit, isStored, ranges, rejects, tagOf } from "./support.js";

const FILE = 3 * SLOT_BYTES + 100;
const CONTENT = bytesOf(7, FILE);

async function write(cookie: CookieHandle, from: number, to: number) {
  return (await cookie.write(BigInt(from), CONTENT.subarray(from, to))).stored;
}

/** Reads a range, wants everything that is not missing to be right, and tells what is missing. */
async function gaps(cookie: CookieHandle, from: number, to: number, content = CONTENT) {
  const { bytes, missing } = await cookie.read(BigInt(from), to - from);
  const wanted = Buffer.from(content.subarray(from, from + bytes.length));
  for (const { offsetBytes, lengthBytes } of missing) {
    wanted.fill(0, Number(offsetBytes) - from, Number(offsetBytes) - from + lengthBytes);
  }
  assert.ok(bytes.equals(wanted), "what is there has the right bytes, what is missing is zero");
  return missing;
}

export function partTests(check: Check): void {
  check("stores whole pages of a range, and says which", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    assert.equal(await write(cookie, 0, 4095), []);
    assert.equal(await write(cookie, 1, 2 * PAGE_BYTES), ranges([PAGE_BYTES, PAGE_BYTES]));
    assert.equal(
      await write(cookie, 5 * PAGE_BYTES - 1, 7 * PAGE_BYTES + 1),
      ranges([5 * PAGE_BYTES, 2 * PAGE_BYTES]),
    );
    assert.equal(
      await gaps(cookie, 0, 8 * PAGE_BYTES),
      ranges([0, PAGE_BYTES], [2 * PAGE_BYTES, 3 * PAGE_BYTES], [7 * PAGE_BYTES, PAGE_BYTES]),
    );
    assert.equal(await gaps(cookie, PAGE_BYTES + 10, 2 * PAGE_BYTES + 10), ranges([2 * PAGE_BYTES, 10]));
    assert.equal(await gaps(cookie, 3 * PAGE_BYTES + 5, 3 * PAGE_BYTES + 6), ranges([3 * PAGE_BYTES + 5, 1]));
  });

  check("stores the end of a file though it covers its page in part", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    assert.equal(await write(cookie, FILE - 99, FILE), []);
    assert.equal(await write(cookie, FILE - 100, FILE), ranges([FILE - 100, 100]));
    assert.equal(await gaps(cookie, FILE - 50, FILE + 50), []);
    assert.equal(await write(cookie, FILE, FILE), []);
  });

  check("joins what comes page by page, in any order, to whole blocks", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    const pages = Array.from({ length: 64 }, (_, page) => (page * 37) % 64);
    for (const page of pages) await write(cookie, page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    assert.equal(await gaps(cookie, 0, SLOT_BYTES), []);
    isHit(await cache.get(tagOf(0)), CONTENT.subarray(0, SLOT_BYTES));
    assert.equal(await write(cookie, 100, 2 * SLOT_BYTES + 5), ranges([100, 2 * SLOT_BYTES - 100]));
    assert.equal(await gaps(cookie, 0, FILE), ranges([2 * SLOT_BYTES, SLOT_BYTES + 100]));
  });

  check("changes a part of a page that is there", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 0, SLOT_BYTES);
    const other = Buffer.from(CONTENT);
    bytesOf(9, 5000).copy(other, 3000);
    assert.equal((await cookie.write(3000n, other.subarray(3000, 8000))).stored, ranges([3000, 5000]));
    assert.equal(await gaps(cookie, 0, SLOT_BYTES, other), []);
  });

  check("a block of which a part is there is a hit for that part only", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 2 * PAGE_BYTES, 4 * PAGE_BYTES);
    assert.equal(await cache.get(tagOf(0)), { kind: "miss" });
    const part = { offsetBytes: 2 * PAGE_BYTES + 1, lengthBytes: PAGE_BYTES };
    isHit(await cache.get(tagOf(0), part), CONTENT.subarray(2 * PAGE_BYTES + 1, 3 * PAGE_BYTES + 1));
    assert.equal(await cache.get(tagOf(0), { offsetBytes: PAGE_BYTES, lengthBytes: 1 }), { kind: "miss" });
  });

  check("known zeros are read without having been stored", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    const zeros = Buffer.alloc(FILE);
    assert.equal((await cookie.zero(0n, FILE)).stored, ranges([0, FILE]));
    assert.equal(await gaps(cookie, 0, FILE, zeros), []);
    assert.is((await cache.status()).slots.used, 0, "they take no slot");
    isHit(await cache.get(tagOf(1)), Buffer.alloc(SLOT_BYTES));
    CONTENT.copy(zeros, 5000, 5000, 9000);
    assert.equal((await cookie.write(5000n, zeros.subarray(5000, 9000))).stored, ranges([5000, 4000]));
    assert.equal(await gaps(cookie, 0, FILE, zeros), []);
  });

  check("a hole in what is there is zero, to the byte where pages are there", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 0, 10 * PAGE_BYTES);
    const other = Buffer.from(CONTENT).fill(0, 1000, 4 * PAGE_BYTES + 7);
    assert.equal(
      (await cookie.zero(1000n, 4 * PAGE_BYTES + 7 - 1000)).stored,
      ranges([1000, 4 * PAGE_BYTES - 993]),
    );
    assert.equal(await gaps(cookie, 0, 10 * PAGE_BYTES, other), []);
    assert.equal((await cookie.zero(BigInt(20 * PAGE_BYTES + 1), PAGE_BYTES)).stored, []);
    assert.equal(
      (await cookie.zero(BigInt(20 * PAGE_BYTES + 1), 2 * PAGE_BYTES)).stored,
      ranges([21 * PAGE_BYTES, PAGE_BYTES]),
    );
  });

  check("a file that was cut has nothing past its end, also when it grows again", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 0, FILE);
    await cookie.resize(BigInt(SLOT_BYTES + 5000));
    assert.is(cookie.sizeBytes, BigInt(SLOT_BYTES + 5000));
    assert.equal(await gaps(cookie, 0, FILE), []);
    assert.is((await cookie.read(0n, FILE)).bytes.length, SLOT_BYTES + 5000);
    await cookie.resize(BigInt(FILE));
    assert.equal(
      await gaps(cookie, 0, FILE),
      ranges([SLOT_BYTES + PAGE_BYTES, FILE - SLOT_BYTES - PAGE_BYTES]),
    );
    const end = SLOT_BYTES + 2 * PAGE_BYTES;
    assert.equal(
      await write(cookie, SLOT_BYTES + 5000, end),
      ranges([SLOT_BYTES + 5000, 2 * PAGE_BYTES - 5000]),
    );
    assert.equal(await gaps(cookie, 0, end), [], "what was known before the end still counts");
  });

  check("a size of nothing leaves nothing", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 0, FILE);
    await cookie.resize(0n);
    await cookie.resize(BigInt(FILE));
    assert.equal(await gaps(cookie, 0, FILE), ranges([0, FILE]));
  });

  check("what lies past the end is not stored", async (cache) => {
    const cookie = await fileOf(cache, 5000);
    assert.equal(await write(cookie, 0, 9000), ranges([0, 5000]));
    assert.equal((await cookie.zero(4096n, 9000)).stored, ranges([4096, 904]));
  });

  check("refuses ranges and sizes that cannot be", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await rejects(() => cookie.zero(-1n, 1), "E_ARGUMENT");
    await rejects(() => cookie.zero(0n, ZERO_BYTES_MAX + 1), "E_ARGUMENT");
    await rejects(() => cookie.resize(-1n), "E_ARGUMENT");
    await rejects(() => cookie.resize(2n ** 63n), "E_ARGUMENT");
    await rejects(() => cookie.invalidateRange(-1n, 1n), "E_ARGUMENT");
    await rejects(() => cookie.invalidateRange(1n, 2n ** 63n - 1n), "E_ARGUMENT");
    await rejects(() => cache.invalidate({ fs: "" }), "E_ARGUMENT");
    await rejects(() => cache.invalidate({ fs: "nfs", inode: "file" }), "E_ARGUMENT");
    const range = { offsetBytes: 0n, lengthBytes: 1n };
    await rejects(() => cache.invalidate({ fs: "nfs", volume: "volume", range }), "E_ARGUMENT");
  });

  check("handles parts at the far end of the largest file", async (cache) => {
    const size = 2n ** 63n - 1n;
    const cookie = await fileOf(cache, size);
    const bytes = CONTENT.subarray(0, 5000);
    assert.equal((await cookie.write(size - 5000n, bytes)).stored, ranges([size - 4095n, 4095]));
    assert.equal((await cookie.read(size - 10n, 100)).bytes, bytes.subarray(4990));
    await cookie.invalidateRange(size - 1n, 1n);
    assert.equal((await cookie.read(size - 10n, 100)).missing, ranges([size - 10n, 10]));
  });
}

export function invalidationTests(check: Check): void {
  check("an invalidated range is missing in whole pages, the rest stays", async (cache) => {
    const cookie = await fileOf(cache, FILE);
    await write(cookie, 0, FILE);
    await cookie.invalidateRange(BigInt(SLOT_BYTES - 10), BigInt(SLOT_BYTES + 20));
    assert.equal(await gaps(cookie, 0, FILE), ranges([SLOT_BYTES - PAGE_BYTES, SLOT_BYTES + 2 * PAGE_BYTES]));
    await write(cookie, 0, FILE);
    assert.equal(await gaps(cookie, 0, FILE), []);
    await cookie.invalidateRange(5000n, 1n);
    assert.equal(await gaps(cookie, 0, FILE), ranges([PAGE_BYTES, PAGE_BYTES]));
    await cookie.invalidateRange(0n, 2n ** 62n);
    assert.equal(await gaps(cookie, 0, FILE), ranges([0, FILE]));
  });

  check("many ranges are remembered, none is forgotten", async (cache) => {
    const cookie = await fileOf(cache, 40n * BLOCK, "long");
    for (let block = 0; block < 40; block += 1)
      isStored(await cache.put(tagOf(block, "long"), CONTENT.subarray(0, SLOT_BYTES)));
    for (let block = 1; block < 40; block += 2) await cookie.invalidateRange(BigInt(block) * BLOCK, BLOCK);
    for (let block = 1; block < 40; block += 2) assert.is(await cache.has(tagOf(block, "long")), false);
    assert.is(await cache.has(tagOf(0, "long")), true);
    isStored(await cache.put(tagOf(1, "long"), CONTENT.subarray(5, 500)));
    isHit(await cache.get(tagOf(1, "long")), CONTENT.subarray(5, 500));
  });

  check("takes away what it names and nothing else", async (cache) => {
    const tags = [
      { fs: "nfs", volume: "a", inode: "1", block: 0 },
      { fs: "nfs", volume: "a", inode: "2", block: 0 },
      { fs: "nfs", volume: "b", inode: "1", block: 0 },
      { fs: "nfsx", volume: "a", inode: "1", block: 0 },
    ] as const;
    const left = async (): Promise<boolean[]> => {
      const there = await Promise.all(tags.map((tag) => cache.has(tag)));
      for (const tag of tags) isStored(await cache.put(tag, CONTENT.subarray(0, 100)));
      return there;
    };
    await left();
    await cache.invalidate({
      fs: "nfs",
      volume: "a",
      inode: "1",
      range: { offsetBytes: 1n, lengthBytes: 1n },
    });
    assert.equal(await left(), [false, true, true, true]);
    await cache.invalidate({ fs: "nfs", volume: "a", inode: "1" });
    assert.equal(await left(), [false, true, true, true]);
    await cache.invalidate({ fs: "nfs", volume: "a" });
    assert.equal(await left(), [false, false, true, true]);
    await cache.invalidate({ fs: "nfs" });
    assert.equal(await left(), [false, false, false, true]);
    await cache.invalidate({ fs: "unknown" });
    await cache.invalidate({ fs: "nfs", volume: "unknown", inode: "x" });
    assert.equal(await left(), [true, true, true, true]);
  });

  check("another number is told after every invalidation and wipe, and after nothing else", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: BigInt(FILE) });
    const number = async (): Promise<number> => (await cache.status()).invalidation;
    await write(cookie, 0, FILE);
    const same = await number();
    await cookie.read(0n, FILE);
    await cache.put(tagOf(9), CONTENT.subarray(0, 10));
    await cache.remove(tagOf(9));
    await cookie.zero(0n, PAGE_BYTES);
    await cookie.resize(BigInt(FILE + 5));
    assert.is(await number(), same);
    const changes: ReadonlyArray<() => Promise<void>> = [
      () => cookie.invalidateRange(0n, 1n),
      () => cookie.invalidateRange(0n, BLOCK),
      () => cookie.resize(10n),
      () => cookie.invalidate(),
      () => volume.invalidate(),
      () => cache.invalidate({ fs: "nfs", volume: "volume", inode: "file" }),
      () => cache.invalidate({ fs: "nfs", volume: "volume" }),
      () => cache.invalidate({ fs: "nfs" }),
      () => cache.wipe(),
    ];
    for (let before = same, place = 0; place < changes.length; place += 1) {
      await changes[place]?.();
      const now = await number();
      assert.is.not(now, before, `change ${place}`);
      before = now;
    }
  });

  check("handles go on after an invalidation by name", async (cache) => {
    const cookie = await fileOf(cache, 100);
    await write(cookie, 0, 100);
    await cache.invalidate({ fs: "nfs" });
    assert.equal(await gaps(cookie, 0, 100), ranges([0, 100]));
    assert.equal(await write(cookie, 0, 100), ranges([0, 100]));
    assert.equal(await gaps(cookie, 0, 100), []);
  });
}
