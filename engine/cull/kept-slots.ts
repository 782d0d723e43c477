/**
 * Slots that no cull may take, because a pin covers their file, because somebody has it open, or both: why, what they
 * occupy, and the order of their use. A slot is here or in a policy, never in both.
 */
import { grown } from "../slots/slot-table.js";
import type { CullPolicy } from "./policy.js";

export const PINNED = 1;
export const HELD = 2;
const EITHER = PINNED | HELD;
export type Reason = typeof PINNED | typeof HELD;

export interface Kept {
  readonly slots: number;
  readonly pages: number;
}

export class KeptSlots {
  readonly #order: CullPolicy;
  /** By slot, and empty while nothing was ever kept: reasons, and the pages it counts as. */
  #reasons = new Uint8Array(0);
  #pages = new Uint8Array(0);
  /** By reason: those with it; under EITHER those with any. */
  readonly #slotSums = new Float64Array(EITHER + 1);
  readonly #pageSums = new Float64Array(EITHER + 1);

  /** @param order an empty policy, whose order of use is kept. */
  constructor(order: CullPolicy) {
    this.#order = order;
  }

  /** Whether the slot is kept at all, or for this reason. */
  has(slot: number, reasons: number = EITHER): boolean {
    return this.#slotSums[EITHER] !== 0 && ((this.#reasons[slot] ?? 0) & reasons) !== 0;
  }

  /** What is kept at all, or for this reason. */
  sum(reasons: number = EITHER): Kept {
    return { slots: this.#slotSums[reasons] as number, pages: this.#pageSums[reasons] as number };
  }

  /** Adds a reason. @param pages what the slot counts as from now on, if it was not here. */
  add(slot: number, reason: Reason, pages: number): void {
    if (this.has(slot, reason)) return;
    if (!this.has(slot)) {
      this.#reserve(slot);
      this.#pages[slot] = pages;
      this.#count(slot, EITHER, 1);
      this.#order.insert(slot);
    }
    this.#reasons[slot] = (this.#reasons[slot] as number) | reason;
    this.#count(slot, reason, 1);
  }

  /** Takes a reason away, or all. @returns whether the slot was here and is not any more. */
  drop(slot: number, reasons: number = EITHER): boolean {
    const had = this.has(slot) ? (this.#reasons[slot] as number) : 0;
    if ((had & reasons) === 0) return false;
    for (const reason of [PINNED, HELD] as const)
      if ((had & reasons & reason) !== 0) this.#count(slot, reason, -1);
    const left = had & ~reasons;
    this.#reasons[slot] = left;
    if (left !== 0) return false;
    this.#count(slot, EITHER, -1);
    this.#order.remove(slot);
    return true;
  }

  /** The block in this slot, which is here, was hit. */
  touch(slot: number): void {
    this.#order.touch(slot);
  }

  order(): Iterable<number> {
    return this.#order.order();
  }

  clear(): void {
    this.#order.clear();
    this.#reasons.fill(0);
    this.#slotSums.fill(0);
    this.#pageSums.fill(0);
  }

  #count(slot: number, reason: number, sign: 1 | -1): void {
    this.#slotSums[reason] = (this.#slotSums[reason] as number) + sign;
    this.#pageSums[reason] = (this.#pageSums[reason] as number) + sign * (this.#pages[slot] as number);
  }

  #reserve(slot: number): void {
    if (slot < this.#reasons.length) return;
    const slots = Math.max(slot + 1, 1024, Math.floor(this.#reasons.length * 1.5));
    this.#reasons = grown(this.#reasons, new Uint8Array(slots));
    this.#pages = grown(this.#pages, new Uint8Array(slots));
  }
}
