/**
 * SIEVE (Zhang and others, NSDI 2024): blocks stand in the order in which they came, a hit only marks one. A hand goes
 * from the oldest to the newest and round again; it takes marks away, and the first block without one is the victim.
 */
import { SlotList } from "../linked-slots.js";
import type { SlotBytes } from "../slot-bytes.js";
import {
  type CullPolicy,
  type MayLeave,
  NOBODY,
  type PolicyParts,
  VICTIM_LOOKS_MAX,
  VICTIM_STEPS_MAX,
} from "../policy.js";

export class SievePolicy implements CullPolicy {
  readonly name = "sieve";
  readonly #list: SlotList;
  readonly #marks: SlotBytes;
  readonly #identityOf: PolicyParts["identityOf"];
  /** Where the hand stands; NOBODY: before the oldest. */
  #hand = NOBODY;
  /** Of the block that was removed last, and is perhaps stored again in another slot. */
  #left = NOBODY;

  constructor({ links, notes, identityOf }: PolicyParts) {
    this.#list = new SlotList(links);
    this.#identityOf = identityOf;
    this.#marks = notes;
  }

  insert(slot: number): void {
    this.#list.push(slot);
    this.#marks.reserve(slot);
    const again = this.#left !== NOBODY && this.#identityOf(slot) === this.#left;
    this.#left = NOBODY;
    this.#marks.set(slot, again ? 1 : 0);
  }

  touch(slot: number): void {
    this.#marks.set(slot, 1);
  }

  evict(slot: number): void {
    if (this.#hand === slot) this.#hand = this.#list.newerThan(slot) ?? NOBODY;
    this.#list.remove(slot);
  }

  remove(slot: number): void {
    this.#left = this.#identityOf(slot);
    this.evict(slot);
  }

  victim(mayLeave: MayLeave): number | undefined {
    let looks = Math.min(VICTIM_LOOKS_MAX, this.#list.slots);
    let steps = VICTIM_STEPS_MAX;
    let slot = this.#hand === NOBODY ? this.#list.oldest : this.#hand;
    while (slot !== undefined) {
      if (steps > 0 && this.#marks.get(slot) !== 0) {
        this.#marks.set(slot, 0);
        steps -= 1;
      } else if (mayLeave(slot)) {
        this.#hand = slot;
        return slot;
      } else {
        looks -= 1;
        if (looks <= 0) return undefined;
      }
      slot = this.#list.newerThan(slot) ?? this.#list.oldest;
    }
    return undefined;
  }

  /** In the order in which the hand would take them if nothing was hit any more. */
  *order(): Generator<number> {
    for (const marked of [0, 1]) {
      for (const slot of this.#fromHand()) if (this.#marks.get(slot) === marked) yield slot;
    }
  }

  restored(): void {
    this.#left = NOBODY;
  }

  clear(): void {
    this.#list.clear();
    this.#hand = NOBODY;
    this.#left = NOBODY;
  }

  *#fromHand(): Generator<number> {
    const first = this.#hand === NOBODY ? this.#list.oldest : this.#hand;
    let slot = first;
    while (slot !== undefined) {
      yield slot;
      slot = this.#list.newerThan(slot) ?? this.#list.oldest;
      if (slot === first) return;
    }
  }
}
