/**
 * After a wipe every slot that has a file is without a tenant and in no list. They are given out in slices beside other
 * work, so that a wipe costs the same for any number of them.
 */
import { STATE, type SlotTable } from "../slots/slot-table.js";
import type { FreeLists } from "./free-lists.js";

/** A millisecond or so. */
const SLICE_SLOTS = 16_384;

export class StockTaking {
  readonly #table: SlotTable;
  readonly #free: FreeLists;
  readonly #onSlice: () => void;
  #next = 0;
  #stopped = false;
  #running: Promise<void> | undefined;

  /** @param onSlice told when there are more free slots. */
  constructor(options: { table: SlotTable; free: FreeLists; onSlice: () => void }) {
    this.#table = options.table;
    this.#free = options.free;
    this.#onSlice = options.onSlice;
  }

  /** Gives out the first slice at once and the rest in the background, unless at it. */
  start(): void {
    this.#stopped = false;
    if (this.#running !== undefined || this.#table.countOf(STATE.wiped) === 0) return;
    this.#slice();
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when every slot is given out, or this was stopped. */
  async done(): Promise<void> {
    await this.#running;
  }

  /** Resolves when nothing is under way; what is left stays `wiped` until start() goes on. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#stopped || this.#table.countOf(STATE.wiped) === 0) return;
      this.#slice();
    }
  }

  /** New slots have higher numbers and other states, so one walk finds all. */
  #slice(): void {
    const table = this.#table;
    const end = Math.min(table.numbers, this.#next + SLICE_SLOTS);
    for (; this.#next < end; this.#next += 1) {
      const slot = this.#next;
      if (table.stateOf(slot) !== STATE.wiped) continue;
      table.move(slot, STATE.wiped, STATE.free);
      this.#free.give(slot, table.pagesOf(slot));
    }
    this.#onSlice();
  }
}
