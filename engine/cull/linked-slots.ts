/**
 * Doubly linked lists over slot numbers, in a shared array of 8 bytes a slot: a slot is in at most one list at a time, so the
 * recency list and all free lists share it. Every operation is O(1). Both links of a slot lie side by side: among millions
 * of slots a step costs one look at memory that is in no cache, not two.
 */
import assert from "node:assert/strict";
import { NO_SLOT } from "../../index/core/layout.js";
import { grown } from "../slots/slot-table.js";

const LINKS_A_SLOT = 2;
/** Where the older neighbour of a slot stands, behind the newer one. */
const OLDER = 1;

export class SlotLinks {
  /** Of slot n: at 2n the next newer one in its list, at 2n + 1 the next older one. */
  array = new Uint32Array(0);

  reserve(numbers: number): void {
    const wanted = numbers * LINKS_A_SLOT;
    if (wanted <= this.array.length) return;
    const capacity = Math.max(numbers, 1024, Math.floor((this.array.length / LINKS_A_SLOT) * 1.5));
    this.array = grown(this.array, new Uint32Array(capacity * LINKS_A_SLOT));
  }

  /** The newer and the older neighbour of a slot that is in a list; undefined at its ends. */
  neighboursOf(slot: number): readonly [newer: number | undefined, older: number | undefined] {
    const [newer, older] = [this.array[slot * LINKS_A_SLOT], this.array[slot * LINKS_A_SLOT + OLDER]];
    return [newer === NO_SLOT ? undefined : newer, older === NO_SLOT ? undefined : older];
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
    const newer = this.#links.array[slot * LINKS_A_SLOT] as number;
    return newer === NO_SLOT ? undefined : newer;
  }

  /** Puts a slot that is in no list at the newest end. */
  push(slot: number): void {
    this.#links.reserve(slot + 1);
    const { array } = this.#links;
    const head = this.#head;
    array[slot * LINKS_A_SLOT] = NO_SLOT;
    array[slot * LINKS_A_SLOT + OLDER] = head;
    if (head === NO_SLOT) this.#tail = slot;
    else array[head * LINKS_A_SLOT] = slot;
    this.#head = slot;
    this.#slots += 1;
  }

  /**
   * push() of each in turn. The order of millions of slots jumps about in memory: here no step waits for the one before it,
   * which takes a fifth of the time.
   */
  pushAll(slots: Uint32Array): void {
    const count = slots.length;
    if (count === 0) return;
    let numbers = 0;
    for (let place = 0; place < count; place += 1) numbers = Math.max(numbers, (slots[place] as number) + 1);
    this.#links.reserve(numbers);
    const { array } = this.#links;
    const head = this.#head;
    for (let place = 0; place < count; place += 1) {
      const at = (slots[place] as number) * LINKS_A_SLOT;
      array[at] = place + 1 < count ? (slots[place + 1] as number) : NO_SLOT;
      array[at + OLDER] = place > 0 ? (slots[place - 1] as number) : head;
    }
    if (head === NO_SLOT) this.#tail = slots[0] as number;
    else array[head * LINKS_A_SLOT] = slots[0] as number;
    this.#head = slots[count - 1] as number;
    this.#slots += count;
  }

  /** Takes a slot out of this list, wherever it stands. */
  remove(slot: number): void {
    assert.ok(this.#slots > 0);
    const { array } = this.#links;
    const newer = array[slot * LINKS_A_SLOT] as number;
    const older = array[slot * LINKS_A_SLOT + OLDER] as number;
    if (newer === NO_SLOT) this.#head = older;
    else array[newer * LINKS_A_SLOT + OLDER] = older;
    if (older === NO_SLOT) this.#tail = newer;
    else array[older * LINKS_A_SLOT] = newer;
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
