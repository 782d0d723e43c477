/**
 * Free slots by size class: one list for each high-water mark from 0 to 64 pages, so that a tenant gets the smallest
 * slot that already has room for it. Taking and giving are O(64) at worst, with no memory beyond the shared links.
 */
import { SLOT_PAGES } from "../../index/core/layout.js";
import { type SlotLinks, SlotList } from "./linked-slots.js";

export class FreeLists {
  readonly #byPages: readonly SlotList[];
  #slots = 0;
  #pages = 0;

  constructor(links: SlotLinks) {
    this.#byPages = Array.from({ length: SLOT_PAGES + 1 }, () => new SlotList(links));
  }

  get slots(): number {
    return this.#slots;
  }

  /** The sum of the high-water marks of all free slots, in pages. */
  get pages(): number {
    return this.#pages;
  }

  give(slot: number, pages: number): void {
    this.#list(pages).push(slot);
    this.#slots += 1;
    this.#pages += pages;
  }

  /** Takes the smallest free slot with at least `pages` pages: the one given last, whose bytes are likeliest in memory. */
  takeAtLeast(pages: number): number | undefined {
    for (let size = pages; size <= SLOT_PAGES; size += 1) {
      const slot = this.#take(size);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** Takes the largest free slot with fewer than `pages` and at least `pagesMin` pages. */
  takeBelow(pages: number, pagesMin: number): number | undefined {
    for (let size = pages - 1; size >= pagesMin; size -= 1) {
      const slot = this.#take(size);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** Size in pages of the smallest free slot with at least `pages` pages. */
  smallestAtLeast(pages: number): number | undefined {
    for (let size = pages; size <= SLOT_PAGES; size += 1) if (this.#list(size).slots > 0) return size;
    return undefined;
  }

  /** Size in pages of the largest free slot with fewer than `pages` pages. */
  largestBelow(pages: number): number | undefined {
    for (let size = pages - 1; size >= 0; size -= 1) if (this.#list(size).slots > 0) return size;
    return undefined;
  }

  /** Every free slot. */
  *all(): Generator<number> {
    for (const list of this.#byPages) yield* list;
  }

  clear(): void {
    for (const list of this.#byPages) list.clear();
    this.#slots = 0;
    this.#pages = 0;
  }

  /** Takes this slot, which is here with so many pages. */
  remove(slot: number, pages: number): void {
    this.#list(pages).remove(slot);
    this.#slots -= 1;
    this.#pages -= pages;
  }

  #take(pages: number): number | undefined {
    const list = this.#list(pages);
    const slot = list.newest;
    if (slot === undefined) return undefined;
    list.remove(slot);
    this.#slots -= 1;
    this.#pages -= pages;
    return slot;
  }

  #list(pages: number): SlotList {
    return this.#byPages[pages] as SlotList;
  }
}
