/**
 * How large the index grows and what its calls cost: `node dist/test/bench/index-bytes.js [blocks] [blocks a file] [handle]`.
 * Everything is counted: volumes, objects with 40-byte names and 40 bytes of coherency data (`handle`: named by file
 * handles of 64 random bytes, as NFS has them, with 16 bytes), block records, free pages, lock file.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { BlockIndex } from "../../index/block-index.js";
import type { Entry } from "../../index/entry.js";

export type InodeNames = "path" | "handle";
export type FillOrder = "file by file" | "interleaved" | "shuffled";

export interface IndexMeasurement {
  order: FillOrder;
  blockCount: number;
  fileBytesPerBlock: number;
  usedBytesPerBlock: number;
  /** A put and its share of the commit, wall time. */
  putMicroseconds: number;
  /** The first get of an event turn, and a later one, of random blocks. */
  getFirstMicroseconds: number;
  getLaterMicroseconds: number;
}

const QUEUE_MAX = 2048;

/** Fills a fresh index with `blockCount` blocks of `fileCount` files and measures it; the directory is removed. */
export async function measureIndex(options: {
  order: FillOrder;
  blockCount: number;
  fileCount: number;
  names?: InodeNames;
  seed?: number;
}): Promise<IndexMeasurement> {
  const { order, blockCount, fileCount } = options;
  const random = randomFrom(options.seed ?? 1);
  const directory = mkdtempSync(join(tmpdir(), "tagcache-index-"));
  const cacheId = Buffer.alloc(16, 7);
  const index = BlockIndex.open({ directory, mapBytes: 2 ** 31, cacheId, epoch: 1, create: true });
  try {
    const blocksPerFile = Math.ceil(blockCount / fileCount);
    fillNames(index, { fileCount, blocksPerFile, names: options.names ?? "path" });
    await index.committed();
    const entry = fullEntry();
    const start = performance.now();
    for (const { objectId, block } of tags({ order, blockCount, fileCount, random })) {
      index.putEntry(objectId, block, { ...entry, slot: objectId, sequence: block });
      while (index.queuedChanges >= QUEUE_MAX) await index.committed();
    }
    await index.committed();
    const putMicroseconds = ((performance.now() - start) * 1000) / blockCount;
    const { fileBytes, usedBytes, entryCount } = index.stats();
    return {
      order,
      blockCount: entryCount,
      fileBytesPerBlock: fileBytes / entryCount,
      usedBytesPerBlock: usedBytes / entryCount,
      putMicroseconds,
      ...(await measureGets(index, { fileCount, blocksPerFile, random })),
    };
  } finally {
    await index.close();
    rmSync(directory, { recursive: true });
  }
}

async function measureGets(
  index: BlockIndex,
  { fileCount, blocksPerFile, random }: { fileCount: number; blocksPerFile: number; random: () => number },
): Promise<{ getFirstMicroseconds: number; getLaterMicroseconds: number }> {
  const rounds = 2000;
  const inRound = 20;
  let firstMs = 0;
  let laterMs = 0;
  const getOne = (): void => {
    index.getEntry(1 + Math.floor(random() * fileCount), Math.floor(random() * blocksPerFile));
  };
  for (let round = 0; round < rounds; round++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    const start = performance.now();
    getOne();
    const middle = performance.now();
    for (let count = 0; count < inRound; count++) getOne();
    firstMs += middle - start;
    laterMs += performance.now() - middle;
  }
  return {
    getFirstMicroseconds: (firstMs * 1000) / rounds,
    getLaterMicroseconds: (laterMs * 1000) / rounds / inRound,
  };
}

function fillNames(
  index: BlockIndex,
  { fileCount, blocksPerFile, names }: { fileCount: number; blocksPerFile: number; names: InodeNames },
): void {
  const coherency = Buffer.alloc(0);
  index.names.putVolume({
    id: 1,
    fs: Buffer.from("dir"),
    volume: Buffer.from("/srv/data"),
    coherency,
    stamp: 0,
  });
  for (let id = 1; id <= fileCount; id++) {
    const pathName = Buffer.from(
      `usr/share/dir-${id % 100}/file-`.padEnd(32, "x") + String(id).padStart(8, "0"),
    );
    const sizeBytes = BigInt(blocksPerFile) * 262_144n;
    const isHandle = names === "handle";
    const inode = isHandle ? createHash("sha512").update(pathName).digest() : pathName;
    const version = Buffer.alloc(isHandle ? 16 : 40, id);
    index.names.putObject({ id, volumeId: 1, inode, coherency: version, sizeBytes, stamp: 0 });
  }
}

function* tags(options: {
  order: FillOrder;
  blockCount: number;
  fileCount: number;
  random: () => number;
}): Generator<{ objectId: number; block: number }> {
  const { order, blockCount, fileCount, random } = options;
  const blocksPerFile = Math.ceil(blockCount / fileCount);
  if (order === "interleaved") {
    // Every file grows from its start, and the next block is any file's.
    const next = new Uint32Array(fileCount);
    for (let count = 0; count < blockCount; count++) {
      const file = Math.floor(random() * fileCount);
      yield { objectId: file + 1, block: next[file]!++ };
    }
    return;
  }
  const numbers = Uint32Array.from({ length: blockCount }, (_, number) => number);
  if (order === "shuffled") shuffle(numbers, random);
  for (const number of numbers) {
    yield { objectId: Math.floor(number / blocksPerFile) + 1, block: number % blocksPerFile };
  }
}

function shuffle(numbers: Uint32Array, random: () => number): void {
  for (let at = numbers.length - 1; at > 0; at--) {
    const other = Math.floor(random() * (at + 1));
    const kept = numbers[at] ?? 0;
    numbers[at] = numbers[other] ?? 0;
    numbers[other] = kept;
  }
}

function fullEntry(): Entry {
  const sums = Uint32Array.from({ length: 8 }, (_, group) => group * 0x1234_5678);
  const maps = { presentLow: 0xffff_ffff, presentHigh: 0xffff_ffff, zeroLow: 0, zeroHigh: 0 };
  return { version: 1, slot: 0, epoch: 1, sequence: 0, validBytes: 262_144, checksumKind: 1, sums, ...maps };
}

function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 0x1_0000_0000;
  };
}

async function main(): Promise<void> {
  const blockCount = Number(process.argv[2] ?? 1_000_000);
  const fileCount = Math.max(1, Math.round(blockCount / Number(process.argv[3] ?? 100)));
  const names: InodeNames = process.argv[4] === "handle" ? "handle" : "path";
  for (const order of ["file by file", "interleaved", "shuffled"] as const) {
    const found = await measureIndex({ order, blockCount, fileCount, names });
    const columns = [
      `${found.fileBytesPerBlock.toFixed(1)} B/block on disk`,
      `${found.usedBytesPerBlock.toFixed(1)} B/block used`,
      `put ${found.putMicroseconds.toFixed(2)} µs`,
      `get ${found.getFirstMicroseconds.toFixed(2)} µs first, ${found.getLaterMicroseconds.toFixed(2)} µs later`,
    ];
    console.log(`${blockCount} blocks of ${fileCount} files, ${order}: ${columns.join("; ")}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
