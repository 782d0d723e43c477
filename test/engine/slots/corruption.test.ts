import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { suite } from "uvu";
import { GROUP_BYTES, SLOT_BYTES, SLOT_GROUPS } from "../../../index/core/layout.js";
import type { BlockCache } from "../../../engine/api.js";
import {
  bytesOf,
  expectHit,
  openAt,
  slotFiles,
  store,
  tagOf,
  withCache,
  withPlace,
} from "../../support/temp-cache.js";

const corruption = suite("damaged slot files");

function flipByte(file: string, position: number): void {
  const fd = fs.openSync(file, "r+");
  const byte = Buffer.alloc(1);
  fs.readSync(fd, byte, 0, 1, position);
  byte[0] = (byte[0] as number) ^ 1;
  fs.writeSync(fd, byte, 0, 1, position);
  fs.closeSync(fd);
}

/** The file of slot `slot`; slots are given out in order while none is free. */
function fileOf(directory: string, slot: number): string {
  return slotFiles(directory).get(slot) as string;
}

/** The slot file that begins with these bytes. */
function fileWith(directory: string, bytes: Buffer): string {
  const found = [...slotFiles(directory).values()].find((file) => {
    return fs.readFileSync(file).subarray(0, bytes.length).equals(bytes);
  });
  assert.ok(found !== undefined);
  return found;
}

/** Stores three blocks, damages the slot file of the first while nobody owns the cache, and opens it again. */
async function withDamage(
  damage: (file: string, directory: string) => void,
  body: (cache: BlockCache) => Promise<void>,
): Promise<void> {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    for (let block = 0; block < 3; block += 1) await store(first, tagOf(block), bytesOf(block, SLOT_BYTES));
    await first.close();
    damage(fileOf(directory, 0), directory);
    const cache = await openAt(directory);
    assert.equal((await cache.status()).start.kind, "clean");
    await body(cache);
    for (const block of [1, 2]) expectHit(await cache.get(tagOf(block)), bytesOf(block, SLOT_BYTES));
    for (let block = 0; block < 6; block += 1)
      await store(cache, tagOf(block), bytesOf(block + 10, SLOT_BYTES));
    for (let block = 0; block < 6; block += 1) {
      expectHit(await cache.get(tagOf(block)), bytesOf(block + 10, SLOT_BYTES));
    }
    await cache.close();
    const again = await openAt(directory);
    assert.equal((await again.status()).start.kind, "clean");
    await again.close();
  });
}

corruption("a flipped byte costs the ranges that touch its group, and then the block", async () => {
  await withCache({}, async (cache, directory) => {
    for (let bad = 0; bad < SLOT_GROUPS; bad += 1) {
      await store(cache, tagOf(bad), bytesOf(bad, SLOT_BYTES));
      flipByte(fileWith(directory, bytesOf(bad, SLOT_BYTES)), bad * GROUP_BYTES + 1234 * bad);
      for (let group = 0; group < SLOT_GROUPS; group += 1) {
        if (group === bad) continue;
        const range = { offsetBytes: group * GROUP_BYTES + 5, lengthBytes: 100 };
        const wanted = bytesOf(bad, SLOT_BYTES).subarray(range.offsetBytes, range.offsetBytes + 100);
        expectHit(await cache.get(tagOf(bad), range), wanted);
      }
      assert.equal((await cache.status()).corrupt, bad);
      const range = { offsetBytes: bad * GROUP_BYTES, lengthBytes: 1 };
      assert.deepEqual(await cache.get(tagOf(bad), range), { kind: "miss" });
      assert.equal((await cache.status()).corrupt, bad + 1);
      assert.equal(await cache.has(tagOf(bad)), false);
      assert.deepEqual(await cache.get(tagOf(bad)), { kind: "miss" });
      await store(cache, tagOf(bad), bytesOf(bad + 100, SLOT_BYTES));
      expectHit(await cache.get(tagOf(bad)), bytesOf(bad + 100, SLOT_BYTES));
    }
  });
});

corruption("a flipped byte is found by a read from the drive too", async () => {
  await withDamage(
    (file) => flipByte(file, SLOT_BYTES - 1),
    async (cache) => {
      assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
      const { corrupt, misses, hits, slots } = await cache.status();
      assert.deepEqual({ corrupt, misses, hits }, { corrupt: 1, misses: 1, hits: 0 });
      assert.equal(slots.used, 2);
    },
  );
});

corruption("a file range that meets a damaged block reports that block missing and no other", async () => {
  await withCache({}, async (cache, directory) => {
    const volume = await cache.acquireVolume("test", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: BigInt(3 * SLOT_BYTES) });
    const bytes = bytesOf(1, 3 * SLOT_BYTES);
    await cookie.write(0n, bytes);
    flipByte(fileOf(directory, 1), 7);
    const result = await cookie.read(0n, 3 * SLOT_BYTES);
    assert.deepEqual(result.missing, [{ offsetBytes: BigInt(SLOT_BYTES), lengthBytes: SLOT_BYTES }]);
    bytes.fill(0, SLOT_BYTES, 2 * SLOT_BYTES);
    assert.ok(result.bytes.equals(bytes));
  });
});

corruption("the whole and right bytes of another tenant are not taken for the block's own", async () => {
  await withDamage(
    (file, directory) => fs.copyFileSync(fileOf(directory, 1), file),
    async (cache) => {
      assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
      assert.equal((await cache.status()).corrupt, 1);
    },
  );
});

corruption("the bytes of an earlier tenancy of the same tag are not taken for the present ones", async () => {
  await withCache({}, async (cache, directory) => {
    const bytes = bytesOf(0, SLOT_BYTES);
    await store(cache, tagOf(0), bytes);
    await cache.remove(tagOf(0));
    await store(cache, tagOf(0), bytesOf(1, SLOT_BYTES));
    fs.writeFileSync(fileWith(directory, bytesOf(1, SLOT_BYTES)), bytes);
    assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
    // Even the same bytes in the same slot are of another tenancy, and are checked against their own sum.
    await store(cache, tagOf(0), bytes);
    expectHit(await cache.get(tagOf(0)), bytes);
  });
});

const damages: Array<[string, (file: string, directory: string) => void]> = [
  ["removed", (file) => fs.rmSync(file)],
  ["empty", (file) => fs.truncateSync(file, 0)],
  ["cut short", (file) => fs.truncateSync(file, SLOT_BYTES - 1)],
  ["longer than a slot", (file) => fs.appendFileSync(file, "x")],
  ["a directory", (file) => (fs.rmSync(file), fs.mkdirSync(file))],
  ["a FIFO", (file) => (fs.rmSync(file), execFileSync("mkfifo", [file]))],
  [
    "a symbolic link to a whole slot",
    (file, directory) => {
      fs.renameSync(file, `${directory}/../elsewhere`);
      fs.symlinkSync(`${directory}/../elsewhere`, file);
    },
  ],
  ["a hard link to a file elsewhere", (file, directory) => fs.linkSync(file, `${directory}/../elsewhere`)],
];
for (const [what, damage] of damages) {
  corruption(`a slot file that is ${what} is a bypass, is set aside, and costs no other block`, async () => {
    let elsewhere = "";
    let before = Buffer.alloc(0);
    await withDamage(
      (file, directory) => {
        damage(file, directory);
        elsewhere = `${directory}/../elsewhere`;
        if (fs.existsSync(elsewhere)) before = fs.readFileSync(elsewhere);
      },
      async (cache) => {
        assert.deepEqual(await cache.get(tagOf(0)), { kind: "bypass", reason: "io-error" });
        const { bypassed, slots } = await cache.status();
        assert.deepEqual(bypassed, { "io-error": 1 });
        assert.equal(slots.quarantined, what === "removed" ? 0 : 1);
        assert.equal(slots.used, 2);
        assert.deepEqual(await cache.get(tagOf(0)), { kind: "miss" });
        for (let block = 0; block < 6; block += 1)
          await store(cache, tagOf(block), bytesOf(block + 10, SLOT_BYTES));
        if (before.length > 0) assert.ok(fs.readFileSync(elsewhere).equals(before), "it was followed");
        for (const block of [1, 2]) await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
      },
    );
  });

  corruption(`a slot file that is ${what} is not written to after an unclean end`, async () => {
    await withPlace(async (directory) => {
      const first = await openAt(directory);
      for (let block = 0; block < 3; block += 1) await store(first, tagOf(block), bytesOf(block, SLOT_BYTES));
      await first.close();
      damage(fileOf(directory, 0), directory);
      fs.rmSync(`${directory}/checkpoint`);
      const elsewhere = `${directory}/../elsewhere`;
      const before = fs.existsSync(elsewhere) ? fs.readFileSync(elsewhere) : undefined;
      const cache = await openAt(directory);
      for (let block = 0; block < 6; block += 1)
        await store(cache, tagOf(block), bytesOf(block + 10, SLOT_BYTES));
      for (let block = 0; block < 6; block += 1) {
        expectHit(await cache.get(tagOf(block)), bytesOf(block + 10, SLOT_BYTES));
      }
      await cache.close();
      if (before !== undefined) assert.ok(fs.readFileSync(elsewhere).equals(before), "it was followed");
    });
  });
}

corruption(
  "a slot file lost while its bytes are not synced yet costs one block, not the clean stop",
  async () => {
    await withPlace(async (directory) => {
      const cache = await openAt(directory);
      for (let block = 0; block < 3; block += 1) await store(cache, tagOf(block), bytesOf(block, 1000));
      await cache.close();
      const second = await openAt(directory);
      await store(second, tagOf(0), bytesOf(10, 1000));
      const file = fileWith(directory, bytesOf(10, 1000));
      fs.truncateSync(file, 0);
      assert.deepEqual(await second.get(tagOf(0)), { kind: "bypass", reason: "io-error" });
      fs.rmSync(file);
      await second.close();
      const third = await openAt(directory);
      assert.equal((await third.status()).start.kind, "clean");
      expectHit(await third.get(tagOf(1)), bytesOf(1, 1000));
      await third.close();
    });
  },
);

corruption.run();
