import assert from "node:assert/strict";
import { crc32 } from "@node-rs/crc32";
import fc from "fast-check";
import { suite } from "uvu";
import { GROUP_BYTES, GROUP_PAGES, PAGE_BYTES } from "../../../index/core/layout.js";
import { PageSums } from "../../../engine/slots/page-sums.js";
import { bytesOf, expectHit, slotFiles, store, tagOf, withCache } from "../../support/temp-cache.js";
import fs from "node:fs";

const pageSums = suite("page sums");

const holding = { slot: 5, sequence: 2 ** 40 + 3, version: 7 };
const GROUP = 3;

function pagesFrom(bytes: Buffer, first: number, end: number): Buffer {
  return bytes.subarray(first * PAGE_BYTES, Math.min(end * PAGE_BYTES, bytes.length));
}

pageSums("any run of pages of a group that was checked is told from any other bytes", () => {
  const run = fc
    .tuple(
      fc.integer({ min: 1, max: GROUP_BYTES }),
      fc.nat(GROUP_PAGES - 1),
      fc.nat(GROUP_PAGES - 1),
      fc.nat(),
    )
    .map(([lengthBytes, a, b, flip]) => {
      const pages = Math.ceil(lengthBytes / PAGE_BYTES);
      return { lengthBytes, first: Math.min(a, b) % pages, end: (Math.max(a, b) % pages) + 1, flip };
    })
    .filter(({ first, end }) => first < end);
  fc.assert(
    fc.property(run, ({ lengthBytes, first, end, flip }) => {
      const sums = new PageSums(16);
      const bytes = bytesOf(lengthBytes, lengthBytes);
      const sum = crc32(bytes, 99);
      assert.ok(!sums.knows(holding, GROUP));
      assert.ok(!sums.learn(holding, GROUP, bytes, { seed: 99, sum: sum ^ 1 }), "a wrong sum");
      assert.ok(!sums.knows(holding, GROUP));
      assert.ok(sums.learn(holding, GROUP, bytes, { seed: 99, sum }));
      assert.ok(sums.knows(holding, GROUP) && !sums.knows(holding, GROUP + 1));
      const part = Buffer.from(pagesFrom(bytes, first, end));
      const [from, to] = [GROUP * GROUP_PAGES + first, GROUP * GROUP_PAGES + end];
      assert.ok(sums.matches(holding, from, to, part));
      part[flip % part.length] = (part[flip % part.length] as number) ^ 0x10;
      assert.ok(!sums.matches(holding, from, to, part));
    }),
  );
});

pageSums("what is known of a tenancy says nothing about another one, nor about another version of it", () => {
  const sums = new PageSums(4);
  const bytes = bytesOf(1, GROUP_BYTES);
  const proof = { seed: 1, sum: crc32(bytes, 1) };
  assert.ok(sums.learn(holding, 0, bytes, proof));
  for (const other of [{ sequence: 1 }, { version: 8 }, { slot: 9 }, { slot: 6 }]) {
    assert.ok(!sums.knows({ ...holding, ...other }, 0), JSON.stringify(other));
  }
  assert.ok(sums.learn({ ...holding, slot: 9 }, 1, bytes, proof), "the same row");
  assert.ok(!sums.knows(holding, 0));
  assert.ok(!sums.knows({ ...holding, slot: 9 }, 0));
});

pageSums("a page that is damaged after its group was checked is not handed out, its neighbours are", () =>
  withCache({}, async (cache, directory) => {
    const bytes = bytesOf(8, 4 * GROUP_BYTES - 100);
    await store(cache, tagOf(0), bytes);
    const page = async (number: number) => {
      const offsetBytes = number * PAGE_BYTES;
      return cache.get(tagOf(0), { offsetBytes, lengthBytes: PAGE_BYTES });
    };
    for (const number of [9, 10, 31])
      expectHit(await page(number), bytes.subarray(number * PAGE_BYTES, (number + 1) * PAGE_BYTES));
    const file = slotFiles(directory).get(0) as string;
    const fd = fs.openSync(file, "r+");
    fs.writeSync(fd, Buffer.of((bytes[10 * PAGE_BYTES] as number) ^ 1), 0, 1, 10 * PAGE_BYTES);
    fs.closeSync(fd);
    expectHit(await page(9), bytes.subarray(9 * PAGE_BYTES, 10 * PAGE_BYTES));
    assert.equal((await cache.status()).corrupt, 0);
    assert.deepEqual(await page(10), { kind: "miss" });
    assert.equal((await cache.status()).corrupt, 1);
    assert.deepEqual(await page(9), { kind: "miss" });
  }),
);

pageSums.run();
