/**
 * All blocks by their worth: a policy of its own for each share of the capacity, and one answer to who goes next. Without
 * shares there is one policy and nothing between it and its callers.
 */
import type { SlotTable } from "../slots/slot-table.js";
import { grown } from "../slots/slot-table.js";
import type { CullPolicy } from "./policy.js";
import { NO_SHARE, Shares } from "./shares.js";

type MayLeave = (slot: number) => boolean;

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

  /** @param newPolicy makes an empty policy; a slot is in one of them at a time. */
  constructor(table: SlotTable, newPolicy: () => CullPolicy) {
    this.#table = table;
    this.#newPolicy = newPolicy;
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
    const order = [...this.order()];
    this.#shares = shares;
    this.#policies = Array.from({ length: shares.count }, this.#newPolicy);
    this.#only = shares.count === 1 ? this.#policies[0] : undefined;
    const slots = shares.count === 1 ? 0 : this.#table.numbers;
    this.#shareOf = new Uint8Array(slots);
    this.#usedAt = new Float64Array(slots);
    for (const slot of order) this.insert(slot, shareOf(slot));
  }

  /** A block was stored in this slot. */
  insert(slot: number, share: number = NO_SHARE): void {
    if (this.#only !== undefined) {
      this.#only.insert(slot);
      return;
    }
    this.#reserve(slot);
    this.#shareOf[slot] = share;
    this.#use(slot);
    this.#shares.charge(share, this.#table.pagesOf(slot));
    this.#policies[share]?.insert(slot);
  }

  /** The block in this slot was hit. */
  touch(slot: number): void {
    if (this.#only !== undefined) this.#only.touch(slot);
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
    if (this.#only !== undefined) {
      this.#only.remove(slot);
      return;
    }
    const share = this.#shareOf[slot] as number;
    this.#shares.charge(share, -this.#table.pagesOf(slot));
    this.#policies[share]?.remove(slot);
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

  /** From the least to the most valuable. */
  *order(): Generator<number> {
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
