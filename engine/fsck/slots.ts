/** Every slot: in exactly one state, with the file and the place that go with it. All of one slot is looked at in one moment. */
import { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES, SLOT_BYTES, pagesOf } from "../../index/core/layout.js";
import { SLOT_STATES, STATE } from "../slots/slot-table.js";
import { LOOK_BYTES } from "./course.js";
import { type Check, factsOf, found } from "./ground.js";
import type { AsideState, Mender } from "./mender.js";

/**
 * What a file system may allocate beyond the counted pages, of one slot, before that is a finding. Too little is none at
 * all: allocation may be put off until write-back, bytes may be compressed, zeros may be holes. Too much is what file systems
 * do for a while, or for records of their own: xfs reserves up to twice the last extent past the end of a growing file, others
 * round up to clusters or huge pages or keep two copies. More than the file can have pages three times over is none of that.
 */
export const ALLOCATION_SLACK_BYTES = 3 * SLOT_BYTES;

/** Slots that are looked at once more; more of them wait for the next check. */
const MOVING_MAX = 10_000;

export async function checkSlots(check: Check): Promise<void> {
  const { course, counts, ground } = check;
  const { table, orders } = ground;
  course.begin("slots", table.numbers);
  checkSums(check);
  for (const { slot, what } of orders?.unranked() ?? [])
    found(check, "recency", `slot ${slot} ${what}: the order of use`, slot);
  for (const { slot, what } of orders?.unlisted() ?? [])
    found(check, "free-list", `slot ${slot} ${what}: the lists of free slots`, slot);
  const moving: number[] = [];
  for (let slot = 0; slot < table.numbers; slot += 1) {
    if (!isMoving(check, slot)) checkSlot(check, slot);
    else if (moving.length < MOVING_MAX) moving.push(slot);
    await course.step(LOOK_BYTES);
  }
  if (moving.length > 0) {
    // What left, for a repair perhaps, has arrived when its commit is done.
    await ground.index.committed();
    await course.rest();
  }
  for (const slot of moving) {
    checkSlot(check, slot);
    await course.step();
  }
  counts.used = table.countOf(STATE.used);
  // As in the status: on its way to or from a tenant, or out of a wipe, it counts as free.
  counts.free = [STATE.free, STATE.filling, STATE.leaving, STATE.wiped].reduce(
    (slots, state) => slots + table.countOf(state),
    0,
  );
  counts.quarantined = table.countOf(STATE.quarantined);
  counts.slots = counts.used + counts.free + counts.quarantined;
  counts.countedBytes = table.usedBytes;
}

/** On its way from or to a tenant: nothing can be said of it now. */
function isMoving({ ground: { table } }: Check, slot: number): boolean {
  const state = table.stateOf(slot);
  return state === STATE.leaving || state === STATE.filling;
}

function checkSlot(check: Check, slot: number): void {
  const { table, orders, entryOf } = check.ground;
  const state = table.stateOf(slot);
  if (state !== STATE.used && state !== STATE.free && state !== STATE.quarantined) return;
  const misplaced = state === STATE.quarantined ? undefined : orders?.misplaced(slot);
  if (misplaced !== undefined) {
    // Only a start makes these orders anew; a slot out of order can't be moved either.
    found(check, state === STATE.used ? "recency" : "free-list", `slot ${slot}: ${misplaced}`, slot);
    return;
  }
  checkFile(check, slot);
  if (table.stateOf(slot) !== STATE.used) return;
  const entry = entryOf(table.objectIdOf(slot), table.blockOf(slot));
  if (entry?.slot !== slot)
    found(check, "slot-orphan", `slot ${slot} is used and no entry names it`, slot, (mender) =>
      mender.freeSlot(slot),
    );
}

function checkFile(check: Check, slot: number): void {
  const { table, files } = check.ground;
  const aside = (state: AsideState) => (mender: Mender) => mender.setAside(slot, state);
  const facts = factsOf(check, slot);
  const isAside = table.stateOf(slot) === STATE.quarantined; // for what it is, or because nothing could be learnt of it
  if (facts === "missing") {
    if (isAside) return;
    found(check, "slot-missing", `slot ${slot} has no file`, slot, aside(STATE.retired));
    return;
  }
  const isKnown = !(facts instanceof CacheError);
  if (isKnown) check.counts.allocatedBytes += facts.allocatedBytes;
  if (isAside) return;
  if (!isKnown || !files.isUsable(slot, facts)) {
    const what = `slot ${slot} is no plain file of ours with one name and at most ${SLOT_BYTES} bytes`;
    const message = isKnown ? what : `${what}: ${facts.message}`;
    found(check, "slot-kind", message, slot, aside(STATE.quarantined));
    return;
  }
  const countedBytes = table.pagesOf(slot) * PAGE_BYTES;
  const { sizeBytes, allocatedBytes } = facts;
  if (sizeBytes > countedBytes) {
    const message = `slot ${slot} is ${sizeBytes} bytes long, ${countedBytes} are counted`;
    found(check, "slot-accounting", message, slot, (mender) => mender.recount(slot, pagesOf(sizeBytes)));
  } else if (allocatedBytes > countedBytes + ALLOCATION_SLACK_BYTES) {
    const message = `slot ${slot} occupies ${allocatedBytes} bytes, ${countedBytes} are counted`;
    found(check, "slot-accounting", message, slot, aside(STATE.quarantined));
  }
}

/** States, pages and valid bytes of all slots, added up anew in one turn: some nanoseconds a slot. */
function checkSums(check: Check): void {
  const { table } = check.ground;
  const { states, pages, validBytes } = table.arrays();
  const counts = new Float64Array(SLOT_STATES.length);
  let [pagesTotal, validTotal] = [0, 0];
  for (let slot = 0; slot < states.length; slot += 1) {
    const state = states[slot] as number;
    counts[state] = (counts[state] as number) + 1;
    pagesTotal += pages[slot] as number;
    validTotal += validBytes[slot] as number;
  }
  for (const [state, name] of SLOT_STATES.entries()) {
    if (counts[state] !== table.countOf(state))
      found(check, "slot-count", `${counts[state]} slots are ${name}, ${table.countOf(state)} are counted`);
  }
  const usedBytes = pagesTotal * PAGE_BYTES;
  if (usedBytes !== table.usedBytes)
    found(check, "slot-count", `the slots occupy ${usedBytes} bytes, ${table.usedBytes} are counted`);
  if (validTotal !== table.validBytes)
    found(check, "slot-count", `${validTotal} bytes are valid, ${table.validBytes} are counted`);
}
