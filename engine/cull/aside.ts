/** Slots on their way out of use and back, and what a check found of their sizes. */
import { STATE } from "../slots/slot-table.js";
import type { RoomParts } from "./room-parts.js";

export type AsideState = typeof STATE.quarantined | typeof STATE.retired;

export class Aside {
  readonly #parts: RoomParts;
  readonly #changed: () => void;

  /** @param changed told when there may be more room than before. */
  constructor(parts: RoomParts, changed: () => void) {
    this.#parts = parts;
    this.#changed = changed;
  }

  /** Takes a slot that is filling, leaving, free or quarantined out of use: after trouble, or because its file is gone. */
  set(slot: number, state: AsideState): void {
    const { table, free, files, writeBack } = this.#parts;
    const before = table.stateOf(slot);
    if (before === STATE.free) free.remove(slot, table.pagesOf(slot));
    table.move(slot, before, state);
    files.forget(slot);
    writeBack.forget(slot); // no entry will name these bytes, so a clean stop can do without them
    // Of one that leaves, pages are counted until it has left.
    if (state === STATE.retired && before !== STATE.leaving) table.setPages(slot, 0);
    this.#changed();
  }

  /** A quarantined slot is fit to be used, with so many pages. */
  readmit(slot: number, pages: number): void {
    const { table, free } = this.#parts;
    table.move(slot, STATE.quarantined, STATE.free);
    table.setPages(slot, pages);
    free.give(slot, pages);
    this.#changed();
  }

  /** A used or free slot takes so many pages. */
  recount(slot: number, pages: number): void {
    const { table, free, ranking } = this.#parts;
    if (table.stateOf(slot) === STATE.used) {
      ranking.resize(slot, pages);
      return;
    }
    free.remove(slot, table.pagesOf(slot));
    table.setPages(slot, pages);
    free.give(slot, pages);
  }
}
