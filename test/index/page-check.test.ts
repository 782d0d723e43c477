/** What is seen of an LMDB environment by reading its pages, before anything maps it. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { BlockIndex } from "../../index/block-index.js";
import { checkPages } from "../../index/page-check.js";
import { HEAD_BYTES, type Meta, metaOf } from "../../index/page-meta.js";
import { cacheId, entryOf, openIndex, withCode, withDirectory } from "./support.js";

const pages = suite("pages of an environment");
const PAGE_BYTES = 4096;
const REGIME = { regime: "recoverable" } as const;
/** Where a meta page has them, its head included. */
const FREE_AT = 48;
const MAIN_AT = 96;
const LAST_AT = 144;
/** Of the commit that was flushed last. */
const FLUSHED_AT = 2048;
const SAFE_RESTORE = 0x0800;
const OVERLAPPING = 0x1000;
const COMMITS = 12;
const BLOCKS = 1000;

/** What a cut would have left at this moment, in a directory of its own. */
function copyOf(directory: string, name: string): string {
  const copy = join(directory, name);
  mkdirSync(copy);
  copyFileSync(join(directory, "data.mdb"), join(copy, "data.mdb"));
  return copy;
}

function transactionOf(directory: string): number {
  const meta = metaOf(readFileSync(join(directory, "data.mdb")), "recoverable");
  assert.ok(typeof meta === "object", JSON.stringify(meta));
  return meta.transaction;
}

pages("are those that the next owner has, wherever between commit and flush the last one ended", async () => {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, REGIME);
    for (let commit = 1; commit <= COMMITS; commit += 1) {
      for (let block = 0; block < 40; block += 1)
        index.putEntry(commit % 7, block, entryOf(commit * 40 + block));
      if (commit % 5 === 0) for (let block = 0; block < 40; block += 1) index.removeEntry(commit % 7, block);
      await (commit % 3 === 0 ? index.sync() : index.committed());
      const copy = copyOf(directory, `copy${commit}`);
      const transaction = transactionOf(copy);
      assert.equal(checkPages(copy, REGIME), true);
      const next = BlockIndex.open({
        directory: copy,
        mapBytes: 2 ** 26,
        cacheId,
        epoch: 1,
        create: false,
        ...REGIME,
      });
      assert.equal(next.stats().transactionId, transaction);
      await next.close();
    }
    await index.close();
  });
});

pages("that are damaged are found in any place, unless the walk had no time", async () => {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, REGIME);
    for (let block = 0; block < BLOCKS; block += 1) index.putEntry(1, block, entryOf(block));
    await index.sync();
    for (let block = 0; block < BLOCKS; block += 64) index.removeEntry(1, block);
    await index.sync();
    await index.close();
    const data = join(directory, "data.mdb");
    const whole = readFileSync(data);
    assert.equal(checkPages(directory, REGIME), true);
    assert.equal(checkPages(directory, { ...REGIME, msMax: 0 }), false);
    let found = 0;
    for (let at = 2 * PAGE_BYTES; at < whole.length; at += PAGE_BYTES) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt16LE(bytes.readUInt16LE(at + 18) ^ 8, at + 18);
      writeFileSync(data, bytes);
      try {
        checkPages(directory, REGIME);
      } catch (error) {
        assert.ok(withCode("E_INDEX_CORRUPT")(error), String(error));
        found += 1;
      }
    }
    // Pages that are free don't count.
    const pagesInAll = whole.length / PAGE_BYTES - 2;
    assert.ok(found > pagesInAll / 2 && found < pagesInAll, `${found} of ${pagesInAll}`);
    writeFileSync(data, whole);
    truncateSync(data, 2 ** 43);
    assert.throws(() => checkPages(directory, REGIME), withCode("E_INDEX_CORRUPT"));
    truncateSync(data, 3 * PAGE_BYTES);
    assert.throws(() => checkPages(directory, REGIME), withCode("E_INDEX_CORRUPT"));
    truncateSync(data, 0);
    assert.throws(() => checkPages(directory, REGIME), withCode("E_INDEX_CORRUPT"));
  });
});

/** A closed environment with free pages, and what is seen of it after its file was written over. */
async function withDamage(body: (whole: Buffer, lookAt: (bytes: Buffer) => void) => void): Promise<void> {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, REGIME);
    for (let commit = 0; commit < COMMITS; commit += 1) {
      for (let block = 0; block < BLOCKS / 4; block += 1)
        index.putEntry(commit, block, entryOf(commit + block));
      await index.sync();
      index.removeEntry(commit, commit);
    }
    await index.close();
    const data = join(directory, "data.mdb");
    body(readFileSync(data), (bytes) => {
      writeFileSync(data, bytes);
      checkPages(directory, REGIME);
    });
  });
}

pages("that say what they are, how large, or how their trees are kept are believed by LMDB", async () => {
  await withDamage((whole, lookAt) => {
    lookAt(whole);
    for (const start of [0, PAGE_BYTES]) {
      for (const [at, bits] of [
        [18, 0xffff],
        [FREE_AT, 0xffff_ffff],
        [FREE_AT + 4, 0xffff & ~(SAFE_RESTORE | OVERLAPPING)],
        [MAIN_AT + 4, 0xffff],
      ] as const) {
        for (let bit = 0; bit < 32; bit += 1) {
          if (((bits >>> bit) & 1) === 0) continue;
          const bytes = Buffer.from(whole);
          const place = start + at + (bit >> 3);
          bytes.writeUInt8(bytes.readUInt8(place) ^ (1 << (bit & 7)), place);
          assert.throws(() => lookAt(bytes), withCode("E_INDEX_CORRUPT"), `byte ${place} bit ${bit & 7}`);
        }
      }
    }
  });
});

pages("that were flushed say what the commit itself said, by which LMDB goes", async () => {
  await withDamage((whole, lookAt) => {
    const { transaction } = metaOf(whole, "recoverable") as Meta;
    const start = transaction % 2 === 0 ? 0 : PAGE_BYTES;
    for (const at of [FREE_AT + 6, FREE_AT + 32, FREE_AT + 40, MAIN_AT + 6, MAIN_AT + 40, LAST_AT]) {
      const bytes = Buffer.from(whole);
      bytes.writeUInt8(bytes.readUInt8(start + at) ^ 1, start + at);
      assert.throws(() => lookAt(bytes), withCode("E_INDEX_CORRUPT"), `byte ${start + at}`);
    }
  });
});

pages("are used, or free once, and none is nobody's past the end of the file", async () => {
  await withDamage((whole, lookAt) => {
    const meta = metaOf(whole, "recoverable");
    assert.ok(typeof meta === "object" && meta.free.depth === 1);
    const leaf = meta.free.root * PAGE_BYTES;
    const node = leaf + HEAD_BYTES + whole.readUInt16LE(leaf + HEAD_BYTES);
    const list = node + 8 + whole.readUInt16LE(node + 6);
    const places = Array.from(
      { length: Number(whole.readBigUInt64LE(list)) },
      (_, place) => list + 8 * (place + 1),
    );
    const place = places.find((at) => whole.readBigInt64LE(at) > 0n);
    assert.ok(place !== undefined);
    for (const number of [meta.main.root, meta.free.root, 1, meta.lastPage + 1, -meta.lastPage - 1]) {
      const bytes = Buffer.from(whole);
      bytes.writeBigInt64LE(BigInt(number), place);
      assert.throws(() => lookAt(bytes), withCode("E_INDEX_CORRUPT"), `${number} as a free page`);
    }
    for (let bit = 9; bit < 64; bit += 1) {
      const bytes = Buffer.from(whole);
      const last = BigInt(meta.lastPage) ^ (1n << BigInt(bit));
      for (const start of [0, FLUSHED_AT, PAGE_BYTES]) bytes.writeBigUInt64LE(last, start + LAST_AT);
      assert.throws(() => lookAt(bytes), withCode("E_INDEX_CORRUPT"), `bit ${bit} of the last page`);
    }
  });
});

pages.run();
