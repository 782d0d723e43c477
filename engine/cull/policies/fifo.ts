/** First in, first out: the victim is the block that was stored first, however often it was used. */
import { type SlotLinks, SlotList } from "../linked-slots.js";
import type { CullPolicy, MayLeave } from "../policy.js";
import { oldestAllowed } from "./lru.js";

export class FifoPolicy implements CullPolicy {
  readonly name = "fifo";
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

  touch(_slot: number): void {
    // Uses do not count.
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
