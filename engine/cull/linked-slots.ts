/**
 * Doubly linked lists over slot numbers, in two shared arrays of 4 bytes a slot each: a slot is in at most one list at a
 * time, so the recency list and all free lists share them. Every operation is O(1).
 */
import assert from "node:assert/strict";
import { NO_SLOT } from "../../index/core/layout.js";
import { grown } from "../slots/slot-table.js";

export class SlotLinks {
  previous = new Uint32Array(0);
  next = new Uint32Array(0);

  reserve(numbers: number): void {
    if (numbers <= this.next.length) return;
    const capacity = Math.max(numbers, 1024, Math.floor(this.next.length * 1.5));
    this.previous = grown(this.previous, new Uint32Array(capacity));
    this.next = grown(this.next, new Uint32Array(capacity));
  }
}

/** One list; `head` is the newest, `tail` the oldest. */
export class SlotList {
  readonly #links: SlotLinks;
  #head = NO_SLOT;
  #tail = NO_SLOT;
  #slots = 0;

  constructor(links: SlotLinks) {
    this.#links = links;
  }

  get slots(): number {
    return this.#slots;
  }

  /** The oldest slot, or undefined in an empty list. */
  get oldest(): number | undefined {
    return this.#tail === NO_SLOT ? undefined : this.#tail;
  }

  /** The newest slot, or undefined in an empty list. */
  get newest(): number | undefined {
    return this.#head === NO_SLOT ? undefined : this.#head;
  }

  /** The slot that came next after `slot`, or undefined at the newest. */
  newerThan(slot: number): number | undefined {
    const newer = this.#links.previous[slot] as number;
    return newer === NO_SLOT ? undefined : newer;
  }

  /** Puts a slot that is in no list at the newest end. */
  push(slot: number): void {
    this.#links.reserve(slot + 1);
    this.#links.previous[slot] = NO_SLOT;
    this.#links.next[slot] = this.#head;
    if (this.#head === NO_SLOT) this.#tail = slot;
    else this.#links.previous[this.#head] = slot;
    this.#head = slot;
    this.#slots += 1;
  }

  /** Takes a slot out of this list, wherever it stands. */
  remove(slot: number): void {
    assert.ok(this.#slots > 0);
    const previous = this.#links.previous[slot] as number;
    const next = this.#links.next[slot] as number;
    if (previous === NO_SLOT) this.#head = next;
    else this.#links.next[previous] = next;
    if (next === NO_SLOT) this.#tail = previous;
    else this.#links.previous[next] = previous;
    this.#slots -= 1;
  }

  /** Makes a slot of this list its newest. */
  refresh(slot: number): void {
    if (slot === this.#head) return;
    this.remove(slot);
    this.push(slot);
  }

  clear(): void {
    this.#head = NO_SLOT;
    this.#tail = NO_SLOT;
    this.#slots = 0;
  }

  /** Oldest first. */
  *[Symbol.iterator](): Generator<number> {
    for (let slot = this.oldest; slot !== undefined; slot = this.newerThan(slot)) yield slot;
  }
}
