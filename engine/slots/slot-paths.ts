/** Where the file of a slot lies: FORMAT.md "Slot files". */
import fs from "node:fs";
import path from "node:path";
import { CacheError } from "../../index/core/errors.js";

/** Files a directory; the directory of slot n is named n div this. */
export const SLOTS_PER_DIRECTORY = 4096;

// Put together as text: path.join leaves a kilobyte of garbage, and a shrink asks five times for each slot.
export function slotDirectory(root: string, slot: number): string {
  return `${root}/${Math.floor(slot / SLOTS_PER_DIRECTORY)}`;
}

export function slotPath(root: string, slot: number): string {
  return `${slotDirectory(root, slot)}/${slot}`;
}

/** Directories are made one after another; one this far beyond the others is none of ours. */
const DIRECTORY_GAP_MAX = 16;

/**
 * One more than the highest slot number that may have a file. Reads two directories, however many slots there are.
 * Names that no slot of ours can have do not count.
 * @throws {CacheError} E_DIRECTORY where something else than a directory stands in the way.
 */
export function slotNumbersFound(root: string): number {
  let last = -1;
  for (const number of numbersIn(root)) if (number <= last + DIRECTORY_GAP_MAX) last = number;
  if (last < 0) return 0;
  const directory = path.join(root, String(last));
  if (!fs.lstatSync(directory).isDirectory()) {
    throw new CacheError("E_DIRECTORY", `Cannot use ${directory}: it is not a directory`);
  }
  const first = last * SLOTS_PER_DIRECTORY;
  const slots = numbersIn(directory).filter((slot) => slot >= first && slot < first + SLOTS_PER_DIRECTORY);
  return (slots.at(-1) ?? first - 1) + 1;
}

/** Names in a directory that are plain decimal numbers, ascending. */
function numbersIn(directory: string): number[] {
  return fs
    .readdirSync(directory)
    .filter((name) => /^(0|[1-9][0-9]{0,9})$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);
}
