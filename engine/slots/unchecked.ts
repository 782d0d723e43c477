/**
 * Which groups of which slots nobody has checked since an unclean end: a byte a slot, and none after a clean one. Every read
 * checks what it returns all the same; this tells what may still turn out to be gone.
 */
import { SLOT_GROUPS } from "../../index/core/layout.js";
import { grown } from "./grown.js";

export class Unchecked {
  #groups = new Uint8Array(0);
  #slots = 0;

  /** Slots with a group that nobody has checked. */
  get slots(): number {
    return this.#slots;
  }

  has(slot: number): boolean {
    return (this.#groups[slot] ?? 0) !== 0;
  }

  /** @param groups a bit a group. */
  add(slot: number, groups: number): void {
    if (slot >= this.#groups.length) {
      const slots = Math.max(slot + 1, 1024, Math.floor(this.#groups.length * 1.5));
      this.#groups = grown(this.#groups, new Uint8Array(slots));
    }
    const before = this.#groups[slot] as number;
    this.#groups[slot] = before | groups;
    if (before === 0 && groups !== 0) this.#slots += 1;
  }

  /** These groups were found to be what was stored. */
  checked(slot: number, firstGroup: number, endGroup: number): void {
    if (!this.has(slot)) return;
    const groups = this.#groups[slot] as number;
    const left = groups & ~((1 << Math.min(endGroup, SLOT_GROUPS)) - (1 << firstGroup));
    this.#groups[slot] = left;
    if (left === 0) this.#slots -= 1;
  }

  /** The slot has no tenant any more, or all of it was checked. */
  forget(slot: number): void {
    if (this.#slots > 0) this.checked(slot, 0, SLOT_GROUPS);
  }

  clear(): void {
    this.#groups = new Uint8Array(0);
    this.#slots = 0;
  }
}
