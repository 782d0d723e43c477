/** Where the file of a slot lies: FORMAT.md "Slot files". */
import fs from "node:fs";
import path from "node:path";
import { CacheError } from "../../index/core/errors.js";

/** Files a directory; the directory of slot n is named n div this. */
export const SLOTS_PER_DIRECTORY = 4096;

export function slotDirectory(root: string, slot: number): string {
  return path.join(root, String(Math.floor(slot / SLOTS_PER_DIRECTORY)));
}

export function slotPath(root: string, slot: number): string {
  return path.join(slotDirectory(root, slot), String(slot));
}

/**
 * One more than the highest slot number that may have a file. Reads two directories, however many slots there are.
 * @throws {CacheError} E_DIRECTORY where something else than a directory stands in the way.
 */
export function slotNumbersFound(root: string): number {
  const directories = numbersIn(root);
  const last = directories.at(-1);
  if (last === undefined) return 0;
  const directory = path.join(root, String(last));
  if (!fs.lstatSync(directory).isDirectory()) {
    throw new CacheError("E_DIRECTORY", `Cannot use ${directory}: it is not a directory`);
  }
  const slot = numbersIn(directory).at(-1);
  return slot === undefined ? last * SLOTS_PER_DIRECTORY : slot + 1;
}

/** Names in a directory that are plain decimal numbers, ascending. */
function numbersIn(directory: string): number[] {
  return fs
    .readdirSync(directory)
    .filter((name) => /^(0|[1-9][0-9]{0,9})$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}
