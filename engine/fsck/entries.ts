/** The entries of the index, against the slots that they name. */
import { NO_SLOT } from "../../index/core/layout.js";

import { type NamedEntry, checkedBytes } from "../slots/intact.js";
import { SCARCE_ERRNOS } from "../block-writer.js";
import { CacheError, errnoOf, isCacheError } from "../../index/core/errors.js";
import { STATE } from "../slots/slot-table.js";
import type { FindingCode } from "../fsck-api.js";
import { LOOK_BYTES } from "./course.js";
import { type Check, factsOf, found } from "./ground.js";
import type { Names } from "./names.js";

export async function checkEntries(check: Check, { objects, nextObjectId }: Names): Promise<void> {
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
    if (objectId < nextObjectId && !objects.has(objectId)) counts.unnamed += 1;
    const named = { objectId, block, entry };
    const hasSlot = checkEntry(check, named, claimed);
    if (hasSlot && deep) await checkBytes(check, named);
    else await course.step();
  }
}

/** @returns whether the entry stays, and its slot is its own or may become so, so that its bytes can be checked. */
function checkEntry(check: Check, named: NamedEntry, claimed: Uint8Array | undefined): boolean {
  const { counts, ground } = check;
  const { table, epoch, next } = ground;
  const { objectId, block, entry } = named;
  const { slot } = entry;
  const who = `the entry of block ${block} of object ${objectId}`;
  const bad = (code: FindingCode, what: string): false => {
    const about = slot === NO_SLOT ? undefined : slot;
    found(check, code, `${who} ${what}`, about, (mender) => mender.dropEntry(named));
    return false;
  };
  if (slot === NO_SLOT) counts.zeroBlocks += 1;
  if (entry.epoch > epoch || entry.sequence >= next().sequence)
    return bad("entry-corrupt", "has a generation that it can't have");
  if (slot === NO_SLOT) return false;
  const twice = `names slot ${slot}, which another entry names too`;
  if (table.isTenant(slot, objectId, block)) {
    const fits = table.validBytesOf(slot) === entry.validBytes;
    return fits || bad("entry-corrupt", `has a size that slot ${slot} can't have`);
  }
  const isOpen = table.surveying && slot < table.numbers && table.stateOf(slot) === STATE.unknown;
  if (!isOpen) {
    if (isNamedByTenant(check, slot)) return bad("slot-twice", twice);
    return bad("entry-slot", `names slot ${slot}, which is not its own`);
  }
  if (claimed?.[slot] === 1) return bad("slot-twice", twice);
  if (factsOf(check, slot) === "missing") return bad("slot-missing", `names slot ${slot}, which has no file`);
  counts.unclaimed += 1;
  if (claimed !== undefined) claimed[slot] = 1;
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
    const message = `slot ${slot} has ${facts.sizeBytes} bytes, its entry ${wantedBytes}`;
    found(check, "slot-short", message, slot, (mender) => mender.dropEntry(named));
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
      found(check, "slot-unreadable", `slot ${slot} can't be read: ${failure.message}`, slot, (mender) =>
        // One that is still to be claimed has no owner yet: only the entry is known to be bad.
        ground.table.stateOf(slot) === STATE.used
          ? mender.setAside(slot, STATE.quarantined)
          : mender.dropEntry(named),
      );
    else if (bad !== undefined)
      found(
        check,
        "checksum",
        `slot ${slot} differs from what was stored, first in group ${bad}`,
        slot,
        (mender) => mender.dropEntry(named),
      );
  }
  await course.step(LOOK_BYTES, wantedBytes);
}

function stands({ ground }: Check, { objectId, block, entry }: NamedEntry): boolean {
  const now = ground.entryOf(objectId, block);
  return now?.slot === entry.slot && now.sequence === entry.sequence && now.version === entry.version;
}
