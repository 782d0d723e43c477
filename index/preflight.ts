/**
 * Looks at the files of an LMDB environment before lmdb-js does: when it cannot open one (wrong magic, a directory in
 * place of lock.mdb, no room for the first pages) it ends the process with SIGSEGV instead of throwing.
 */
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
} from "node:fs";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Stats } from "node:fs";
import { CacheError, errnoOf, messageOf } from "./core/errors.js";
import { isOwnFile, makeOwnFile, shownPath } from "./core/own-files.js";
import {
  HEAD_BYTES,
  META_BYTES,
  type Meta,
  NO_PAGE,
  PAGES_MAX,
  hasOurFlags,
  isMetaPage,
  metaAt,
} from "./page-meta.js";

const META_PAGES = 2;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const PAGE_BYTES_MIN = 4096;
const PAGE_BYTES_MAX = 65_536;
/** More than a new environment and a new lock file take together. */
const ROOM_BYTES = 64 * 1024;

/**
 * Makes the directory (0700) if it is missing and checks that lmdb-js can open what is in it.
 * @returns whether an environment is there already.
 * @throws {CacheError} E_IO when the directory or a file in it cannot be read or written, or no room is left;
 * E_INDEX_CORRUPT when data.mdb or lock.mdb is not what LMDB writes.
 */
export function prepareEnvironment(directory: string): boolean {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    accessSync(directory, constants.R_OK | constants.W_OK | constants.X_OK);
    checkRoom(join(directory, ".room"));
    const lock = regularFile(join(directory, "lock.mdb"));
    if (lock !== undefined) accessSync(join(directory, "lock.mdb"), constants.R_OK | constants.W_OK);
    const data = regularFile(join(directory, "data.mdb"));
    if (data === undefined || data.size === 0) return false;
    checkMetaPages(join(directory, "data.mdb"));
    return true;
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw new CacheError("E_IO", `Cannot open the index in ${shownPath(directory)}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/**
 * Size of data.mdb; 0 where there is none.
 * @throws {CacheError} E_INDEX_CORRUPT if something else has the name; E_IO when that can't be seen.
 */
export function environmentBytes(directory: string): number {
  try {
    return regularFile(join(directory, "data.mdb"))?.size ?? 0;
  } catch (cause) {
    if (cause instanceof CacheError) throw cause;
    throw new CacheError("E_IO", `Cannot look at the index in ${shownPath(directory)}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function checkRoom(probe: string): void {
  const descriptor = makeOwnFile(probe, 0o600);
  try {
    writeFileSync(descriptor, Buffer.alloc(ROOM_BYTES));
  } finally {
    closeSync(descriptor);
    rmSync(probe, { force: true });
  }
}

function regularFile(path: string): Stats | undefined {
  try {
    const stats = lstatSync(path);
    // LMDB writes to it: a second name may be that of somebody's file.
    if (!isOwnFile(stats)) throw corrupt(path, "it is not a regular file of ours");
    return stats;
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}

/** @throws {CacheError} E_INDEX_CORRUPT unless the file begins as one that LMDB wrote. */
export function checkMetaPages(path: string): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const fileBytes = fstatSync(descriptor).size;
    const first = readMeta(descriptor, path, 0);
    const { pageBytes } = first;
    const usual =
      (pageBytes & (pageBytes - 1)) === 0 && pageBytes >= PAGE_BYTES_MIN && pageBytes <= PAGE_BYTES_MAX;
    if (!usual) throw corrupt(path, `its page size is ${pageBytes}`);
    if (fileBytes < META_PAGES * pageBytes) throw corrupt(path, `it has ${fileBytes} bytes`);
    const second = readMeta(descriptor, path, pageBytes);
    if (second.pageBytes !== pageBytes) {
      throw corrupt(path, `its page sizes are ${pageBytes} and ${second.pageBytes}`);
    }
    for (const { free, main, lastPage } of [first, second]) {
      // All of it is mapped. The file may end before it: what lies there is free.
      if (lastPage >= PAGES_MAX) throw corrupt(path, `it has page ${lastPage} as its last one`);
      for (const tree of [free, main]) {
        if (!hasOurFlags(tree, tree === free)) throw corrupt(path, `it has a tree with flags ${tree.flags}`);
        // A page past the end of the file would be SIGBUS, not an error.
        if (tree.root === NO_PAGE || tree.root === 0) continue;
        if ((tree.root + 1) * pageBytes > fileBytes) {
          throw corrupt(path, `it has ${fileBytes} bytes, want page ${tree.root} in it`);
        }
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

function readMeta(descriptor: number, path: string, offset: number): Meta {
  const bytes = Buffer.alloc(META_BYTES);
  const count = readSync(descriptor, bytes, 0, bytes.length, offset);
  const magic = bytes.readUInt32LE(HEAD_BYTES);
  const version = bytes.readUInt16LE(HEAD_BYTES + 4);
  if (count < bytes.length || !isMetaPage(bytes) || magic !== MAGIC || version !== DATA_VERSION) {
    throw corrupt(path, "it does not begin as an LMDB file does");
  }
  return metaAt(bytes, 0);
}

function corrupt(path: string, found: string): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot open ${shownPath(path)}: ${found}`);
}
