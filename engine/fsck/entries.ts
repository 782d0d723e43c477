/** The entries of the index, against the slots that they name. */
import fs from "node:fs";
import type { BlockIndex } from "../../index/block-index.js";
import { errnoOf, isCacheError } from "../../index/core/errors.js";
import { NO_SLOT, SLOT_GROUPS } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import type { Checkpoint } from "../coherency/checkpoint.js";
import { presentOf } from "../checked-pages.js";
import { endOf, startOf } from "../pages.js";
import type { Checksummer } from "../slots/checksums.js";
import { slotPath } from "../slots/slot-paths.js";
import { STATE } from "../slots/slot-table.js";
import type { FindingList } from "./findings.js";

const PROGRESS_EVERY = 256;
const TWO_32 = 2 ** 32;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface EntryCheck {
  readonly index: BlockIndex;
  readonly checkpoint: Checkpoint;
  /** The last owner stopped before all entries had claimed their slots; the next one goes on with that. */
  readonly surveying: boolean;
  readonly slotsRoot: string;
  /** Given to read and check every byte. */
  readonly checksummer: Checksummer | undefined;
  readonly findings: FindingList;
  readonly onProgress: ((done: number, total: number) => void) | undefined;
}

export interface EntryCounts {
  readonly entries: number;
  /** Entries of blocks that are known to be zero and have no slot. */
  readonly zeroBlocks: number;
  /** Entries that have not claimed their slots yet, after an unclean end whose survey was cut short. */
  readonly unclaimed: number;
  readonly blocksChecked: number;
  readonly bytesChecked: number;
}

interface Block {
  readonly objectId: number;
  readonly block: number;
  readonly entry: Entry;
}

export async function checkEntries(check: EntryCheck): Promise<EntryCounts> {
  const { index, checkpoint, findings } = check;
  const named = new Uint8Array(checkpoint.slots.states.length);
  const counts = { entries: 0, zeroBlocks: 0, unclaimed: 0, blocksChecked: 0, bytesChecked: 0 };
  index.watchDamage((_, error) => findings.add("entry-corrupt", error.message));
  try {
    for (const found of index.entries()) {
      counts.entries += 1;
      if (found.entry.slot === NO_SLOT) counts.zeroBlocks += 1;
      if (counts.entries % PROGRESS_EVERY === 0) {
        check.onProgress?.(counts.entries, checkpoint.order.length);
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      const claim = checkEntry(check, found, named);
      if (claim === "none") continue;
      if (claim === "open") counts.unclaimed += 1;
      if (check.checksummer === undefined) continue;
      counts.blocksChecked += 1;
      counts.bytesChecked += found.entry.validBytes;
      checkBytes(check, check.checksummer, found);
    }
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    findings.add("entry-corrupt", error.message);
  }
  for (const [slot, state] of checkpoint.slots.states.entries()) {
    if (state === STATE.used && named[slot] === 0)
      findings.add("slot-orphan", `slot ${slot} is used and no entry names it`, slot);
  }
  return counts;
}

/** Whether the entry's slot is its own, or may still be claimed as such, so that its bytes can be checked. */
function checkEntry(
  { checkpoint, surveying, slotsRoot, findings }: EntryCheck,
  { objectId, block, entry }: Block,
  named: Uint8Array,
): "own" | "open" | "none" {
  const { slots, epoch, nextSequence } = checkpoint;
  const { slot } = entry;
  if (slot === NO_SLOT) return "none";
  const who = `the entry of block ${block} of object ${objectId}`;
  if (named[slot] === 1)
    findings.add("slot-twice", `${who} names slot ${slot}, which another entry names too`, slot);
  const isOpen = surveying && slots.states[slot] === STATE.unknown;
  const owner = (slots.ownerHigh[slot] ?? 0) * TWO_32 + (slots.ownerLow[slot] ?? 0);
  const ownedBlock = (slots.blockHigh[slot] ?? 0) * TWO_32 + (slots.blockLow[slot] ?? 0);
  const isOwn = slots.states[slot] === STATE.used && owner === objectId && ownedBlock === block;
  if (!isOwn && !isOpen) {
    findings.add("entry-slot", `${who} names slot ${slot}, which is not its own`, slot);
    return "none";
  }
  named[slot] = 1;
  if (isOpen && fs.lstatSync(slotPath(slotsRoot, slot), { throwIfNoEntry: false }) === undefined)
    findings.add("slot-missing", `slot ${slot} has no file`, slot);
  const otherSize = isOwn && slots.validBytes[slot] !== entry.validBytes;
  if (entry.epoch > epoch || entry.sequence >= nextSequence || otherSize) {
    findings.add("entry-corrupt", `${who} has a generation or size that its slot can't have`, slot);
  }
  return isOwn ? "own" : "open";
}

function checkBytes(
  { slotsRoot, findings }: EntryCheck,
  checksummer: Checksummer,
  { objectId, block, entry }: Block,
): void {
  const { slot, validBytes } = entry;
  const present = presentOf(entry);
  const bytes = Buffer.alloc(Math.min(validBytes, startOf(endOf(present))));
  let got: number;
  try {
    const fd = fs.openSync(slotPath(slotsRoot, slot), O_RDONLY | O_NOFOLLOW | O_NONBLOCK); // it may be a FIFO
    try {
      got = fs.readSync(fd, bytes, 0, bytes.length, 0);
    } finally {
      fs.closeSync(fd);
    }
  } catch (error) {
    if (errnoOf(error) !== "ENOENT")
      findings.add("slot-kind", `slot ${slot} can't be read: ${errnoOf(error)}`, slot);
    return; // a missing file was found already
  }
  if (got < bytes.length) {
    findings.add("slot-short", `slot ${slot} has ${got} bytes, its entry ${validBytes}`, slot);
    return;
  }
  const seed = checksummer.seed({ objectId, block, epoch: entry.epoch, sequence: entry.sequence });
  for (let group = 0; group < SLOT_GROUPS; group += 1) {
    const sum = checksummer.groupSum(seed, group, present, validBytes, bytes, 0);
    if (sum === entry.sums[group]) continue;
    findings.add("checksum", `slot ${slot} differs from what was stored, first in group ${group}`, slot);
    return;
  }
}
