/**
 * Makes room in the background, in bounded slices: culls the least valuable blocks while writers wait, while the
 * headroom is short, a share is over its maximum or the index is pressed, and cuts free slots back where bytes are wanted
 * and slots are not.
 */
import { STATE } from "../slots/slot-table.js";
import type { Budget } from "./budget.js";
import { type Evictor, SLICE_VICTIMS_MAX } from "./evictor.js";
import type { GiveBack } from "./give-back.js";
import type { Leaving } from "./leaving.js";
import type { RoomParts } from "./room-parts.js";
import type { Waiting } from "./waiting.js";
import { reached } from "../../index/core/steps.js";

/** The part of all blocks that goes before the index is looked at again. */
const RELIEF_SHARE = 64;
/** Free slots that a slice cuts back at most. */
const SLICE_CUTS_MAX = 32;
/** On a full drive only a victim of the right size helps; a writer may not cost the cache more than so many. */
const FULL_DRIVE_VICTIMS_MAX = 256;

export interface CullerParts {
  readonly room: RoomParts;
  readonly budget: Budget;
  readonly leaving: Leaving;
  readonly evictor: Evictor;
  readonly giveBack: GiveBack;
  readonly waiting: Waiting;
}

export class Culler {
  readonly #parts: RoomParts;
  readonly #budget: Budget;
  readonly #leaving: Leaving;
  readonly #evictor: Evictor;
  readonly #giveBack: GiveBack;
  readonly #waiting: Waiting;
  #culling: Promise<void> | undefined;
  #relieving: Promise<void> | undefined;
  #fitting: Promise<unknown> | undefined;
  #closed = false;
  /** Culled for the first waiter while the drive allowed nothing new. */
  #fruitless = 0;

  constructor(parts: CullerParts) {
    this.#parts = parts.room;
    this.#budget = parts.budget;
    this.#leaving = parts.leaving;
    this.#evictor = parts.evictor;
    this.#giveBack = parts.giveBack;
    this.#waiting = parts.waiting;
  }

  /** Starts to work unless at it; returns at once. */
  kick(): void {
    if (this.#culling !== undefined || this.#closed) return;
    const giveUp = (error: unknown): void => this.#parts.onTrouble("culling was given up for now", error);
    this.#culling = this.#cull()
      .catch(giveUp)
      .finally(() => {
        this.#culling = undefined;
        if (this.#waiting.waiters > 0 && this.wanting(1) && this.#evictor.possible) this.kick();
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
    // Slots that nobody has looked at yet, or that a wipe emptied, will turn out free.
    if (!table.isSettled) return table.surveying && this.#nothingForWaiters();
    const { headroomSlots, headroomPages } = this.#budget;
    const { waiters, headPages } = this.#waiting;
    if (this.#giveBack.isFitting && waiters === 0) return false; // headroom comes after
    // What is over the limits is given back to the drive, not made ready.
    const growth = this.#parts.drive.allows(1, 1) ? Math.max(0, this.#budget.growthPages()) : 0;
    const slotsReady = free.slots + this.#leaving.slots + Math.min(this.#budget.creatableSlots(), growth);
    // One more to be cut back, or every waiter would take what comes free, however large.
    const toCut = this.#budget.owesBytes() ? 1 : 0;
    if (slotsReady < Math.ceil(headroomSlots * share) + waiters + toCut) return true;
    const pagesReady = free.pages + this.#leaving.pages + growth;
    if (pagesReady < Math.ceil(headroomPages * share) + (headPages ?? 0)) return true;
    // Pages that lie in slots too small can't be put together when nothing may grow.
    if (headPages !== undefined && growth === 0 && this.#leaving.slots === 0) {
      return free.smallestAtLeast(headPages) === undefined && !this.#canCutFor(headPages);
    }
    return false;
  }

  /** While slots are told from the index, free ones are not known; a writer need not wait for the end of that. */
  #nothingForWaiters(): boolean {
    const { headPages } = this.#waiting;
    const isIdle = headPages !== undefined && this.#leaving.slots === 0;
    return isIdle && this.#parts.free.smallestAtLeast(headPages) === undefined;
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
      // The index grew at the cost of the slots.
      if (this.#parts.table.usedBytes > this.#parts.limits.slotBytesMax) this.#fit();
      const beganMs = this.#parts.now();
      let evicted = this.#evictor.fitShares(SLICE_VICTIMS_MAX);
      evicted += this.#evictor.evict(SLICE_VICTIMS_MAX, () => this.#wantingRoom(1));
      // A slice ends with its commit: only then are its slots free, and writers have had their turn.
      if (this.#leaving.slots > 0) await this.#leaving.released();
      if (evicted > 0) {
        reached("cull: committed");
        this.#parts.onSlice(beganMs);
      }
      const refused = this.#giveUpOnFullDrive(evicted);
      const cuts = await this.#cutBack();
      this.#waiting.serve();
      idle = evicted === 0 && cuts === 0 && !refused;
    }
  }

  /** In the background: it may have to wait for readers. */
  #fit(): void {
    if (this.#fitting !== undefined) return;
    this.#fitting = this.#giveBack
      .fit()
      .then(() => {
        if (this.wanting(1)) this.kick(); // headroom waited for the last fit to end
      })
      .catch((error: unknown) => this.#parts.onTrouble("what exists could not be made to fit for now", error))
      .finally(() => {
        this.#fitting = undefined;
      });
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
    const { sweep, indexPressed, table } = this.#parts;
    let metadataGives = await sweep(); // what earlier culling left may be enough
    while (!this.#closed && indexPressed() && this.#evictor.possible) {
      const share = Math.floor(table.countOf(STATE.used) / RELIEF_SHARE);
      for (
        // Where metadata is what fills the index, blocks give up their share and no more.
        let left = metadataGives ? share : Math.max(SLICE_VICTIMS_MAX, share);
        left > 0 && !this.#closed;
        left -= SLICE_VICTIMS_MAX
      ) {
        const beganMs = this.#parts.now();
        this.#evictor.evict(Math.min(left, SLICE_VICTIMS_MAX), () => true);
        await this.#leaving.released();
        this.#parts.onSlice(beganMs);
      }
      metadataGives = await sweep();
    }
  }

  /** @returns whether a writer was told to do without. */
  #giveUpOnFullDrive(evicted: number): boolean {
    const { headPages } = this.#waiting;
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
    this.#waiting.refuseHead();
    return true;
  }

  /** Whether there is any slot that could become free without anything new on the drive. */
  #mayComeFree(): boolean {
    const { table } = this.#parts;
    return [STATE.used, STATE.filling, STATE.leaving, STATE.unknown, STATE.wiped].some(
      (state) => table.countOf(state) > 0,
    );
  }

  /** Cuts free slots back for a waiter, or to work off what tenants waste in slots too large for them. */
  async #cutBack(): Promise<number> {
    let cuts = 0;
    while (cuts < SLICE_CUTS_MAX && !this.#closed) {
      this.#waiting.serve();
      const { headPages } = this.#waiting;
      const forWaiter = headPages !== undefined && this.#canCutFor(headPages);
      if (!forWaiter && !this.#budget.owesBytes()) break;
      if (!(await this.#giveBack.cutOne())) break;
      cuts += 1;
    }
    return cuts;
  }

  #canCutFor(pages: number): boolean {
    const { free, drive, table } = this.#parts;
    if (free.slots < 2 || !table.isSettled) return false;
    if (free.smallestAtLeast(pages) !== undefined) return false;
    return free.pages + this.#budget.growthPages() >= pages && drive.allows(0, 0);
  }
}
