/** Which block is worth least: the one small interface that the engine asks, and exact LRU behind it. */
import { SlotLinks, SlotList } from "./linked-slots.js";

/** Told of every insertion, hit and removal; asked for victims. All calls are O(1) and synchronous. */
export interface CullPolicy {
  readonly name: string;
  /** A block was stored in this slot. */
  insert(slot: number): void;
  /** The block in this slot was hit. */
  touch(slot: number): void;
  /** The block left this slot, culled or not. */
  remove(slot: number): void;
  /** The least valuable slot that `mayLeave` allows; looks at most at VICTIM_LOOKS_MAX. */
  victim(mayLeave: (slot: number) => boolean): number | undefined;
  /** Slots from the least to the most valuable, for the checkpoint; inserting them in this order restores the policy. */
  order(): Iterable<number>;
  clear(): void;
}

/** Blocks that may not leave (being read just now) are passed over; more than this many in a row means: none. */
export const VICTIM_LOOKS_MAX = 4096;

/** Exact least recently used: the victim is the block whose last use is longest ago. */
export class LruPolicy implements CullPolicy {
  readonly name = "lru";
  readonly #list: SlotList;

  constructor(links: SlotLinks) {
    this.#list = new SlotList(links);
  }

  insert(slot: number): void {
    this.#list.push(slot);
  }

  touch(slot: number): void {
    this.#list.refresh(slot);
  }

  remove(slot: number): void {
    this.#list.remove(slot);
  }

  victim(mayLeave: (slot: number) => boolean): number | undefined {
    let slot = this.#list.oldest;
    for (let looks = 0; slot !== undefined && looks < VICTIM_LOOKS_MAX; looks += 1) {
      if (mayLeave(slot)) return slot;
      slot = this.#list.newerThan(slot);
    }
    return undefined;
  }

  order(): Iterable<number> {
    return this.#list;
  }

  clear(): void {
    this.#list.clear();
  }
}
