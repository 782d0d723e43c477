/** Which share the block in each slot counts in, and when it was last used, to compare blocks of different shares by. */
import { grown } from "../slots/slot-table.js";
import { NO_SHARE, type Shares } from "./shares.js";

export class SlotShares {
  readonly #shares: Shares;
  #shareOf: Uint8Array;
  #usedAt: Float64Array;
  #uses = 0;

  constructor(shares: Shares, slots: number) {
    this.#shares = shares;
    this.#shareOf = new Uint8Array(slots);
    this.#usedAt = new Float64Array(slots);
  }

  of(slot: number): number {
    return this.#shareOf[slot] ?? NO_SHARE;
  }

  /** A block of so many pages came into this slot. */
  insert(slot: number, share: number, pages: number): void {
    this.#reserve(slot);
    this.#shareOf[slot] = share;
    this.use(slot);
    this.#shares.charge(share, pages);
  }

  /** The block in this slot takes so many pages more, or less. */
  charge(slot: number, pages: number): void {
    this.#shares.charge(this.of(slot), pages);
  }

  use(slot: number): void {
    this.#uses += 1;
    this.#usedAt[slot] = this.#uses;
  }

  usedBefore(slot: number, other: number): boolean {
    return (this.#usedAt[slot] as number) < (this.#usedAt[other] as number);
  }

  #reserve(slot: number): void {
    if (slot < this.#shareOf.length) return;
    const slots = Math.max(slot + 1, 1024, Math.floor(this.#shareOf.length * 1.5));
    this.#shareOf = grown(this.#shareOf, new Uint8Array(slots));
    this.#usedAt = grown(this.#usedAt, new Float64Array(slots));
  }
}
