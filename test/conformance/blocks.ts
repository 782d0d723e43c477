/** Blocks by tag: get, put, has, remove, their names and their arguments. */
import * as assert from "uvu/assert";
import { NAME_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";
import { READ_BYTES_MAX, WRITE_BYTES_MAX } from "../../engine/api.js";
import type { Tag } from "../../engine/api.js";
import { bytesOf, isHit, isStored, rejects, tagOf } from "./support.js";
import type { Check } from "./support.js";

export function blockTests(check: Check): void {
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

export function nameTests(check: Check): void {
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

export function argumentTests(check: Check): void {
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
