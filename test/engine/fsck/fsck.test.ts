import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { PAGE_BYTES } from "../../../index/core/layout.js";
import { type FsckProgress, FSCK_PHASES } from "../../../engine/fsck-api.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { Ledger } from "../../../index/ledger.js";
import { digestOf } from "../../support/digest.js";
import { bytesOf, openAt, slotFiles, startOf, store, tagOf, withPlace } from "../../support/temp-cache.js";

const fsck = suite("fsck");

const BLOCKS = 4;
const BYTES = 9000;
/** What its owner writes even when it only looks. */
const WRITTEN = ["lock", "lock.mdb"];

/** Leaves a clean cache with four blocks of one file and a free slot behind. */
async function withClosed(body: (directory: string) => Promise<void>): Promise<void> {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let block = 0; block <= BLOCKS; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    await cache.remove(tagOf(BLOCKS));
    await cache.close();
    await body(directory);
  });
}

const slotFile = (directory: string, slot: number) => slotFiles(directory).get(slot) as string;

fsck("finds nothing in a cache that was left clean, and counts what is there", async () => {
  await withClosed(async (directory) => {
    const before = digestOf(directory, WRITTEN);
    const report = await fsckDirectory({ directory, deep: true });
    const { countedBytes, allocatedBytes } = report.counts;
    assert.deepEqual(report, {
      findings: [],
      found: 0,
      repaired: 0,
      foundByCode: {},
      clean: true,
      counts: {
        slots: BLOCKS + 1,
        used: BLOCKS,
        free: 1,
        quarantined: 0,
        volumes: 1,
        objects: 1,
        entries: BLOCKS,
        zeroBlocks: 0,
        unclaimed: 0,
        unnamed: 0,
        metadata: 0,
        pins: 0,
        notes: 0,
        blocksChecked: BLOCKS,
        bytesChecked: BLOCKS * BYTES,
        countedBytes,
        allocatedBytes,
      },
    });
    assert.equal(countedBytes, (BLOCKS + 1) * PAGE_BYTES * Math.ceil(BYTES / PAGE_BYTES));
    assert.equal(
      allocatedBytes,
      [...slotFiles(directory).values()].reduce((sum, file) => sum + fs.lstatSync(file).blocks * 512, 0),
    );
    assert.equal((await fsckDirectory({ directory, deep: false })).counts.blocksChecked, 0);
    assert.deepEqual(digestOf(directory, WRITTEN), before);
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

fsck("tells how far it is", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let block = 0; block < 600; block += 1) await store(cache, tagOf(block), bytesOf(block, 10));
    await cache.close();
    const progress: FsckProgress[] = [];
    await fsckDirectory({ directory, deep: true, onProgress: (one) => progress.push(one) });
    assert.deepEqual([...new Set(progress.map(({ phase }) => phase))], FSCK_PHASES);
    const entries = progress.filter(({ phase }) => phase === "entries");
    for (const { done, total } of entries) assert.ok(done <= total && total === 600);
    assert.equal(progress.at(-1)?.bytes, 600 * 10);
  });
});

fsck("finds a stop that was not clean, and a repair forgets what was cached", async () => {
  await withClosed(async (directory) => {
    const child = `
      import { openCache } from ${JSON.stringify(new URL("../../../engine/cache" + path.extname(import.meta.filename), import.meta.url).href)};
      await openCache({ directory: ${JSON.stringify(directory)}, capacityBytes: 2 ** 26 });
      process.kill(process.pid, "SIGKILL");`;
    const flags = import.meta.filename.endsWith(".ts") ? ["--import", "tsx"] : [];
    assert.throws(() => execFileSync(process.execPath, [...flags, "--input-type=module", "-e", child]));
    const { findings } = await fsckDirectory({ directory, deep: true });
    assert.deepEqual(
      findings.map(({ code }) => code),
      ["unclean"],
    );
    const repair = await fsckDirectory({ directory, repair: true });
    assert.deepEqual([repair.found, repair.repaired], [1, 1]);
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

fsck("leaves an unclean cache that the next start can verify to that", async () => {
  await withClosed(async (directory) => {
    const ledger = await Ledger.open({ directory: path.join(directory, "ledger") });
    await ledger.setMark({ ...ledger.mark, state: "unclean", regime: "recoverable" });
    await ledger.close();
    const { findings, repaired } = await fsckDirectory({ directory, repair: true });
    assert.deepEqual([findings.map(({ code }) => code), repaired], [["unclean"], 0]);
  });
});

fsck("finds an entry with flipped bits on its page", async () => {
  await withClosed(async (directory) => {
    const file = path.join(directory, "index", "1", "data.mdb");
    const bytes = fs.readFileSync(file);
    const entry = Buffer.from([0x0f, 1, 1]); // four blocks, then an entry of layout 1 with CRC-32 sums
    for (let at = bytes.indexOf(entry); at >= 0; at = bytes.indexOf(entry, at + 1)) bytes[at + 1] = 0xee;
    fs.writeFileSync(file, bytes);
    const { foundByCode } = await fsckDirectory({ directory });
    assert.deepEqual(foundByCode, { "entry-corrupt": 1, "slot-orphan": BLOCKS });
  });
});

fsck("names the slot of each finding, one line each", async () => {
  await withClosed(async (directory) => {
    fs.rmSync(slotFile(directory, 1));
    fs.writeFileSync(slotFile(directory, 3), bytesOf(0, BYTES));
    const { findings } = await fsckDirectory({ directory, deep: true });
    assert.deepEqual(
      findings.map(({ code, slot }) => [code, slot]),
      [
        ["checksum", 3],
        ["slot-missing", 1],
      ],
    );
  });
});

fsck("knows the slots set aside after trouble", async () => {
  await withClosed(async (directory) => {
    fs.linkSync(slotFile(directory, 0), `${directory}-link`);
    const cache = await openAt(directory);
    assert.equal((await cache.get(tagOf(0))).kind, "bypass");
    await cache.close();
    fs.rmSync(`${directory}-link`);
    const { findings, counts } = await fsckDirectory({ directory, deep: true });
    assert.deepEqual([findings, counts.used, counts.free, counts.quarantined], [[], BLOCKS - 1, 1, 1]);
  });
});

fsck.run();
