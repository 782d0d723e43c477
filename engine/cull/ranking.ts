/**
 * All blocks by their worth: a policy of its own for each share of the capacity, and one answer to who goes next. Without
 * shares there is one policy and nothing between it and its callers. Blocks that pins keep from culling are in none of
 * them, but still count in their share.
 */
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { SlotTable } from "../slots/slot-table.js";
import { grown } from "../slots/slot-table.js";
import type { CullPolicy } from "./policy.js";
import { NO_SHARE, Shares } from "./shares.js";

type MayLeave = (slot: number) => boolean;

/** What pins may keep from culling. */
export interface PinBudget {
  readonly pinBytesMax: number;
  readonly pinSlotsMax: number;
}

const NO_PINS: PinBudget = { pinBytesMax: 0, pinSlotsMax: 0 };

export class Ranking {
  readonly #table: SlotTable;
  readonly #newPolicy: () => CullPolicy;
  #shares: Shares;
  #policies: readonly CullPolicy[];
  /** The only policy while there are no shares. */
  #only: CullPolicy | undefined;
  /** By slot, and empty while there are no shares: its share, and when it was last used, to compare shares by. */
  #shareOf = new Uint8Array(0);
  #usedAt = new Float64Array(0);
  #uses = 0;
  /** Pinned blocks in the order of their use. By slot, and empty while there are none: one more than its pages, else 0. */
  readonly #pinned: CullPolicy;
  readonly #budget: () => PinBudget;
  #pagesPinned = new Uint8Array(0);
  #pinnedPages = 0;
  #pinnedSlots = 0;
  #pinRefused = false;

  /** @param newPolicy makes an empty policy; a slot is in one of them at a time. */
  constructor(table: SlotTable, newPolicy: () => CullPolicy, budget: () => PinBudget = () => NO_PINS) {
    this.#table = table;
    this.#newPolicy = newPolicy;
    this.#budget = budget;
    this.#pinned = newPolicy();
    this.#shares = new Shares([], () => 0);
    this.#only = newPolicy();
    this.#policies = [this.#only];
  }

  get name(): string {
    return (this.#policies[0] as CullPolicy).name;
  }

  get shares(): Shares {
    return this.#shares;
  }

  /** Sorts all blocks into other shares, in the order they have. */
  regroup(shares: Shares, shareOf: (slot: number) => number): void {
    // Typed arrays: an object for each of a million slots would be 80 MB.
    const order = new Uint32Array(this.#table.numbers);
    const pinned = new Uint8Array(this.#table.numbers);
    let count = 0;
    for (const slot of this.order()) {
      order[count] = slot;
      pinned[count] = this.isPinned(slot) ? 1 : 0;
      count += 1;
    }
    this.#clearPinned();
    this.#shares = shares;
    this.#policies = Array.from({ length: shares.count }, this.#newPolicy);
    this.#only = shares.count === 1 ? this.#policies[0] : undefined;
    const slots = shares.count === 1 ? 0 : this.#table.numbers;
    this.#shareOf = new Uint8Array(slots);
    this.#usedAt = new Float64Array(slots);
    for (let place = 0; place < count; place += 1) {
      const slot = order[place] as number;
      this.insert(slot, shareOf(slot), pinned[place] === 1);
    }
  }

  /** A block was stored in this slot. @param pinned it is to be kept from culling, if the budget of pins allows. */
  insert(slot: number, share: number = NO_SHARE, pinned = false): void {
    if (this.#only === undefined) {
      this.#reserve(slot);
      this.#shareOf[slot] = share;
      this.#use(slot);
      this.#shares.charge(share, this.#table.pagesOf(slot));
    }
    this.#policies[share]?.insert(slot);
    if (pinned) this.pin(slot);
  }

  /** Keeps the block in this slot from culling. @returns false if the budget of pins does not allow it. */
  pin(slot: number): boolean {
    if (this.isPinned(slot)) return true;
    const pages = this.#table.pagesOf(slot);
    if (!this.mayPin(1, pages)) {
      this.notePinRefused();
      return false;
    }
    if (slot >= this.#pagesPinned.length) {
      const slots = Math.max(slot + 1, this.#table.numbers, Math.floor(this.#pagesPinned.length * 1.5));
      this.#pagesPinned = grown(this.#pagesPinned, new Uint8Array(slots));
    }
    this.#policyOf(slot).remove(slot);
    this.#pagesPinned[slot] = pages + 1;
    this.#pinnedPages += pages;
    this.#pinnedSlots += 1;
    this.#pinned.insert(slot);
    return true;
  }

  /** Lets the block in this slot be culled again, as if it had just been used. */
  unpin(slot: number): void {
    if (!this.isPinned(slot)) return;
    this.#removePinned(slot);
    if (this.#only === undefined) this.#use(slot);
    this.#policyOf(slot).insert(slot);
  }

  isPinned(slot: number): boolean {
    return this.#pinnedSlots > 0 && (this.#pagesPinned[slot] ?? 0) !== 0;
  }

  /** Whether so much more may be kept from culling. */
  mayPin(slots: number, pages: number): boolean {
    const { pinBytesMax, pinSlotsMax } = this.#budget();
    if (this.#pinnedSlots + slots > pinSlotsMax) return false;
    return (this.#pinnedPages + pages) * PAGE_BYTES <= pinBytesMax;
  }

  /** What is kept from culling. */
  get pinned(): { readonly pinnedSlots: number; readonly pinnedBytes: number } {
    return { pinnedSlots: this.#pinnedSlots, pinnedBytes: this.#pinnedPages * PAGE_BYTES };
  }

  /** A block that is to be pinned found no room among those that are. */
  notePinRefused(): void {
    this.#pinRefused = true;
  }

  /** Whether that was noted since the last call. */
  takePinRefused(): boolean {
    const refused = this.#pinRefused;
    this.#pinRefused = false;
    return refused;
  }

  /** The share that the block in this slot counts in. */
  shareOf(slot: number): number {
    return this.#only === undefined ? (this.#shareOf[slot] ?? NO_SHARE) : NO_SHARE;
  }

  /** The block in this slot was hit. */
  touch(slot: number): void {
    if (this.isPinned(slot)) this.#pinned.touch(slot);
    else if (this.#only !== undefined) this.#only.touch(slot);
    else {
      this.#use(slot);
      this.#policies[this.#shareOf[slot] as number]?.touch(slot);
    }
  }

  /** The block in this slot takes so many pages from now on. */
  resize(slot: number, pages: number): void {
    if (this.#only === undefined) {
      this.#shares.charge(this.#shareOf[slot] as number, pages - this.#table.pagesOf(slot));
    }
    this.#table.setPages(slot, pages);
  }

  /** The block left this slot. */
  remove(slot: number): void {
    if (this.#only === undefined) {
      this.#shares.charge(this.#shareOf[slot] as number, -this.#table.pagesOf(slot));
    }
    if (this.isPinned(slot)) this.#removePinned(slot);
    else this.#policyOf(slot).remove(slot);
  }

  /** Who goes next: of shares over their maximum first, of those at their minimum last. */
  victim(mayLeave: MayLeave): number | undefined {
    if (this.#only !== undefined) return this.#only.victim(mayLeave);
    return (
      this.overVictim(mayLeave) ??
      this.#oldest(mayLeave, (share) => !this.#shares.isKept(share)) ??
      this.#oldest(mayLeave, () => true)
    );
  }

  /** Who has to go so that no share is over its maximum, with so many pages more in one of them. */
  overVictim(mayLeave: MayLeave, share = NO_SHARE, pages = 0): number | undefined {
    if (this.#only !== undefined) return undefined;
    for (const over of this.#shares.over(share, pages)) {
      const inside = (other: number): boolean => this.#shares.isWithin(other, over);
      const slot =
        this.#oldest(mayLeave, (other) => inside(other) && !this.#shares.isKept(other)) ??
        this.#oldest(mayLeave, inside);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** From the least to the most valuable; pinned blocks come last. */
  *order(): Generator<number> {
    yield* this.cullable();
    yield* this.#pinned.order();
  }

  /** What may be culled, from the least to the most valuable. */
  *cullable(): Generator<number> {
    if (this.#only !== undefined) {
      yield* this.#only.order();
      return;
    }
    const heads = this.#policies.map((policy) => policy.order()[Symbol.iterator]());
    const next = heads.map((head) => head.next());
    for (;;) {
      let first = -1;
      for (const [place, head] of next.entries()) {
        if (head.done === true) continue;
        if (first === -1 || this.#usedBefore(head.value, (next[first] as { value: number }).value))
          first = place;
      }
      if (first === -1) return;
      yield (next[first] as { value: number }).value;
      next[first] = (heads[first] as Iterator<number>).next();
    }
  }

  /** Of the candidates of all shares that `wanted` allows, the one whose last use is longest ago. */
  #oldest(mayLeave: MayLeave, wanted: (share: number) => boolean): number | undefined {
    let oldest: number | undefined;
    for (const [share, policy] of this.#policies.entries()) {
      if (!wanted(share)) continue;
      const slot = policy.victim(mayLeave);
      if (slot !== undefined && (oldest === undefined || this.#usedBefore(slot, oldest))) oldest = slot;
    }
    return oldest;
  }

  #policyOf(slot: number): CullPolicy {
    return this.#only ?? (this.#policies[this.#shareOf[slot] as number] as CullPolicy);
  }

  #removePinned(slot: number): void {
    this.#pinned.remove(slot);
    this.#pinnedPages -= (this.#pagesPinned[slot] as number) - 1;
    this.#pinnedSlots -= 1;
    this.#pagesPinned[slot] = 0;
  }

  #clearPinned(): void {
    this.#pinned.clear();
    this.#pagesPinned.fill(0);
    this.#pinnedPages = 0;
    this.#pinnedSlots = 0;
  }

  #usedBefore(slot: number, other: number): boolean {
    return (this.#usedAt[slot] as number) < (this.#usedAt[other] as number);
  }

  #use(slot: number): void {
    this.#uses += 1;
    this.#usedAt[slot] = this.#uses;
  }

  #reserve(slot: number): void {
    if (slot < this.#shareOf.length) return;
    const slots = Math.max(slot + 1, 1024, Math.floor(this.#shareOf.length * 1.5));
    this.#shareOf = grown(this.#shareOf, new Uint8Array(slots));
    this.#usedAt = grown(this.#usedAt, new Float64Array(slots));
  }
}
