/** A start that wipes costs the same for any number of entries, and of slot files. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { closeSync, existsSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { openState } from "../../engine/coherency/open-state.js";
import { slotDirectory, slotPath } from "../../engine/slots/slot-paths.js";
import { openCache } from "../../engine/cache.js";
import {
  expectHits,
  expectInOrder,
  putSome,
  say,
  seededRandom,
  withCache,
  withDirectory,
} from "./support.js";

const startCost = suite("cost of a start that wipes");
const FEW_ENTRIES = 10_000;
const MANY_ENTRIES = 1_000_000;
const MANY_SLOTS = 20_000;
const BLOCKS_A_FILE = 100;
const COMMIT_EVERY = 20_000;
const GROUPS = 8;
const ROOM = { capacityBytes: 1024 ** 3, slotsMax: 2 * MANY_SLOTS } as const;
const FOUND_MS_MAX = 20_000;

/** An index of so many entries, whose owner dies: entries without data, for only their number is to cost nothing. */
async function dieWithEntries(directory: string, entryCount: number): Promise<void> {
  const { index, ledger, epoch, releaseLocks } = await openState({ directory, log: () => {} });
  index.names.putVolume({
    id: 1,
    fs: Buffer.from("f"),
    volume: Buffer.from("v"),
    coherency: Buffer.alloc(0),
    stamp: 0,
  });
  for (let number = 0; number < entryCount; number += 1) {
    const id = Math.floor(number / BLOCKS_A_FILE) + 1;
    if (number % BLOCKS_A_FILE === 0) {
      const inode = Buffer.from(`a file with a name of forty bytes ${String(id).padStart(6, "0")}`);
      index.names.putObject({ id, volumeId: 1, inode, coherency: Buffer.alloc(8), sizeBytes: 0n, stamp: 0 });
    }
    index.putEntry(id, number % BLOCKS_A_FILE, {
      version: 1,
      slot: number,
      epoch,
      sequence: number + 1,
      validBytes: 262_144,
      presentLow: 0xffff_ffff,
      presentHigh: 0xffff_ffff,
      zeroLow: 0,
      zeroHigh: 0,
      checksumKind: 1,
      sums: new Uint32Array(GROUPS).fill(number),
    });
    if (number % COMMIT_EVERY === 0) await index.committed();
  }
  await index.close();
  await ledger.close();
  releaseLocks();
}

/** Starts, stores and reads at once, stops; fsck finds nothing. @returns the milliseconds of the start. */
async function startMs(directory: string): Promise<number> {
  const ms = await withCache({ directory, ...ROOM }, async (cache) => {
    const stored = await putSome(cache, seededRandom(1), { fs: "after", count: 10 });
    assert.equal(stored.length, 10);
    await expectHits(cache, stored);
    const { start } = await cache.status();
    assert.deepEqual([start.kind, start.action], ["unclean", "wipe"]);
    return start.ms;
  });
  await expectInOrder(directory);
  return ms;
}

/** The start after an owner who had so many entries. */
async function startAfter(entryCount: number): Promise<number> {
  return withDirectory(async (directory) => {
    await dieWithEntries(directory, entryCount);
    const ms = await startMs(directory);
    assert.equal(existsSync(join(directory, "index", "1")), false); // the old index is gone by the end
    return ms;
  });
}

const TRIES = 3;

startCost(`takes no longer for ${MANY_ENTRIES} entries than for ${FEW_ENTRIES}`, async () => {
  await startAfter(100); // what only the first start in a process costs
  const few = await startAfter(FEW_ENTRIES);
  const many: number[] = [];
  // What else the machine does may delay a start, but not each of three.
  while (many.length < TRIES && !(Math.min(...many) <= 3 * few + 50))
    many.push(await startAfter(MANY_ENTRIES));
  say(`  ${FEW_ENTRIES} entries: ${few} ms, ${MANY_ENTRIES}: ${many.join(", ")} ms`);
  assert.ok(Math.min(...many) <= 3 * few + 50, `${many.join(", ")} ms, against ${few} ms`);
});

startCost(
  `takes no longer for ${MANY_SLOTS} slot files, and all of them are found beside the service`,
  async () => {
    await withDirectory(async (directory) => {
      await dieWithEntries(directory, 1);
      const none = await startMs(directory);
      const slots = join(directory, "slots");
      for (let slot = 0; slot < MANY_SLOTS; slot += 1) {
        if (existsSync(slotPath(slots, slot))) continue;
        if (slot % 4096 === 0) mkdirSync(slotDirectory(slots, slot), { recursive: true });
        closeSync(openSync(slotPath(slots, slot), "w"));
      }
      const many: number[] = [];
      while (many.length < TRIES && !(Math.min(...many) <= 3 * none + 50)) {
        await dieWithEntries(directory, 1); // whose first step is to wipe
        many.push(await startMs(directory));
      }
      say(`  no slots: ${none} ms, ${MANY_SLOTS}: ${many.join(", ")} ms`);
      assert.ok(Math.min(...many) <= 3 * none + 50, `${many.join(", ")} ms, against ${none} ms`);

      await dieWithEntries(directory, 1);
      const cache = await openCache({ directory, ...ROOM });
      try {
        for (let waitedMs = 0; (await cache.status()).slots.unknown > 0; waitedMs += 20) {
          assert.ok(waitedMs < FOUND_MS_MAX, "the slots are not found");
          await sleep(20);
        }
        assert.equal((await cache.status()).slots.total, MANY_SLOTS);
      } finally {
        await cache.close();
      }
      await expectInOrder(directory);
    });
  },
);

startCost.run();
