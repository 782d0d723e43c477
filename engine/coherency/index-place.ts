/** The index of an epoch: where it lies, how it is mapped, made, opened and removed. */
import fs from "node:fs";
import path from "node:path";
import { BlockIndex } from "../../index/block-index.js";
import { isCacheError } from "../../index/core/errors.js";
import type { Ledger, StateMark } from "../../index/ledger.js";
import type { Numbers } from "../../index/numbers.js";
import type { LogFunction } from "../log.js";
import { type CachePaths, makeInner } from "./directory.js";

/** Address space for the index; LMDB takes memory only for what is there. */
export const INDEX_MAP_BYTES = 16 * 1024 ** 3;
const BOOT_ID_FILE = "/proc/sys/kernel/random/boot_id";

/** Each epoch has a directory of its own, so that a wipe never maps the old index. */
export function indexDirectory(paths: CachePaths, epoch: number): string {
  return path.join(paths.index, String(epoch));
}

/** Of the kernel that runs now. */
export function bootId(): string {
  return fs.readFileSync(BOOT_ID_FILE, "latin1").trim();
}

/** Whose index it is, and how its commits reach the drive. */
export interface IndexIdentity {
  readonly cacheId: Buffer;
  readonly epoch: number;
  readonly regime: StateMark["regime"];
}

/** Makes the empty index of a new epoch, in which numbers begin with these. @throws {CacheError} E_IO. */
export async function createIndex(
  paths: CachePaths,
  { cacheId, epoch, regime }: IndexIdentity,
  next: Numbers,
): Promise<BlockIndex> {
  const directory = indexDirectory(paths, epoch);
  fs.rmSync(directory, { recursive: true, force: true }); // of an owner who died making it
  makeInner(directory);
  const place = { directory, mapBytes: INDEX_MAP_BYTES };
  const index = BlockIndex.open({ ...place, cacheId, epoch, create: true, regime });
  try {
    if (regime === "recoverable") await index.speakFor(() => next);
    return index;
  } catch (error) {
    await index.close();
    throw error;
  }
}

/** Removes what older epochs left; may take a while and is awaited only at close. */
export async function removeOldIndexes(paths: CachePaths, epoch: number, log: LogFunction): Promise<void> {
  try {
    for (const name of await fs.promises.readdir(paths.index)) {
      if (!/^[0-9]+$/.test(name) || name === String(epoch)) continue;
      await fs.promises.rm(path.join(paths.index, name), { recursive: true, force: true });
    }
  } catch (error) {
    log("warn", "an old index could not be removed", { error: String(error) });
  }
}

/** Opens the index of the present epoch. @returns it, or why it cannot be used. */
export function openIndex(
  paths: CachePaths,
  ledger: Ledger,
  regime: StateMark["regime"],
): BlockIndex | string {
  const { cacheId, epoch } = ledger;
  const directory = indexDirectory(paths, epoch);
  try {
    return BlockIndex.open({ directory, mapBytes: INDEX_MAP_BYTES, cacheId, epoch, create: false, regime });
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return error.message;
    throw error;
  }
}
