/** Exact least recently used: the victim is the block whose last use is longest ago. */
import { type SlotLinks, SlotList } from "../linked-slots.js";
import { type CullPolicy, type MayLeave, VICTIM_LOOKS_MAX } from "../policy.js";

export class LruPolicy implements CullPolicy {
  readonly name = "lru";
  readonly #list: SlotList;

  constructor(links: SlotLinks) {
    this.#list = new SlotList(links);
  }

  insert(slot: number): void {
    this.#list.push(slot);
  }

  insertAll(slots: Uint32Array): void {
    this.#list.pushAll(slots);
  }

  touch(slot: number): void {
    this.#list.refresh(slot);
  }

  evict(slot: number): void {
    this.#list.remove(slot);
  }

  remove(slot: number): void {
    this.#list.remove(slot);
  }

  victim(mayLeave: MayLeave): number | undefined {
    return oldestAllowed(this.#list, mayLeave);
  }

  order(): Iterable<number> {
    return this.#list;
  }

  restored(): void {
    // The order is all there is to know.
  }

  clear(): void {
    this.#list.clear();
  }
}

/** The oldest slot of a list that may leave; at most VICTIM_LOOKS_MAX are asked. */
export function oldestAllowed(list: SlotList, mayLeave: MayLeave): number | undefined {
  let slot = list.oldest;
  for (let looks = 0; slot !== undefined && looks < VICTIM_LOOKS_MAX; looks += 1) {
    if (mayLeave(slot)) return slot;
    slot = list.newerThan(slot);
  }
  return undefined;
}
