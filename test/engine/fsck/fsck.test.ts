import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { BlockIndex } from "../../../index/block-index.js";
import { PAGE_BYTES, SLOT_BYTES } from "../../../index/core/layout.js";
import type { Entry } from "../../../index/entry.js";
import { readSignature, writeSignature } from "../../../engine/coherency/signature.js";
import { type FindingCode, type FsckProgress, FSCK_PHASES } from "../../../engine/fsck-api.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
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

async function codesOf(directory: string, deep: boolean): Promise<FindingCode[]> {
  const before = digestOf(directory, WRITTEN);
  const report = await fsckDirectory({ directory, deep });
  assert.deepEqual(digestOf(directory, WRITTEN), before, "fsck changes nothing");
  assert.equal(report.clean, report.findings.length === 0);
  for (const { message } of report.findings) assert.doesNotMatch(message, /\n|undefined|NaN/);
  return [...new Set(report.findings.map(({ code }) => code))].toSorted();
}

/** Damages a closed cache and wants exactly these findings, with and without reading the bytes. */
function finds(
  what: string,
  damage: (directory: string) => unknown,
  codes: readonly FindingCode[],
  deepCodes = codes,
): void {
  fsck(
    `finds ${what}: ${codes.join(", ") || "nothing"}${deepCodes === codes ? "" : `; deep: ${deepCodes.join(", ")}`}`,
    async () => {
      await withClosed(async (directory) => {
        await damage(directory);
        assert.deepEqual(await codesOf(directory, false), codes);
        assert.deepEqual(await codesOf(directory, true), deepCodes);
      });
    },
  );
}

const slotFile = (directory: string, slot: number) => slotFiles(directory).get(slot) as string;
const ledgerPath = (directory: string) => path.join(directory, "ledger", "data.mdb");
const indexPath = (directory: string) => path.join(directory, "index", "1", "data.mdb");
const checkpointPath = (directory: string) => path.join(directory, "checkpoint");

/** Changes the entries behind the owner's back. */
async function withIndex(
  directory: string,
  body: (index: BlockIndex, entries: Array<{ objectId: number; block: number; entry: Entry }>) => void,
): Promise<void> {
  const { cacheId } = readSignature(directory) as { cacheId: Buffer };
  const options = { directory: path.dirname(indexPath(directory)), mapBytes: 2 ** 26, cacheId, epoch: 1 };
  const index = BlockIndex.open({ ...options, create: false });
  body(index, [...index.entries()]);
  await index.sync();
  await index.close();
}

function put(
  change: (entry: Entry, others: Entry[]) => Partial<Entry>,
): (directory: string) => Promise<void> {
  return (directory) =>
    withIndex(directory, (index, entries) => {
      const { objectId, block, entry } = entries[0] as (typeof entries)[0];
      const others = entries.slice(1).map((other) => other.entry);
      index.putEntry(objectId, block, { ...entry, ...change(entry, others) });
    });
}

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

finds(
  "a stop that was not clean",
  async (directory) => {
    const child = `
      import { openCache } from ${JSON.stringify(new URL("../../../engine/cache" + path.extname(import.meta.filename), import.meta.url).href)};
      await openCache({ directory: ${JSON.stringify(directory)}, capacityBytes: 2 ** 26 });
      process.kill(process.pid, "SIGKILL");`;
    const flags = import.meta.filename.endsWith(".ts") ? ["--import", "tsx"] : [];
    assert.throws(() => execFileSync(process.execPath, [...flags, "--input-type=module", "-e", child]));
  },
  ["unclean"],
);
finds("a checkpoint that is gone", (directory) => fs.rmSync(checkpointPath(directory)), [
  "checkpoint-damaged",
]);
finds(
  "a checkpoint with a flipped bit",
  (directory) => {
    const bytes = fs.readFileSync(checkpointPath(directory));
    bytes[100] = (bytes[100] as number) ^ 1;
    fs.writeFileSync(checkpointPath(directory), bytes);
  },
  ["checkpoint-damaged"],
);
finds(
  "the checkpoint of an earlier stop",
  async (directory) => {
    const bytes = fs.readFileSync(checkpointPath(directory));
    await startOf(directory);
    fs.writeFileSync(checkpointPath(directory), bytes);
  },
  ["checkpoint-foreign"],
);
finds(
  "the ledger of another cache",
  async (directory) => {
    await startOf(`${directory}-other`);
    fs.copyFileSync(ledgerPath(`${directory}-other`), ledgerPath(directory));
  },
  ["index-corrupt", "ledger-foreign"],
);
finds(
  "a signature with another id",
  (directory) => writeSignature(directory, undefined, Buffer.alloc(16, 7)),
  ["checkpoint-foreign", "ledger-foreign"],
  ["checkpoint-foreign", "checksum", "ledger-foreign"],
);
finds(
  "an index that is gone",
  (directory) => fs.rmSync(path.dirname(indexPath(directory)), { recursive: true }),
  ["index-corrupt"],
);
finds("an index without a byte", (directory) => fs.truncateSync(indexPath(directory), 0), ["index-corrupt"]);
finds("an index of garbage", (directory) => fs.writeFileSync(indexPath(directory), bytesOf(1, 40_000)), [
  "index-corrupt",
]);
finds(
  "an index that went on after the stop",
  (directory) =>
    withIndex(directory, (index) => {
      index.putVolume({
        id: 99,
        fs: Buffer.from("test"),
        volume: Buffer.from("later"),
        coherency: Buffer.alloc(0),
        stamp: 0,
      });
    }),
  ["index-other-commit", "volume-corrupt"],
);
finds(
  "an entry of another epoch",
  put(() => ({ epoch: 2 })),
  ["entry-corrupt", "index-other-commit"],
  ["checksum", "entry-corrupt", "index-other-commit"],
);
finds(
  "an entry from the future",
  put(() => ({ sequence: 10_000 })),
  ["entry-corrupt", "index-other-commit"],
  ["checksum", "entry-corrupt", "index-other-commit"],
);
finds(
  "an entry that does not read back",
  async (directory) => {
    const bytes = fs.readFileSync(indexPath(directory));
    const entry = Buffer.from([0x0f, 1, 1]); // four blocks, then an entry of layout 1 with CRC-32 sums
    for (let at = bytes.indexOf(entry); at >= 0; at = bytes.indexOf(entry, at + 1)) bytes[at + 1] = 0xee;
    fs.writeFileSync(indexPath(directory), bytes);
  },
  ["entry-corrupt", "slot-orphan"],
);
finds(
  "an entry that names a free slot",
  put(() => ({ slot: BLOCKS })),
  ["entry-slot", "index-other-commit", "slot-orphan"],
);
finds(
  "an entry that names a slot that was never made",
  put(() => ({ slot: 12_345 })),
  ["entry-slot", "index-other-commit", "slot-orphan"],
);
finds(
  "two entries that name one slot",
  put((_, others) => ({ slot: others[0]?.slot as number })),
  ["index-other-commit", "slot-orphan", "slot-twice"],
);
finds(
  "an entry that names the slot of an earlier one",
  (directory) =>
    withIndex(directory, (index, entries) => {
      const [first, second] = entries as [(typeof entries)[0], (typeof entries)[0]];
      index.putEntry(second.objectId, second.block, { ...second.entry, slot: first.entry.slot });
    }),
  ["index-other-commit", "slot-orphan", "slot-twice"],
);
finds(
  "a used slot that no entry names",
  (directory) =>
    withIndex(directory, (index, [first]) =>
      index.removeEntry(first?.objectId as number, first?.block as number),
    ),
  ["index-other-commit", "slot-orphan"],
);
finds("a used slot whose file is gone", (directory) => fs.rmSync(slotFile(directory, 0)), ["slot-missing"]);
finds("a free slot whose file is gone", (directory) => fs.rmSync(slotFile(directory, BLOCKS)), [
  "slot-missing",
]);
finds("a slot file with two names", (directory) => fs.linkSync(slotFile(directory, 0), `${directory}-link`), [
  "slot-kind",
]);
finds(
  "a slot file that is a link",
  (directory) => {
    const file = slotFile(directory, 0);
    fs.renameSync(file, `${directory}-slot`);
    fs.symlinkSync(`${directory}-slot`, file);
  },
  ["slot-kind"],
);
finds(
  "a slot file that is a directory",
  (directory) => {
    const file = slotFile(directory, 0);
    fs.rmSync(file);
    fs.mkdirSync(file);
  },
  ["slot-kind"],
);
finds(
  "a slot file that is a FIFO, without waiting for a writer",
  (directory) => {
    const file = slotFile(directory, 0);
    fs.rmSync(file);
    execFileSync("mkfifo", [file]);
  },
  ["slot-kind"],
);
finds(
  "a slot file of more than 256 KiB",
  (directory) => fs.truncateSync(slotFile(directory, 0), SLOT_BYTES + 1),
  ["slot-kind"],
);
finds(
  "a slot file that ends too early",
  (directory) => fs.truncateSync(slotFile(directory, 0), BYTES - 1),
  [],
  ["slot-short"],
);
finds(
  "a slot file that takes more than is counted for it",
  (directory) => {
    fs.appendFileSync(slotFile(directory, 0), Buffer.alloc(50_000));
  },
  ["slot-accounting"],
);
finds(
  "files that belong to no slot",
  (directory) => {
    const slots = path.join(directory, "slots");
    for (const name of ["0/99", "0/notes", "0/01", "stray"]) fs.writeFileSync(path.join(slots, name), "");
    fs.mkdirSync(path.join(slots, "7"));
    fs.writeFileSync(path.join(slots, "7", "3"), "");
  },
  ["slot-stray"],
);
finds(
  "a flipped bit",
  (directory) => {
    const bytes = fs.readFileSync(slotFile(directory, 2));
    bytes[8999] = (bytes[8999] as number) ^ 0x80;
    fs.writeFileSync(slotFile(directory, 2), bytes);
  },
  [],
  ["checksum"],
);
finds(
  "the bytes of another tenant",
  (directory) => fs.copyFileSync(slotFile(directory, 1), slotFile(directory, 2)),
  [],
  ["checksum"],
);

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
