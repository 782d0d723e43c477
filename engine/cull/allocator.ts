/**
 * Slots for new tenants, and more pages for tenants that grow. Every page is counted here before it is written, so both
 * limits of the capacity hold at every moment.
 */
import { STATE } from "../slots/slot-table.js";
import type { Budget } from "./budget.js";
import type { RoomParts } from "./room-parts.js";
import type { Reservation } from "./waiting.js";
import { reached } from "../../index/core/steps.js";

/** A tenant takes no slot more than so many times its size while there is other room. */
const OVERSIZE_FACTOR = 4;

export class Allocator {
  readonly #parts: Pick<RoomParts, "table" | "free" | "ranking" | "drive">;
  readonly #budget: Budget;
  /** Numbers given out whose file was then not made: retired for the table, the first to be given out again. */
  readonly #unmade: number[] = [];

  constructor(parts: Pick<RoomParts, "table" | "free" | "ranking" | "drive">, budget: Budget) {
    this.#parts = parts;
    this.#budget = budget;
  }

  /**
   * A slot for so many pages, in state `filling`; undefined if there is none. In order of preference: a free slot that fits;
   * a smaller one that may grow; a new one; and a free slot that is far too large, which is noted so that another one is
   * cut back for it.
   */
  take(pages: number): Reservation | undefined {
    const { table, free, drive } = this.#parts;
    const fitting = free.smallestAtLeast(pages);
    if (fitting !== undefined && fitting <= pages * OVERSIZE_FACTOR) return this.takeAllocated(pages);
    const smaller = free.largestBelow(pages);
    if (smaller !== undefined && this.#mayGrow(pages - smaller, 0)) {
      const slot = free.takeBelow(pages, smaller) as number;
      table.setPages(slot, pages);
      drive.granted(pages - smaller, 0);
      return this.#fill(slot, false);
    }
    if (this.#budget.creatableSlots() > 0 && this.#mayGrow(pages, 1)) {
      const slot = this.#newNumber();
      table.setPages(slot, pages);
      drive.granted(pages, 1);
      return this.#fill(slot, true);
    }
    if (fitting === undefined) return undefined;
    this.#budget.noteWaste(fitting - pages);
    return this.takeAllocated(pages);
  }

  /** Like take, but only a slot whose pages the drive has already allocated. */
  takeAllocated(pages: number): Reservation | undefined {
    const slot = this.#parts.free.takeAtLeast(pages);
    return slot === undefined ? undefined : this.#fill(slot, false);
  }

  /** Makes room for so many more pages in a used slot; false if it may not grow now. */
  grow(slot: number, more: number): boolean {
    const { table, drive, ranking } = this.#parts;
    if (!this.#mayGrow(more, 0)) return false;
    ranking.resize(slot, table.pagesOf(slot) + more);
    drive.granted(more, 0);
    this.#budget.noteGrown(more);
    return true;
  }

  /** The file of a slot that was taken could not be made, and the slot is retired: its number is as good as new. */
  notMade(slot: number): void {
    this.#unmade.push(slot);
  }

  #fill(slot: number, create: boolean): Reservation {
    this.#budget.noteTaken(this.#parts.table.pagesOf(slot));
    this.#parts.table.move(slot, STATE.free, STATE.filling);
    if (!create) reached("reuse: taken");
    return { slot, create };
  }

  #newNumber(): number {
    const unmade = this.#unmade.pop();
    if (unmade === undefined) return this.#parts.table.append(STATE.free);
    this.#parts.table.move(unmade, STATE.retired, STATE.free);
    return unmade;
  }

  #mayGrow(pages: number, inodes: number): boolean {
    return pages <= this.#budget.growthPages() && this.#parts.drive.allows(pages, inodes);
  }
}
