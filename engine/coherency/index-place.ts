/** Where the index of an epoch lies, and how it is mapped. */
import fs from "node:fs";
import path from "node:path";
import type { CachePaths } from "./directory.js";

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
