/** A clean stop before all entries had claimed their slots, after an unclean end: what is left to the next owner is no damage. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { type Checkpoint, readCheckpoint, writeCheckpoint } from "../../../engine/coherency/checkpoint.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { STATE } from "../../../engine/slots/slot-table.js";
import { Ledger } from "../../../index/ledger.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  slotFiles,
  store,
  tagOf,
  until,
  withPlace,
} from "../../support/temp-cache.js";

const unclaimed = suite("entries that have not claimed their slots");
const BLOCKS = 4;
const BYTES = 9000;
const OPEN = [1, 3];
const VERIFY = { onUnclean: "verify" } as const;

/** A clean cache whose last owner had come to only some of the entries; `surveying` is what its mark says of that. */
async function withCutShort(surveying: boolean, body: (directory: string) => Promise<void>): Promise<void> {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, VERIFY);
    for (let block = 0; block < BLOCKS; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    await cache.close();
    const file = path.join(directory, "checkpoint");
    const checkpoint = readCheckpoint(file) as Checkpoint;
    for (const slot of OPEN) {
      for (const array of Object.values(checkpoint.slots) as Uint8Array[]) array[slot] = 0;
      checkpoint.slots.states[slot] = STATE.unknown;
    }
    writeCheckpoint(file, { ...checkpoint, order: checkpoint.order.filter((slot) => !OPEN.includes(slot)) });
    const ledger = await Ledger.open({ directory: path.join(directory, "ledger") });
    await ledger.setMark({ ...ledger.mark, surveying });
    await ledger.close();
    await body(directory);
  });
}

async function deepCodes(directory: string): Promise<string[]> {
  const { findings } = await fsckDirectory({ directory, deep: true });
  return findings.map(({ code, slot }) => `${code} ${slot}`);
}

unclaimed("are no findings, are counted and read, and the next owner goes on with them", async () => {
  await withCutShort(true, async (directory) => {
    const { findings, counts } = await fsckDirectory({ directory, deep: true });
    assert.deepEqual(findings, []);
    const { entries, used, blocksChecked } = counts;
    assert.deepEqual([entries, used, counts.unclaimed, blocksChecked], [BLOCKS, 2, 2, BLOCKS]);
    const cache = await openAt(directory, VERIFY);
    assert.equal((await cache.status()).start.kind, "clean");
    for (let block = 0; block < BLOCKS; block += 1) {
      expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
    }
    await until(async () => !(await cache.status()).trust.surveying);
    await cache.close();
    await expectSound(directory);
    assert.equal((await fsckDirectory({ directory, deep: false })).counts.unclaimed, 0);
  });
});

unclaimed("are checked as others: a missing file and other bytes are found", async () => {
  await withCutShort(true, async (directory) => {
    fs.rmSync(slotFiles(directory).get(1) as string);
    fs.writeFileSync(slotFiles(directory).get(3) as string, bytesOf(99, BYTES));
    assert.deepEqual(await deepCodes(directory), ["slot-missing 1", "checksum 3"]);
  });
});

unclaimed("are damage where the mark does not speak of any", async () => {
  await withCutShort(false, async (directory) => {
    assert.deepEqual(await deepCodes(directory), ["entry-slot 1", "entry-slot 3"]);
  });
});

unclaimed.run();
