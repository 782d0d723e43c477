/**
 * What each slot is doing, in typed arrays indexed by slot number: 24 bytes a slot, no objects. The one owner of slot
 * states and of the byte sums that follow from them; who may change a state is written at each method.
 */
import assert from "node:assert/strict";
import { grown } from "./grown.js";
import { Unchecked } from "./unchecked.js";
import { VolumeBytes } from "./volume-bytes.js";
import { NO_SLOT, PAGE_BYTES, SLOT_BYTES, SLOT_PAGES } from "../../index/core/layout.js";

export { grown } from "./grown.js";

/**
 * - `unknown`: a file may exist under this number, nobody looked yet;
 * - `free`: exists, has no tenant;
 * - `filling`: given to a writer, not named by any entry;
 * - `used`: named by an entry;
 * - `leaving`: its entry is being removed; free once that is committed and nobody reads it;
 * - `quarantined`: set aside after trouble;
 * - `retired`: its file is gone; the number is never used again;
 * - `wiped`: a wipe took its tenant, and it is in no list of free slots yet.
 */
export const SLOT_STATES = [
  "unknown",
  "free",
  "filling",
  "used",
  "leaving",
  "quarantined",
  "retired",
  "wiped",
] as const;
export type SlotState = (typeof SLOT_STATES)[number];

export const STATE = {
  unknown: 0,
  free: 1,
  filling: 2,
  used: 3,
  leaving: 4,
  quarantined: 5,
  retired: 6,
  wiped: 7,
} as const;

const GROWTH_MIN = 1024;
const TWO_32 = 2 ** 32;

/** The arrays as they are written to the checkpoint, each of `count` elements. */
export interface SlotArrays {
  readonly validBytes: Uint32Array;
  readonly ownerLow: Uint32Array;
  readonly volumeLow: Uint32Array;
  readonly blockLow: Uint32Array;
  readonly ownerHigh: Uint16Array;
  readonly volumeHigh: Uint16Array;
  readonly blockHigh: Uint16Array;
  readonly states: Uint8Array;
  readonly pages: Uint8Array;
}

/** Whose bytes a slot holds: a block of an object of a volume. */
export interface Tenant {
  readonly volumeId: number;
  readonly objectId: number;
  readonly block: number;
}

const NOBODY: Tenant = { volumeId: 0, objectId: 0, block: 0 };

export class SlotTable {
  #capacity = 0;
  #count = 0;
  #states: Uint8Array = new Uint8Array(0);
  #pages: Uint8Array = new Uint8Array(0);
  #validBytes: Uint32Array = new Uint32Array(0);
  #ownerLow: Uint32Array = new Uint32Array(0);
  #ownerHigh: Uint16Array = new Uint16Array(0);
  #volumeLow: Uint32Array = new Uint32Array(0);
  #volumeHigh: Uint16Array = new Uint16Array(0);
  #blockLow: Uint32Array = new Uint32Array(0);
  #blockHigh: Uint16Array = new Uint16Array(0);
  readonly #counts = new Float64Array(SLOT_STATES.length);
  #pagesTotal = 0;
  #validTotal = 0;
  /** Valid bytes by volume. */
  readonly volumes: VolumeBytes;
  /** Slots that are unknown are being told from the index, and those that are used may not be what their entries say. */
  surveying = false;
  /** What nobody has checked since an unclean end. */
  readonly unchecked = new Unchecked();

  /** @param counted see VolumeBytes. */
  constructor(counted = Number.POSITIVE_INFINITY) {
    this.volumes = new VolumeBytes(counted);
  }

  /** Slot numbers in use are 0 to numbers - 1. */
  get numbers(): number {
    return this.#count;
  }

  /** Slots whose file exists: all but the retired and the unknown. */
  get existing(): number {
    return this.#count - this.countOf(STATE.retired) - this.countOf(STATE.unknown);
  }

  /** The sum of all high-water marks: what the known slot files occupy at most. */
  get usedBytes(): number {
    return this.#pagesTotal * PAGE_BYTES;
  }

  get validBytes(): number {
    return this.#validTotal;
  }

  countOf(state: number): number {
    return this.#counts[state] as number;
  }

  stateOf(slot: number): number {
    return this.#states[slot] as number;
  }

  /** High-water mark of the slot's file, in pages. */
  pagesOf(slot: number): number {
    return this.#pages[slot] as number;
  }

  validBytesOf(slot: number): number {
    return this.#validBytes[slot] as number;
  }

  objectIdOf(slot: number): number {
    return (this.#ownerHigh[slot] as number) * TWO_32 + (this.#ownerLow[slot] as number);
  }

  volumeIdOf(slot: number): number {
    return (this.#volumeHigh[slot] as number) * TWO_32 + (this.#volumeLow[slot] as number);
  }

  blockOf(slot: number): number {
    return (this.#blockHigh[slot] as number) * TWO_32 + (this.#blockLow[slot] as number);
  }

  /** Whether the slot is used by this very block. */
  isTenant(slot: number, objectId: number, block: number): boolean {
    if (slot >= this.#count || this.#states[slot] !== STATE.used) return false;
    return this.objectIdOf(slot) === objectId && this.blockOf(slot) === block;
  }

  /** Adds a number after the last one, in the given state with no pages. */
  append(state: number): number {
    const slot = this.#count;
    assert.ok(slot < NO_SLOT);
    if (slot === this.#capacity) this.#grow(slot + 1);
    this.#count += 1;
    this.#states[slot] = state;
    this.#counts[state] = this.countOf(state) + 1;
    return slot;
  }

  /** Adds numbers whose files nobody has looked at yet. */
  appendUnknown(numbers: number): void {
    if (this.#count + numbers > this.#capacity) this.#grow(this.#count + numbers);
    this.#states.fill(STATE.unknown, this.#count, this.#count + numbers);
    this.#counts[STATE.unknown] = this.countOf(STATE.unknown) + numbers;
    this.#count += numbers;
  }

  /** Moves a slot on, from the state it must be in. */
  move(slot: number, from: number, to: number): void {
    if (this.#states[slot] !== from) assert.fail(`slot ${slot} is not ${SLOT_STATES[from]}`);
    this.#counts[from] = this.countOf(from) - 1;
    this.#counts[to] = this.countOf(to) + 1;
    this.#states[slot] = to;
  }

  /**
   * Takes every tenant away, as a wipe does: slots that are used, free or leaving are `wiped`. One pass over a byte a slot;
   * what names tenants is made anew, which costs nothing before it is written.
   */
  wipe(): void {
    this.surveying = false;
    this.unchecked.clear();
    const states = this.#states;
    let wiped = 0;
    for (let slot = 0; slot < this.#count; slot += 1) {
      const state = states[slot];
      if (state !== STATE.used && state !== STATE.free && state !== STATE.leaving) continue;
      states[slot] = STATE.wiped;
      wiped += 1;
    }
    for (const state of [STATE.used, STATE.free, STATE.leaving]) this.#counts[state] = 0;
    this.#counts[STATE.wiped] = this.countOf(STATE.wiped) + wiped;
    this.#validBytes = new Uint32Array(this.#capacity);
    this.#ownerLow = new Uint32Array(this.#capacity);
    this.#ownerHigh = new Uint16Array(this.#capacity);
    this.#volumeLow = new Uint32Array(this.#capacity);
    this.#volumeHigh = new Uint16Array(this.#capacity);
    this.#blockLow = new Uint32Array(this.#capacity);
    this.#blockHigh = new Uint16Array(this.#capacity);
    this.#validTotal = 0;
    this.volumes.clear();
  }

  /** Slots that are `wiped` are free: nobody will give them out any more, the cache is at its end. */
  endWipe(): void {
    const states = this.#states;
    for (let slot = 0; slot < this.#count && this.countOf(STATE.wiped) > 0; slot += 1) {
      if (states[slot] === STATE.wiped) this.move(slot, STATE.wiped, STATE.free);
    }
  }

  /** Whether all that exists is known, and what is free is in a list. */
  get isSettled(): boolean {
    return this.countOf(STATE.unknown) === 0 && this.countOf(STATE.wiped) === 0;
  }

  setPages(slot: number, pages: number): void {
    assert.ok(pages >= 0 && pages <= SLOT_PAGES);
    this.#pagesTotal += pages - this.pagesOf(slot);
    this.#pages[slot] = pages;
  }

  /** Names the tenant of a slot and how many of its bytes are valid. */
  setTenant(slot: number, { volumeId, objectId, block }: Tenant, validBytes: number): void {
    assert.ok(validBytes >= 0 && validBytes <= SLOT_BYTES);
    const bytesBefore = this.validBytesOf(slot);
    this.#validTotal += validBytes - bytesBefore;
    if (bytesBefore !== 0) this.volumes.change(slot, this.volumeIdOf(slot), -bytesBefore);
    this.volumes.change(slot, volumeId, validBytes);
    this.#validBytes[slot] = validBytes;
    this.#ownerLow[slot] = objectId % TWO_32;
    this.#ownerHigh[slot] = Math.floor(objectId / TWO_32);
    this.#volumeLow[slot] = volumeId % TWO_32;
    this.#volumeHigh[slot] = Math.floor(volumeId / TWO_32);
    this.#blockLow[slot] = block % TWO_32;
    this.#blockHigh[slot] = Math.floor(block / TWO_32);
  }

  /** The tenant's bytes no longer count; the slot keeps its file. */
  clearTenant(slot: number): void {
    this.unchecked.forget(slot);
    this.setTenant(slot, NOBODY, 0);
  }

  /** Adds slots to the sums by volume after a start. @returns whether all are in them. */
  countVolumes(slotsMax: number): boolean {
    if (this.volumes.complete) return true;
    return this.volumes.countSome(
      this.#count,
      slotsMax,
      (slot) => this.volumeIdOf(slot),
      (slot) => this.validBytesOf(slot),
    );
  }

  /** Everything, for the checkpoint: the arrays that are in use, which change with the table. */
  arrays(): SlotArrays {
    const count = this.#count;
    return {
      validBytes: this.#validBytes.subarray(0, count),
      ownerLow: this.#ownerLow.subarray(0, count),
      volumeLow: this.#volumeLow.subarray(0, count),
      volumeHigh: this.#volumeHigh.subarray(0, count),
      blockLow: this.#blockLow.subarray(0, count),
      ownerHigh: this.#ownerHigh.subarray(0, count),
      blockHigh: this.#blockHigh.subarray(0, count),
      states: this.#states.subarray(0, count),
      pages: this.#pages.subarray(0, count),
    };
  }

  /** Takes over what a checkpoint holds, the arrays themselves; the values were checked by its reader. */
  static from(arrays: SlotArrays): SlotTable {
    const table = new SlotTable(0);
    const count = arrays.states.length;
    table.#count = count;
    table.#capacity = count;
    table.#validBytes = arrays.validBytes;
    table.#ownerLow = arrays.ownerLow;
    table.#ownerHigh = arrays.ownerHigh;
    table.#volumeLow = arrays.volumeLow;
    table.#volumeHigh = arrays.volumeHigh;
    table.#blockLow = arrays.blockLow;
    table.#blockHigh = arrays.blockHigh;
    table.#states = arrays.states;
    table.#pages = arrays.pages;
    for (let slot = 0; slot < count; slot += 1) {
      const state = arrays.states[slot] as number;
      table.#counts[state] = table.countOf(state) + 1;
      table.#pagesTotal += arrays.pages[slot] as number;
      table.#validTotal += arrays.validBytes[slot] as number;
    }
    return table;
  }

  #grow(slotsMin: number): void {
    const capacity = Math.max(slotsMin, GROWTH_MIN, Math.floor(this.#capacity * 1.5));
    this.#states = grown(this.#states, new Uint8Array(capacity));
    this.#pages = grown(this.#pages, new Uint8Array(capacity));
    this.#validBytes = grown(this.#validBytes, new Uint32Array(capacity));
    this.#ownerLow = grown(this.#ownerLow, new Uint32Array(capacity));
    this.#ownerHigh = grown(this.#ownerHigh, new Uint16Array(capacity));
    this.#volumeLow = grown(this.#volumeLow, new Uint32Array(capacity));
    this.#volumeHigh = grown(this.#volumeHigh, new Uint16Array(capacity));
    this.#blockLow = grown(this.#blockLow, new Uint32Array(capacity));
    this.#blockHigh = grown(this.#blockHigh, new Uint16Array(capacity));
    this.#capacity = capacity;
  }
}
