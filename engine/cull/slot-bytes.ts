/** One byte for each slot, for what a policy notes of the block there. Shared, as a slot is in one policy at a time. */
import { grown } from "../slots/slot-table.js";

export class SlotBytes {
  #bytes = new Uint8Array(0);

  get(slot: number): number {
    return this.#bytes[slot] as number;
  }

  set(slot: number, value: number): void {
    this.#bytes[slot] = value;
  }

  /** Makes room for the slot; to be called before its first set. */
  reserve(slot: number): void {
    if (slot < this.#bytes.length) return;
    const slots = Math.max(slot + 1, 1024, Math.floor(this.#bytes.length * 1.5));
    this.#bytes = grown(this.#bytes, new Uint8Array(slots));
  }
}
