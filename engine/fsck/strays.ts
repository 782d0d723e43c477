/** Files in the directories of slots that belong to no slot. */
import fs from "node:fs";
import path from "node:path";
import { errnoOf } from "../../index/core/errors.js";
import { nameText } from "../../index/core/names.js";
import { shownPath } from "../../index/core/own-files.js";
import { SLOTS_PER_DIRECTORY } from "../slots/slot-paths.js";
import { STATE } from "../slots/slot-table.js";
import { type Check, found } from "./ground.js";
import { removeStray } from "./mender.js";

export async function checkStrays(check: Check): Promise<void> {
  const { course, ground } = check;
  const root = ground.slotsRoot;
  course.begin("files", ground.table.numbers);
  for (const entry of await fs.promises.readdir(root, { withFileTypes: true })) {
    if (entry.name === "CACHEDIR.TAG") continue;
    const below = path.join(root, entry.name);
    if (!entry.isDirectory()) {
      stray(check, root, entry.name);
      continue;
    }
    for (const name of await namesIn(below)) {
      const file = path.join(below, name);
      if (!belongs(check, Number(entry.name), name) && isThere(file))
        stray(check, below, name, isSlotName(Number(entry.name), name) ? () => removeStray(file) : undefined);
      await course.step();
    }
  }
}

/** A slot's number in its directory: its file exists, or is about to. */
function belongs({ ground: { table } }: Check, directory: number, name: string): boolean {
  if (!isSlotName(directory, name)) return false;
  const slot = Number(name);
  return slot < table.numbers && table.stateOf(slot) !== STATE.retired;
}

/** A name that only we give: what has another may be somebody's, and is left to him. */
function isSlotName(directory: number, name: string): boolean {
  return /^(0|[1-9][0-9]*)$/.test(name) && Math.floor(Number(name) / SLOTS_PER_DIRECTORY) === directory;
}

/** The directory was read a while ago. */
function isThere(file: string): boolean {
  return fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await fs.promises.readdir(directory);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}

// oxlint-disable-next-line max-params
function stray(check: Check, directory: string, name: string, repair?: () => string | undefined): void {
  const file = shownPath(path.join(directory, nameText(name)));
  found(check, "slot-stray", `${file} belongs to no slot`, undefined, repair);
}
