/** What is seen of an LMDB environment by reading its pages, before anything maps it. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { BlockIndex } from "../../index/block-index.js";
import { checkPages } from "../../index/page-check.js";
import { metaOf } from "../../index/page-meta.js";
import { cacheId, entryOf, openIndex, withCode, withDirectory } from "./support.js";

const pages = suite("pages of an environment");
const PAGE_BYTES = 4096;
const REGIME = { regime: "recoverable" } as const;
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

pages.run();
