/**
 * Slots without a tenant on their way back to the drive: cut to nothing and free again, or their files removed and their
 * numbers retired. What is under way is counted, so that nobody gives the same twice.
 */
import { type CacheError, errnoOf } from "../../index/core/errors.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { STATE } from "../slots/slot-table.js";
import type { Budget } from "./budget.js";
import type { RoomParts } from "./room-parts.js";
import { reached } from "../../index/core/steps.js";

/** Slots that are given back side by side. */
const PARALLEL = 8;
/** So many failures in a row: the drive is at fault, not a slot. */
const FAILURES_MAX = 8;

/** What is to be given back. */
export interface Need {
  readonly pages: number;
  /** Files to remove. */
  readonly slots: number;
}

/** A slot that is given back: cut, and its file removed too if it is to retire. */
export interface Going {
  readonly slot: number;
  readonly retire: boolean;
}

export class Outgoing {
  readonly #parts: RoomParts;
  readonly #budget: Budget;
  #pages = 0;
  #slots = 0;
  #failures = 0;
  /** Given back so far. */
  bytes = 0;

  constructor(parts: RoomParts, budget: Budget) {
    this.#parts = parts;
    this.#budget = budget;
  }

  /** Whether more is needed than is under way. */
  lacks({ pages, slots }: Need): boolean {
    return pages > this.#pages || slots > this.#slots;
  }

  /** Whether more files have to go than are under way. */
  lacksSlots({ slots }: Need): boolean {
    return slots > this.#slots;
  }

  lacksPages({ pages }: Need): boolean {
    return pages > this.#pages;
  }

  /** From here to the end of give(), or to stays(), the slot counts as given back. */
  goes(slot: number, retire: boolean): Going {
    this.#pages += this.#parts.table.pagesOf(slot);
    if (retire) this.#slots += 1;
    return { slot, retire };
  }

  stays({ slot, retire }: Going): void {
    this.#pages -= this.#parts.table.pagesOf(slot);
    if (retire) this.#slots -= 1;
  }

  /** A slot in state `filling` is a writer's after all. */
  keep(going: Going): void {
    const { table, free } = this.#parts;
    const { slot } = going;
    this.stays(going);
    table.move(slot, STATE.filling, STATE.free);
    free.give(slot, table.pagesOf(slot));
  }

  /** Gives slots in state `filling` back. @throws {CacheError} E_IO when the drive fails; what is left is free then. */
  async giveAll(slots: readonly Going[]): Promise<void> {
    let next = 0;
    const failures: unknown[] = [];
    const work = async (): Promise<void> => {
      for (let place = next; place < slots.length; place = next) {
        next += 1;
        const going = slots[place] as Going;
        if (failures.length > 0) this.keep(going);
        else await this.#give(going).catch((error: unknown) => failures.push(error));
      }
    };
    await Promise.all(Array.from({ length: Math.min(PARALLEL, slots.length) }, work));
    if (failures.length > 0) throw failures[0];
  }

  /** Cut first: whoever still has a removed file open would keep its bytes from the drive. */
  async #give(going: Going): Promise<void> {
    const { free, table, files, writeBack, drive } = this.#parts;
    const { slot, retire } = going;
    try {
      if (table.pagesOf(slot) > 0) {
        await files.truncate(slot, 0);
        reached("resize: slot cut");
        this.#gave(slot);
      }
      if (retire) {
        writeBack.forget(slot); // first, so that a sync that finds no file is no failure
        await files.unlink(slot);
        reached("resize: slot removed");
        drive.released(0, 1);
      }
      this.#failures = 0;
    } catch (error) {
      this.#failed(going, error);
      return;
    }
    if (retire) this.#slots -= 1;
    table.move(slot, STATE.filling, retire ? STATE.retired : STATE.free);
    if (!retire) free.give(slot, 0);
  }

  #gave(slot: number): void {
    const pages = this.#parts.table.pagesOf(slot);
    this.#pages -= pages;
    this.#parts.table.setPages(slot, 0);
    this.#budget.payBytes(pages);
    this.#parts.drive.released(pages, 0);
    this.bytes += pages * PAGE_BYTES;
  }

  /** Of a drive that fails altogether no slot is set aside: it stays free. */
  #failed(going: Going, error: unknown): void {
    const { table, files, writeBack, onTrouble } = this.#parts;
    const { slot } = going;
    this.#failures += 1;
    if (this.#failures > FAILURES_MAX) {
      this.keep(going);
      throw error;
    }
    this.stays(going);
    onTrouble("a free slot could not be given back and is set aside", error);
    const gone = errnoOf((error as CacheError).cause) === "ENOENT";
    if (gone) table.setPages(slot, 0);
    table.move(slot, STATE.filling, gone ? STATE.retired : STATE.quarantined);
    files.forget(slot);
    writeBack.forget(slot);
  }
}
