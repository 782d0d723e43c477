/** The entries of the index, against the slots that they name. */
import { NO_SLOT } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import { type NamedEntry, checkedBytes } from "../slots/intact.js";
import { SCARCE_ERRNOS } from "../block-writer.js";
import { CacheError, errnoOf, isCacheError } from "../../index/core/errors.js";
import { STATE } from "../slots/slot-table.js";
import { LOOK_BYTES } from "./course.js";
import { type Check, factsOf, found } from "./ground.js";

export async function checkEntries(check: Check): Promise<void> {
  const { course, counts, deep, ground } = check;
  const { index, table, entryOf } = ground;
  course.begin("entries", index.stats().entryCount);
  // Slots that are still to be told from the index have no owner yet.
  const claimed = table.surveying ? new Uint8Array(table.numbers) : undefined;
  for (const { objectId, block } of index.entries()) {
    // The walk reads ahead: what counts is the entry that stands now.
    const entry = entryOf(objectId, block);
    if (entry === undefined) {
      await course.step();
      continue;
    }
    counts.entries += 1;
    const named = { objectId, block, entry };
    const hasSlot = checkEntry(check, named, claimed);
    if (hasSlot && deep) await checkBytes(check, named);
    else await course.step();
  }
}

/** @returns whether the entry's slot is its own, or may become so, so that its bytes can be checked. */
function checkEntry(
  check: Check,
  { objectId, block, entry }: NamedEntry,
  claimed: Uint8Array | undefined,
): boolean {
  const { counts, ground } = check;
  const { table, epoch, next } = ground;
  const { slot } = entry;
  const who = `the entry of block ${block} of object ${objectId}`;
  if (entry.epoch > epoch || entry.sequence >= next().sequence)
    found(check, "entry-corrupt", `${who} has a generation that it can't have`, slotOf(entry));
  if (slot === NO_SLOT) {
    counts.zeroBlocks += 1;
    return false;
  }
  if (table.isTenant(slot, objectId, block)) {
    if (table.validBytesOf(slot) !== entry.validBytes)
      found(check, "entry-corrupt", `${who} has a size that its slot can't have`, slot);
    return true;
  }
  const isOpen = table.surveying && slot < table.numbers && table.stateOf(slot) === STATE.unknown;
  if (!isOpen) {
    if (isNamedByTenant(check, slot))
      found(check, "slot-twice", `${who} names slot ${slot}, which another entry names too`, slot);
    else found(check, "entry-slot", `${who} names slot ${slot}, which is not its own`, slot);
    return false;
  }
  counts.unclaimed += 1;
  if (claimed !== undefined && claimed[slot] === 1)
    found(check, "slot-twice", `${who} names slot ${slot}, which another entry names too`, slot);
  if (claimed !== undefined) claimed[slot] = 1;
  if (factsOf(check, slot) === "missing") found(check, "slot-missing", `slot ${slot} has no file`, slot);
  return true;
}

function isNamedByTenant({ ground: { table, entryOf } }: Check, slot: number): boolean {
  if (slot >= table.numbers || table.stateOf(slot) !== STATE.used) return false;
  return entryOf(table.objectIdOf(slot), table.blockOf(slot))?.slot === slot;
}

/** Reads the block; a finding is one only if the entry that it is about still stands. */
async function checkBytes(check: Check, named: NamedEntry): Promise<void> {
  const { counts, course, ground } = check;
  const { slot } = named.entry;
  const facts = factsOf(check, slot);
  if (facts === "missing" || facts instanceof CacheError || !ground.files.isUsable(slot, facts)) return; // found with the slots
  const wantedBytes = checkedBytes(named.entry);
  if (facts.sizeBytes < wantedBytes) {
    found(check, "slot-short", `slot ${slot} has ${facts.sizeBytes} bytes, its entry ${wantedBytes}`, slot);
    return;
  }
  let bad: number | undefined;
  let failure: CacheError | undefined;
  try {
    bad = await ground.badGroup(named);
  } catch (error) {
    if (!isCacheError(error, "E_IO") || SCARCE_ERRNOS.has(errnoOf(error.cause) ?? "")) throw error;
    failure = error;
  }
  counts.blocksChecked += 1;
  counts.bytesChecked += wantedBytes;
  if (stands(check, named)) {
    if (failure !== undefined)
      found(check, "slot-unreadable", `slot ${slot} can't be read: ${failure.message}`, slot);
    else if (bad !== undefined)
      found(check, "checksum", `slot ${slot} differs from what was stored, first in group ${bad}`, slot);
  }
  await course.step(LOOK_BYTES, wantedBytes);
}

function stands({ ground }: Check, { objectId, block, entry }: NamedEntry): boolean {
  const now = ground.entryOf(objectId, block);
  return now?.slot === entry.slot && now.sequence === entry.sequence && now.version === entry.version;
}

function slotOf({ slot }: Entry): number | undefined {
  return slot === NO_SLOT ? undefined : slot;
}
