/**
 * S3-FIFO (Yang and others, SOSP 2023): three first-in-first-out queues. What is new comes into a small one, a tenth of
 * all; whoever is hit twice there goes on to the main one, the others leave and are remembered as ghosts, as many as the
 * main one is long. A ghost that comes back goes to the main one at once. What was hit there goes round once for each hit,
 * three times at most.
 */
import { SlotList } from "../linked-slots.js";
import type { SlotBytes } from "../slot-bytes.js";
import { type CullPolicy, type MayLeave, NOBODY, type PolicyParts, VICTIM_STEPS_MAX } from "../policy.js";
import { Ghosts } from "./ghosts.js";
import { oldestAllowed } from "./lru.js";

export const SMALL_SHARE = 0.1;
const HITS_MAX = 3;
/** So many hits in the small queue prove a block. */
const HITS_TO_PROVE = 2;
/** In a slot's byte, beside its hits: it stands in the main queue. */
const MAIN = 4;

export class S3FifoPolicy implements CullPolicy {
  readonly name = "s3fifo";
  readonly #small: SlotList;
  readonly #main: SlotList;
  readonly #ghosts = new Ghosts();
  readonly #notes: SlotBytes;
  readonly #identityOf: PolicyParts["identityOf"];
  /** Of the block that was removed last, and how it stood: perhaps it is stored again in another slot. */
  #left = NOBODY;
  #leftNote = 0;

  constructor({ links, notes, identityOf }: PolicyParts) {
    this.#small = new SlotList(links);
    this.#main = new SlotList(links);
    this.#identityOf = identityOf;
    this.#notes = notes;
  }

  insert(slot: number): void {
    this.#notes.reserve(slot);
    const identity = this.#identityOf(slot);
    const again = identity === this.#left;
    this.#left = NOBODY;
    if (again) {
      this.#place(slot, this.#leftNote);
      this.touch(slot);
    } else {
      this.#place(slot, this.#ghosts.delete(identity) ? MAIN : 0);
    }
  }

  touch(slot: number): void {
    const note = this.#notes.get(slot);
    if ((note & HITS_MAX) < HITS_MAX) this.#notes.set(slot, note + 1);
  }

  evict(slot: number): void {
    const inMain = this.#takeOut(slot);
    if (!inMain) this.#ghosts.add(this.#identityOf(slot), this.#slots + 1 - smallSlots(this.#slots + 1));
  }

  remove(slot: number): void {
    this.#left = this.#identityOf(slot);
    this.#leftNote = this.#notes.get(slot);
    this.#takeOut(slot);
  }

  victim(mayLeave: MayLeave): number | undefined {
    for (let steps = 0; steps < VICTIM_STEPS_MAX; steps += 1) {
      const fromSmall = this.#fromSmall;
      const slot = fromSmall ? this.#small.oldest : this.#main.oldest;
      if (slot === undefined) return undefined;
      const note = this.#notes.get(slot);
      if (fromSmall ? note < HITS_TO_PROVE : note === MAIN) break;
      this.#takeOut(slot);
      this.#place(slot, fromSmall ? MAIN : note - 1);
    }
    const [first, second] = this.#fromSmall ? [this.#small, this.#main] : [this.#main, this.#small];
    return oldestAllowed(first, mayLeave) ?? oldestAllowed(second, mayLeave);
  }

  /** The small queue, then the main one: first what was not hit there. */
  *order(): Generator<number> {
    yield* this.#small;
    for (const hit of [false, true]) {
      for (const slot of this.#main) if (this.#notes.get(slot) > MAIN === hit) yield slot;
    }
  }

  restored(): void {
    this.#left = NOBODY;
    let slot = this.#small.oldest;
    for (let left = smallSlots(this.#slots); slot !== undefined; left -= 1) {
      const newer = this.#small.newerThan(slot);
      if (left <= 0) {
        this.#takeOut(slot);
        this.#place(slot, MAIN);
      }
      slot = newer;
    }
  }

  clear(): void {
    this.#small.clear();
    this.#main.clear();
    this.#ghosts.clear();
    this.#left = NOBODY;
  }

  get #slots(): number {
    return this.#small.slots + this.#main.slots;
  }

  /** Whether the next victim comes from the small queue, which is as long as it may be. */
  get #fromSmall(): boolean {
    return this.#main.slots === 0 || this.#small.slots >= smallSlots(this.#slots);
  }

  #place(slot: number, note: number): void {
    this.#notes.set(slot, note);
    if (note >= MAIN) this.#main.push(slot);
    else this.#small.push(slot);
  }

  /** @returns whether it stood in the main queue. */
  #takeOut(slot: number): boolean {
    const inMain = this.#notes.get(slot) >= MAIN;
    if (inMain) this.#main.remove(slot);
    else this.#small.remove(slot);
    return inMain;
  }
}

function smallSlots(slots: number): number {
  return Math.max(1, Math.floor(slots * SMALL_SHARE));
}
