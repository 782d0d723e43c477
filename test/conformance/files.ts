/** Volumes and cookies: coherency, byte ranges, invalidation, relinquishing. */
import * as assert from "uvu/assert";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { READ_BYTES_MAX, WRITE_BYTES_MAX } from "../../engine/api.js";
import type { Tag } from "../../engine/api.js";
import {
  BLOCK,
  bytesOf,
  fileOf,
  isHit,
  ranges,
  isStored,
  rejects,
  tagOf,
  VERSION_1,
  VERSION_2,
} from "./support.js";
import type { Check } from "./support.js";

export function handleTests(check: Check): void {
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

  check("keeps a handle of an older version from reading and writing", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume", { coherency: VERSION_1 });
    const older = await volume.acquireCookie("file", { coherency: VERSION_1, sizeBytes: 10n });
    const newer = await volume.acquireCookie("file", { coherency: VERSION_2, sizeBytes: 10n });
    assert.equal(await older.write(0n, bytesOf(1, 10)), { stored: [], bypass: "stale" });
    assert.equal((await newer.read(0n, 10)).missing, [{ offsetBytes: 0n, lengthBytes: 10 }]);
    await newer.write(0n, bytesOf(2, 10));
    const read = await older.read(0n, 10);
    assert.is(read.bypass, "stale");
    assert.equal(read.missing, [{ offsetBytes: 0n, lengthBytes: 10 }]);
    await older.relinquish({ coherency: VERSION_1 });
    assert.is((await volume.acquireCookie("file", { coherency: VERSION_2 })).outcome, "found");
    await cache.acquireVolume("nfs", "volume", { coherency: VERSION_2 });
    assert.equal(await newer.write(0n, bytesOf(2, 10)), { stored: [], bypass: "stale" });
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

export function rangeTests(check: Check): void {
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
    assert.equal(missing, ranges([500n, 1000]), "a page that is not known to its end is missing");
    assert.ok(bytes.equals(Buffer.alloc(1000)));
    assert.equal((await (await fileOf(cache, 1000n, "short")).read(0n, 1000)).missing, ranges([0n, 1000]));
    await cache.put(tagOf(0, "short"), bytesOf(2, 1000));
    const whole = await (await fileOf(cache, 1000n, "short")).read(500n, 1000);
    assert.equal(whole.missing, []);
    assert.ok(whole.bytes.equals(bytesOf(2, 1000).subarray(500)));
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
