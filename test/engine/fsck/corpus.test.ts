/** Caches broken as fixtures/broken.json says: what a check finds, what a repair makes of them, and what is left then. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import "../../support/in-memory.js";
import type { FsckReport } from "../../../engine/fsck-api.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import {
  ATTRIBUTE,
  BLOCKS,
  BROKEN_CASES,
  BYTES,
  type BrokenCase,
  breakCache,
  makeSound,
} from "../../support/broken.js";
import { digestOf } from "../../support/digest.js";
import { bytesOf, openAt, tagOf, withPlace } from "../../support/temp-cache.js";

const corpus = suite("broken caches");
/** What its owner writes even when it only looks. */
const WRITTEN = ["lock", "lock.mdb"];

function codesOf({ findings }: FsckReport): string[] {
  return [...new Set(findings.map(({ code }) => code))].toSorted();
}

/** A check that changes nothing. */
async function look(directory: string, deep: boolean): Promise<string[]> {
  const before = digestOf(directory, WRITTEN);
  const report = await fsckDirectory({ directory, deep });
  assert.deepEqual(digestOf(directory, WRITTEN), before, "a check changes nothing");
  assert.equal(report.clean, report.found === 0);
  for (const { message, repaired } of report.findings) {
    assert.doesNotMatch(message, /\n|undefined|NaN|\/proc\/self/);
    assert.equal(repaired, undefined);
  }
  return codesOf(report);
}

async function expectContent(directory: string, hits: readonly number[]): Promise<void> {
  const cache = await openAt(directory);
  try {
    const { start, pins } = await cache.status();
    assert.equal(start.kind, "clean");
    const found: number[] = [];
    for (let block = 0; block <= BLOCKS; block += 1) {
      const result = await cache.get(tagOf(block));
      if (result.kind === "hit") {
        assert.ok(result.bytes.equals(bytesOf(block, BYTES)), "a hit has the bytes that were put");
        found.push(block);
      } else assert.equal(result.kind, "miss");
    }
    assert.deepEqual(found, hits);
    assert.equal(pins.count, 1, "pins are kept");
    const cookie = await (await cache.acquireVolume("test", "handles")).acquireCookie("named");
    const attribute = await cookie.metadata.getXattr(ATTRIBUTE.name);
    if (attribute.kind === "found") assert.ok(attribute.value.equals(ATTRIBUTE.value));
    else assert.equal(attribute.kind, "miss", "what was there is never said to be absent");
  } finally {
    await cache.close();
  }
}

async function expectCase(directory: string, one: BrokenCase): Promise<void> {
  const { damage, finds, deep = finds, after, left = [], hits = [] } = one;
  await breakCache(directory, damage);
  assert.deepEqual(await look(directory, false), finds.toSorted());
  assert.deepEqual(await look(directory, true), deep.toSorted());
  const ledgerBefore = fs.readFileSync(path.join(directory, "ledger", "data.mdb"));
  const repair = await fsckDirectory({ directory, deep: true, repair: true });
  if (after === "refused" || after === "untouched") {
    assert.ok(fs.readFileSync(path.join(directory, "ledger", "data.mdb")).equals(ledgerBefore));
    assert.equal(repair.repaired, 0);
  } else {
    const leftNow = repair.findings.filter(({ repaired }) => repaired === undefined);
    assert.deepEqual([...new Set(leftNow.map(({ code }) => code))].toSorted(), left);
    assert.equal(repair.repaired, repair.found - leftNow.length);
    const wiped = repair.findings.some(({ repaired }) => repaired === "everything cached is forgotten");
    assert.equal(wiped, after === "wiped");
  }
  assert.deepEqual(await look(directory, true), left);
  if (after !== "refused") await expectContent(directory, hits);
}

for (const one of BROKEN_CASES) {
  const codes = (one.deep ?? one.finds).join(", ") || "nothing";
  corpus(`${one.name}: ${codes}`, async () => {
    await withPlace(async (directory) => {
      await makeSound(directory);
      await expectCase(directory, one);
    });
  });
}

corpus.run();
