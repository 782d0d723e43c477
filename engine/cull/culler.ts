/**
 * Makes room in the background, in bounded slices: culls the least valuable blocks while writers wait, while the
 * headroom is short or while the index is pressed, and cuts free slots back where bytes are wanted and slots are not.
 */
import { type CacheError, errnoOf } from "../../index/core/errors.js";
import { SLOT_PAGES } from "../../index/core/layout.js";
import { STATE } from "../slots/slot-table.js";
import { Budget } from "./budget.js";
import type { Leaving } from "./leaving.js";
import type { RoomParts } from "./room.js";

/** Victims a slice; between slices other work has its turn. */
const SLICE_VICTIMS_MAX = 64;
/** The part of all blocks that goes before the index is looked at again. */
const RELIEF_SHARE = 64;
/** Free slots that a slice cuts back at most. */
const SLICE_CUTS_MAX = 32;
/** On a full drive only a victim of the right size helps; a writer may not cost the cache more than so many. */
const FULL_DRIVE_VICTIMS_MAX = 256;

/** Writers that wait for room. */
export interface Demand {
  readonly waiters: number;
  /** Pages that the first of them wants. */
  readonly headPages: number | undefined;
  /** Serves as many as can be served. */
  serve(): void;
  /** Tells the first that the drive is full. */
  refuseHead(): void;
}

export class Culler {
  readonly #parts: RoomParts;
  readonly #budget: Budget;
  readonly #leaving: Leaving;
  readonly #demand: Demand;
  #culling: Promise<void> | undefined;
  #relieving: Promise<void> | undefined;
  #closed = false;
  /** Culled for the first waiter while the drive allowed nothing new. */
  #fruitless = 0;

  constructor(parts: RoomParts, budget: Budget, leaving: Leaving, demand: Demand) {
    this.#parts = parts;
    this.#budget = budget;
    this.#leaving = leaving;
    this.#demand = demand;
  }

  /** Starts to work unless at it; returns at once. */
  kick(): void {
    if (this.#culling !== undefined || this.#closed) return;
    const giveUp = (error: unknown): void => this.#parts.onTrouble("culling was given up for now", error);
    this.#culling = this.#cull()
      .catch(giveUp)
      .finally(() => {
        this.#culling = undefined;
        const useful =
          this.#demand.waiters > 0 &&
          this.wanting(1) &&
          this.#parts.policy.victim(this.#mayLeave) !== undefined;
        if (useful) this.kick();
      });
  }

  /**
   * Whether victims are wanted: for those who wait, for `share` of the headroom, or for the index. Culling starts when
   * half of the headroom is gone and goes on until it is whole.
   */
  wanting(share: number): boolean {
    return this.#wantingRoom(share) || this.#parts.indexPressed();
  }

  #wantingRoom(share: number): boolean {
    const { free, table } = this.#parts;
    // Slots that nobody has looked at yet will turn out free.
    if (table.countOf(STATE.unknown) > 0) return false;
    const { headroomSlots, headroomPages } = this.#budget;
    const { waiters, headPages } = this.#demand;
    const growth = this.#parts.drive.allows(1, 1) ? this.#budget.growthPages() : 0;
    const slotsReady = free.slots + this.#leaving.slots + Math.min(this.#budget.creatableSlots(), growth);
    if (slotsReady < Math.ceil(headroomSlots * share) + waiters) return true;
    const pagesReady = free.pages + this.#leaving.pages + growth;
    if (pagesReady < Math.ceil(headroomPages * share) + (headPages ?? 0)) return true;
    // Pages that lie in slots too small can't be put together when nothing may grow.
    if (headPages !== undefined && growth === 0 && this.#leaving.slots === 0) {
      return free.smallestAtLeast(headPages) === undefined && !this.#canCutFor(headPages);
    }
    return false;
  }

  /** Brings what exists under the limits, which may be lower than last time, before anything new is accepted. */
  async trim(usedBytesMax = Number.POSITIVE_INFINITY): Promise<void> {
    const { table, limits, free } = this.#parts;
    let steps = 0;
    const bytesMax = () => Math.min(usedBytesMax, limits.slotBytesMax);
    while (!this.#closed && (table.usedBytes > bytesMax() || table.existing > limits.slotsMax)) {
      steps += 1;
      if (steps % SLICE_VICTIMS_MAX === 0) await new Promise<void>((resolve) => setImmediate(resolve));
      if (free.slots > 0 && table.existing > limits.slotsMax) this.#retireOne();
      else if (!(await this.#cutOne())) {
        if (this.#evict(SLICE_VICTIMS_MAX, () => true) === 0) return;
        await this.#leaving.released();
      }
    }
  }

  /** Resolves when no step is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#culling;
    await this.#relieving;
  }

  resume(): void {
    this.#closed = false;
  }

  async #cull(): Promise<void> {
    let idle = false;
    while (!idle && !this.#closed) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#parts.indexPressed()) this.#relieve();
      if (this.#parts.table.usedBytes > this.#parts.limits.slotBytesMax) await this.trim();
      const evicted = this.#evict(SLICE_VICTIMS_MAX, () => this.#wantingRoom(1));
      // A slice ends with its commit: only then are its slots free, and writers have had their turn.
      if (this.#leaving.slots > 0) await this.#leaving.released();
      const refused = this.#giveUpOnFullDrive(evicted);
      const cuts = await this.#cutBack();
      this.#demand.serve();
      idle = evicted === 0 && cuts === 0 && !refused;
    }
  }

  /** Culls for the index's sake, beside the culling for room: a slice, then a sweep of the records it left, and so on. */
  #relieve(): void {
    if (this.#relieving !== undefined || this.#closed) return;
    const giveUp = (error: unknown): void =>
      this.#parts.onTrouble("the index could not be relieved for now", error);
    this.#relieving = this.#relieveIndex()
      .catch(giveUp)
      .finally(() => {
        this.#relieving = undefined;
      });
  }

  async #relieveIndex(): Promise<void> {
    const { policy, sweep, indexPressed, table } = this.#parts;
    await sweep(); // what earlier culling left may be enough
    while (!this.#closed && indexPressed() && policy.victim(this.#mayLeave) !== undefined) {
      const share = Math.ceil(table.countOf(STATE.used) / RELIEF_SHARE);
      for (
        let left = Math.max(SLICE_VICTIMS_MAX, share);
        left > 0 && !this.#closed;
        left -= SLICE_VICTIMS_MAX
      ) {
        this.#evict(Math.min(left, SLICE_VICTIMS_MAX), () => true);
        await this.#leaving.released();
      }
      await sweep();
    }
  }

  readonly #mayLeave = (slot: number): boolean => !this.#leaving.isRead(slot);

  #evict(victimsMax: number, wanted: () => boolean): number {
    const { policy, table, dropEntry, onCulled } = this.#parts;
    let victims = 0;
    while (victims < victimsMax && wanted()) {
      const slot = policy.victim(this.#mayLeave);
      if (slot === undefined) break;
      dropEntry(slot);
      onCulled(slot);
      policy.remove(slot);
      table.clearTenant(slot);
      this.#leaving.add(slot);
      victims += 1;
    }
    return victims;
  }

  /** @returns whether a writer was told to do without. */
  #giveUpOnFullDrive(evicted: number): boolean {
    const { headPages } = this.#demand;
    const { drive, free } = this.#parts;
    if (
      headPages === undefined ||
      drive.allows(headPages, 1) ||
      free.smallestAtLeast(headPages) !== undefined
    ) {
      this.#fruitless = 0;
      return false;
    }
    this.#fruitless += evicted;
    if (this.#fruitless <= FULL_DRIVE_VICTIMS_MAX && this.#mayComeFree()) return false;
    this.#fruitless = 0;
    this.#demand.refuseHead();
    return true;
  }

  /** Whether there is any slot that could become free without anything new on the drive. */
  #mayComeFree(): boolean {
    const { table } = this.#parts;
    return [STATE.used, STATE.filling, STATE.leaving, STATE.unknown].some(
      (state) => table.countOf(state) > 0,
    );
  }

  /** Cuts free slots back for a waiter, or to work off what tenants waste in slots too large for them. */
  async #cutBack(): Promise<number> {
    let cuts = 0;
    while (cuts < SLICE_CUTS_MAX && !this.#closed) {
      this.#demand.serve();
      const { headPages } = this.#demand;
      const forWaiter = headPages !== undefined && this.#canCutFor(headPages);
      if (!forWaiter && !this.#budget.owesBytes()) break;
      if (!(await this.#cutOne())) break;
      cuts += 1;
    }
    return cuts;
  }

  #canCutFor(pages: number): boolean {
    const { free, drive, table } = this.#parts;
    if (free.slots < 2 || table.countOf(STATE.unknown) > 0) return false;
    if (free.smallestAtLeast(pages) !== undefined) return false;
    return free.pages + this.#budget.growthPages() >= pages && drive.allows(0, 0);
  }

  /** Gives the pages of the largest free slot back to the drive; false if no free slot has any. */
  async #cutOne(): Promise<boolean> {
    const { free, table, files, writeBack, onTrouble } = this.#parts;
    const slot = free.takeBelow(SLOT_PAGES + 1, 1);
    if (slot === undefined) return false;
    table.move(slot, STATE.free, STATE.filling);
    this.#budget.payBytes(table.pagesOf(slot));
    try {
      await files.truncate(slot, 0);
      table.setPages(slot, 0);
      table.move(slot, STATE.filling, STATE.free);
      free.give(slot, 0);
    } catch (error) {
      onTrouble("a free slot could not be cut back and is set aside", error);
      const gone = errnoOf((error as CacheError).cause) === "ENOENT";
      if (gone) table.setPages(slot, 0);
      table.move(slot, STATE.filling, gone ? STATE.retired : STATE.quarantined);
      files.forget(slot);
      writeBack.forget(slot);
    }
    return true;
  }

  #retireOne(): void {
    const { free, table, files, writeBack, onTrouble } = this.#parts;
    const slot = free.takeAtLeast(0);
    if (slot === undefined) return;
    try {
      files.unlink(slot);
      writeBack.forget(slot);
      table.move(slot, STATE.free, STATE.retired);
      table.setPages(slot, 0);
    } catch (error) {
      onTrouble("a free slot could not be removed and is set aside", error);
      table.move(slot, STATE.free, STATE.quarantined);
    }
  }
}
