/** Notes which blocks are used while the order of the others is found out beside the service, and puts them above those. */
import type { Ranking } from "./ranking.js";

export class RecentUses {
  readonly #ranking: Ranking;
  /** The last one last. */
  readonly #slots = new Set<number>();

  /** Notes from here on. */
  constructor(ranking: Ranking) {
    this.#ranking = ranking;
    ranking.recentUses = this;
  }

  note(slot: number): void {
    this.#slots.delete(slot);
    this.#slots.add(slot);
  }

  forget(slot: number): void {
    this.#slots.delete(slot);
  }

  /**
   * Puts blocks in this order, the least valuable first, below those that were used; a step a block, between which anything
   * may happen. At its end nothing is noted any more. @param isThere whether a block is in the slot.
   */
  *restore(order: Uint32Array, isThere: (slot: number) => boolean): Generator<void> {
    for (const slot of order) {
      if (isThere(slot) && !this.#slots.has(slot)) this.#renew(slot);
      yield;
    }
    for (const slot of this.#slots) if (isThere(slot)) this.#renew(slot);
    this.#ranking.recentUses = undefined;
  }

  #renew(slot: number): void {
    this.#ranking.recentUses = undefined; // this is no use
    this.#ranking.renew(slot);
    this.#ranking.recentUses = this;
  }
}
