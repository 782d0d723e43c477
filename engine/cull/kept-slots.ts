/**
 * Slots that no cull may take, because a pin covers their file, because somebody has it open, or both: why, what they
 * occupy and may occupy, and the order of their use. A slot is here or in a policy, never in both.
 */
import { PAGE_BYTES } from "../../index/core/layout.js";
import { grown } from "../slots/slot-table.js";
import type { CullPolicy } from "./policy.js";

export const PINNED = 1;
export const HELD = 2;
const EITHER = PINNED | HELD;
export type Reason = typeof PINNED | typeof HELD;

/** What pins may keep from culling, and what pins and open files may together. */
export interface KeepBudget {
  readonly pinBytesMax: number;
  readonly pinSlotsMax: number;
  readonly holdBytesMax: number;
  readonly holdSlotsMax: number;
}

const NO_BUDGET: KeepBudget = { pinBytesMax: 0, pinSlotsMax: 0, holdBytesMax: 0, holdSlotsMax: 0 };

/** What those who keep blocks from culling ask beforehand. */
export type KeptLimits = Pick<
  KeptSlots,
  "mayPin" | "mayHold" | "pinned" | "held" | "notePinRefused" | "takePinRefused"
>;

export class KeptSlots {
  readonly #order: CullPolicy;
  readonly #budget: () => KeepBudget;
  #pinRefused = false;
  /** By slot, and empty while nothing was ever kept: reasons, and the pages it counts as. */
  #reasons = new Uint8Array(0);
  #pages = new Uint8Array(0);
  /** By reason: those with it; under EITHER those with any. */
  readonly #slotSums = new Float64Array(EITHER + 1);
  readonly #pageSums = new Float64Array(EITHER + 1);

  /** @param order an empty policy, whose order of use is kept. */
  constructor(order: CullPolicy, budget = (): KeepBudget => NO_BUDGET) {
    this.#order = order;
    this.#budget = budget;
  }

  /** Whether the slot is kept at all, or for this reason. */
  has(slot: number, reasons: number = EITHER): boolean {
    return this.#slotSums[EITHER] !== 0 && ((this.#reasons[slot] ?? 0) & reasons) !== 0;
  }

  /** Whether so much more may be kept from culling by pins. */
  mayPin(slots: number, pages: number): boolean {
    const { pinBytesMax, pinSlotsMax } = this.#budget();
    const pinned = this.#sum(PINNED);
    return pinned.slots + slots <= pinSlotsMax && pinned.bytes + pages * PAGE_BYTES <= pinBytesMax;
  }

  /** Whether so much more, which is neither pinned nor held, may be kept from culling because its file is open. */
  mayHold(slots: number, pages: number): boolean {
    const { holdBytesMax, holdSlotsMax } = this.#budget();
    const kept = this.#sum(EITHER);
    return kept.slots + slots <= holdSlotsMax && kept.bytes + pages * PAGE_BYTES <= holdBytesMax;
  }

  /** What pins keep from culling. */
  get pinned(): { readonly pinnedSlots: number; readonly pinnedBytes: number } {
    const { slots, bytes } = this.#sum(PINNED);
    return { pinnedSlots: slots, pinnedBytes: bytes };
  }

  /** What open files keep from culling, and what they and pins do together. */
  get held(): { readonly heldBytes: number; readonly keptBytes: number; readonly keptSlots: number } {
    const { bytes: keptBytes, slots: keptSlots } = this.#sum(EITHER);
    return { heldBytes: this.#sum(HELD).bytes, keptBytes, keptSlots };
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

  #sum(reasons: number): { readonly slots: number; readonly bytes: number } {
    const pages = this.#pageSums[reasons] as number;
    return { slots: this.#slotSums[reasons] as number, bytes: pages * PAGE_BYTES };
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
