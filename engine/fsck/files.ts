/** The slot files, against what the checkpoint says of each slot. */
import fs from "node:fs";
import path from "node:path";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import { SLOTS_PER_DIRECTORY, slotPath } from "../slots/slot-paths.js";
import { type SlotArrays, STATE } from "../slots/slot-table.js";
import type { FindingList } from "./findings.js";

/** A file system may add a block for its own records of a file, ext4's extent tree for example. */
const ALLOCATION_SLACK_BYTES = 2 * PAGE_BYTES;
const EXISTING = new Set<number>([STATE.used, STATE.free, STATE.quarantined]);

export function checkFiles(slotsRoot: string, slots: SlotArrays, findings: FindingList): void {
  for (const [slot, state] of slots.states.entries()) {
    if (EXISTING.has(state)) checkFile(slotsRoot, slot, (slots.pages[slot] as number) * PAGE_BYTES, findings);
  }
  for (const directory of fs.readdirSync(slotsRoot, { withFileTypes: true })) {
    if (directory.name === "CACHEDIR.TAG") continue;
    const below = path.join(slotsRoot, directory.name);
    if (!directory.isDirectory()) findings.add("slot-stray", `${below} belongs to no slot`);
    else checkNames(below, Number(directory.name), slots, findings);
  }
}

function checkFile(slotsRoot: string, slot: number, countedBytes: number, findings: FindingList): void {
  const file = slotPath(slotsRoot, slot);
  const stats = fs.lstatSync(file, { throwIfNoEntry: false });
  if (stats === undefined) findings.add("slot-missing", `slot ${slot} has no file`, slot);
  else if (!stats.isFile() || stats.nlink !== 1 || stats.size > SLOT_BYTES) {
    findings.add(
      "slot-kind",
      `slot ${slot} is no plain file with one name and at most ${SLOT_BYTES} bytes`,
      slot,
    );
  } else if (stats.size > countedBytes || stats.blocks * 512 > countedBytes + ALLOCATION_SLACK_BYTES) {
    const found = Math.max(stats.size, stats.blocks * 512);
    findings.add(
      "slot-accounting",
      `slot ${slot} occupies ${found} bytes, ${countedBytes} are counted`,
      slot,
    );
  }
}

function checkNames(directory: string, number: number, slots: SlotArrays, findings: FindingList): void {
  for (const name of fs.readdirSync(directory)) {
    const slot = Number(name);
    const belongs =
      /^(0|[1-9][0-9]*)$/.test(name) &&
      Math.floor(slot / SLOTS_PER_DIRECTORY) === number &&
      (EXISTING.has(slots.states[slot] as number) || slots.states[slot] === STATE.unknown);
    if (!belongs) findings.add("slot-stray", `${path.join(directory, name)} belongs to no slot`);
  }
}
