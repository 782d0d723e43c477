/** A cache filled with random content, and its slot files opened beside it for the raw operations. */
import { randomFillSync } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { type BlockCache, SLOT_BYTES, type Tag, openCache } from "../../engine/cache.js";
import { benchTag } from "./stores/tagcache.js";

/** 512 MiB. */
export const BLOCKS = 2048;
export const CAPACITY_BYTES = 1024 ** 3;
export const IN_FLIGHT = 8;

export interface WorkingSet {
  readonly cache: BlockCache;
  readonly directory: string;
  readonly capacityBytes: number;
  /** Descriptors of all slot files. */
  readonly slots: readonly number[];
  /** Blocks of random content, more than the processor's caches hold. */
  readonly content: readonly Buffer[];
  tag(index: number): Tag;
  close(): Promise<void>;
}

/** A fresh directory, in BENCH_DIR if that is set, that is gone when the process has ended. */
export function benchDirectory(): string {
  const directory = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-bench-"));
  process.once("exit", () => fs.rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: "ext4",
  0x58465342: "xfs",
  0x9123683e: "btrfs",
  0x01021994: "tmpfs",
};

/** The kind of file system that a benchmark's directories lie in. */
export function benchFileSystem(): string {
  const { type } = fs.statfsSync(process.env["BENCH_DIR"] ?? os.tmpdir());
  return FILE_SYSTEMS[type] ?? `file system type ${type.toString(16)}`;
}

export async function makeWorkingSet(): Promise<WorkingSet> {
  const directory = benchDirectory();
  const cache = await openCache({ directory, capacityBytes: CAPACITY_BYTES });
  const content = Array.from({ length: 64 }, () => randomFillSync(Buffer.allocUnsafeSlow(SLOT_BYTES)));
  const tags = Array.from({ length: BLOCKS }, (_, index) => benchTag(index));
  const tag = (index: number): Tag => tags[index] as Tag;
  for (let index = 0; index < BLOCKS; index += 1) {
    const bytes = content[index % content.length] as Buffer;
    bytes.writeUInt32LE(index, 0); // so that no two blocks are alike
    const put = await cache.put(tag(index), bytes);
    if (put.kind !== "stored") throw new Error(`Cannot fill the cache: ${put.reason}`);
  }
  const slots = slotFiles(path.join(directory, "slots")).map((file) => fs.openSync(file, "r+"));
  const close = async (): Promise<void> => {
    for (const fd of slots) fs.closeSync(fd);
    await cache.close();
    fs.rmSync(directory, { recursive: true });
  };
  return { cache, directory, capacityBytes: CAPACITY_BYTES, slots, content, tag, close };
}

function slotFiles(root: string): string[] {
  return fs
    .readdirSync(root, { recursive: true, encoding: "utf8" })
    .filter((name) => /^[0-9]+\/[0-9]+$/.test(name))
    .map((name) => path.join(root, name));
}
