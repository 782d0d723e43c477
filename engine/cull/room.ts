/**
 * Room for new tenants: reserves a slot and the bytes it will occupy before data is accepted, and keeps some ready by
 * culling in the background, so that a writer seldom waits. Both limits of the capacity hold at every moment because
 * every page is counted here before it is written.
 *
 * A slot's way: free → filling (reserve) → used (settle) → leaving (leave, or culled) → free, the last step only when
 * the removal of its entry is committed and nobody reads it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { NO_SLOT, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { BypassReason } from "../api.js";
import type { SlotFiles } from "../slots/slot-files.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import type { WriteBack } from "../slots/write-back.js";
import type { Drive } from "./drive.js";
import type { FreeLists } from "./free-lists.js";
import type { CullPolicy } from "./policy.js";

/** Victims a slice; between slices other work has its turn. */
const SLICE_VICTIMS_MAX = 64;
/** Free slots that a slice cuts back at most. */
const SLICE_CUTS_MAX = 32;
/** How long a writer waits for room before it is told to do without. */
export const RESERVE_WAIT_MS = 2000;
export const RESERVE_WAITERS_MAX = 4096;
/** Headroom in slots: one of so many, within bounds. */
const HEADROOM_SHARE = 64;
const HEADROOM_SLOTS_MAX = 256;
/** A tenant in a slot more than so many times its size is a reason to cut another free slot back. */
const OVERSIZE_FACTOR = 4;
const FULL_DRIVE_VICTIMS_MAX = 256;
const COMMIT_RETRY_MS = 100;

export interface Reservation {
  readonly slot: number;
  /** The slot's file does not exist yet. */
  readonly create: boolean;
}

export interface RoomLimits {
  /** For slot files alone: the capacity less the index's share. */
  readonly slotBytesMax: number;
  readonly slotsMax: number;
}

export interface RoomParts {
  readonly table: SlotTable;
  readonly free: FreeLists;
  readonly policy: CullPolicy;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly drive: Drive;
  readonly limits: RoomLimits;
  /** Queues the removal of the entry that names this slot's tenant. */
  readonly dropEntry: (slot: number) => void;
  /** Resolves when all that is queued is committed. */
  readonly committed: () => Promise<void>;
  /** The index has used so much of its share that blocks have to go. */
  readonly indexPressed: () => boolean;
  readonly onCulled: (slot: number) => void;
  readonly onTrouble: (message: string, error: unknown) => void;
}

interface Waiter {
  readonly pages: number;
  /** Culled on its behalf while the drive allows nothing new. */
  victims: number;
  readonly done: (answer: Reservation | BypassReason) => void;
}

export class Room {
  readonly #parts: RoomParts;
  readonly #waiters: Waiter[] = [];
  readonly #readers = new Map<number, number>();
  /** Left since the commit under way began. */
  #leaving: number[] = [];
  /** All slots that left and are not free yet, and their pages; then those whose removal is committed but that are read. */
  #leavingSlots = 0;
  #leavingPages = 0;
  readonly #leftButRead = new Set<number>();
  #releasing: Promise<void> | undefined;
  #culling: Promise<void> | undefined;
  /** Pages that tenants waste in slots too large for them; worked off by cutting free slots back. */
  #debtPages = 0;
  #closed = false;
  readonly #headroomSlots: number;
  readonly #headroomPages: number;

  constructor(parts: RoomParts) {
    this.#parts = parts;
    const { slotBytesMax, slotsMax } = parts.limits;
    this.#headroomSlots = Math.min(HEADROOM_SLOTS_MAX, Math.max(1, Math.floor(slotsMax / HEADROOM_SHARE)));
    const pages = Math.floor(slotBytesMax / PAGE_BYTES);
    this.#headroomPages = Math.min(
      this.#headroomSlots * SLOT_PAGES,
      Math.max(SLOT_PAGES, Math.floor(pages / HEADROOM_SHARE)),
    );
  }

  /** A slot with room for `pages` pages in state `filling`, or why not. Waiters are served in order. */
  async reserve(pages: number): Promise<Reservation | BypassReason> {
    if (this.#closed) return "closing";
    if (this.#waiters.length === 0) {
      const reservation = this.#take(pages);
      if (reservation !== undefined) {
        if (this.#wanting(0.5) || this.#debtPages > 0) this.#kick();
        return reservation;
      }
    }
    if (this.#waiters.length >= RESERVE_WAITERS_MAX) return "overload";
    return this.#wait(pages);
  }

  /** Like reserve, but only a slot whose pages the drive has already allocated, and without waiting. */
  takeAllocated(pages: number): Reservation | undefined {
    const slot = this.#parts.free.takeAtLeast(pages);
    return slot === undefined ? undefined : this.#fill(slot, false);
  }

  /** A filled slot got its entry. */
  settle(slot: number, objectId: number, block: number, validBytes: number): void {
    this.#parts.table.move(slot, STATE.filling, STATE.used);
    this.#parts.table.setTenant(slot, objectId, block, validBytes);
    this.#parts.policy.insert(slot);
    if (this.#waiters.length > 0) this.#kick();
  }

  /** A filled slot will get no entry. */
  giveBack(slot: number): void {
    this.#parts.table.move(slot, STATE.filling, STATE.free);
    this.#freed(slot);
    this.#serve();
  }

  /** The removal of this slot's entry was queued; it is free once that is committed and its readers are done. */
  leave(slot: number): void {
    const { table, policy } = this.#parts;
    table.move(slot, STATE.used, STATE.leaving);
    table.clearTenant(slot);
    policy.remove(slot);
    this.#leaving.push(slot);
    this.#leavingSlots += 1;
    this.#leavingPages += table.pagesOf(slot);
    this.#releasing ??= this.#release();
  }

  /** Takes a slot that is filling or leaving out of use: after trouble, or because its file is gone. */
  setAside(slot: number, state: typeof STATE.quarantined | typeof STATE.retired): void {
    const { table, files } = this.#parts;
    const leaving = table.stateOf(slot) === STATE.leaving;
    table.move(slot, table.stateOf(slot), state);
    files.forget(slot);
    // The pages of a leaving slot are counted off when its turn comes.
    if (state === STATE.retired && !leaving) table.setPages(slot, 0);
    if (this.#waiters.length > 0) this.#kick();
  }

  /** A slot whose file was found on the drive. */
  found(slot: number, pages: number): void {
    const { table } = this.#parts;
    table.setPages(slot, Math.min(pages, SLOT_PAGES));
    table.move(slot, STATE.unknown, STATE.free);
    this.#freed(slot);
  }

  /** Gives out every slot that the table has as free, as at the start of a life. */
  giveAllFree(): void {
    const { table } = this.#parts;
    for (let slot = 0; slot < table.numbers; slot += 1)
      if (table.stateOf(slot) === STATE.free) this.#freed(slot);
  }

  /** To be called when slots became free by other ways than this class's own. */
  changed(): void {
    this.#serve();
    if (this.#wanting(1)) this.#kick();
  }

  startReading(slot: number): void {
    this.#readers.set(slot, (this.#readers.get(slot) ?? 0) + 1);
  }

  endReading(slot: number): void {
    const readers = (this.#readers.get(slot) ?? 1) - 1;
    if (readers > 0) {
      this.#readers.set(slot, readers);
      return;
    }
    this.#readers.delete(slot);
    if (this.#leftButRead.delete(slot)) {
      this.#becomeFree(slot);
      this.#serve();
    }
    if (this.#waiters.length > 0) this.#kick();
  }

  /** Brings what exists under the limits, which may be lower than last time, before anything new is accepted. */
  async trim(): Promise<void> {
    const { table, limits, free } = this.#parts;
    while (table.usedBytes > limits.slotBytesMax || table.existing > limits.slotsMax) {
      if (free.slots === 0) {
        if (this.#evict(SLICE_VICTIMS_MAX, () => true) === 0) break;
        await this.#releasing;
      } else if (table.existing > limits.slotsMax) this.#retireOne();
      else if (!(await this.#cutOne(SLOT_PAGES + 1))) {
        if (this.#evict(SLICE_VICTIMS_MAX, () => true) === 0) break;
        await this.#releasing;
      }
    }
  }

  /** Ends all waiting; resolves when no step of the background work is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const waiter of this.#waiters.splice(0)) waiter.done("closing");
    await this.#culling;
    await this.#releasing;
  }

  // Reserving

  #take(pages: number): Reservation | undefined {
    const { table, free, drive } = this.#parts;
    const fitting = free.smallestAtLeast(pages);
    if (fitting !== undefined && (fitting <= pages * OVERSIZE_FACTOR || !this.#hasRoomFor(pages))) {
      const slot = free.takeAtLeast(pages) as number;
      if (fitting > pages * OVERSIZE_FACTOR)
        this.#debtPages = Math.min(this.#headroomPages, this.#debtPages + fitting - pages);
      return this.#fill(slot, false);
    }
    const smaller = free.largestBelow(pages);
    if (smaller !== undefined && this.#mayGrow(pages - smaller, 0)) {
      const slot = free.takeBelow(pages, smaller) as number;
      table.setPages(slot, pages);
      drive.granted(pages - smaller, 0);
      return this.#fill(slot, false);
    }
    if (this.#creatable() > 0 && this.#mayGrow(pages, 1)) {
      const slot = table.append(STATE.free);
      table.setPages(slot, pages);
      drive.granted(pages, 1);
      return this.#fill(slot, true);
    }
    if (fitting === undefined) return undefined;
    return this.#fill(free.takeAtLeast(pages) as number, false);
  }

  #fill(slot: number, create: boolean): Reservation {
    this.#parts.table.move(slot, STATE.free, STATE.filling);
    return { slot, create };
  }

  /** Whether a small tenant could do without a slot that is far too large for it. */
  #hasRoomFor(pages: number): boolean {
    return this.#parts.free.largestBelow(pages) !== undefined || this.#creatable() > 0
      ? this.#mayGrow(pages, 1)
      : false;
  }

  #creatable(): number {
    const { table, limits } = this.#parts;
    const retired = table.countOf(STATE.retired);
    if (table.countOf(STATE.unknown) > 0 || table.numbers >= NO_SLOT) return 0;
    return Math.max(0, limits.slotsMax - (table.numbers - retired));
  }

  #growthPages(): number {
    const { table, limits } = this.#parts;
    // What unknown slots occupy is not known, so nothing grows before they were looked at.
    if (table.countOf(STATE.unknown) > 0) return 0;
    return Math.floor((limits.slotBytesMax - table.usedBytes) / PAGE_BYTES);
  }

  #mayGrow(pages: number, inodes: number): boolean {
    return pages <= this.#growthPages() && this.#parts.drive.allows(pages, inodes);
  }

  #wait(pages: number): Promise<Reservation | BypassReason> {
    return new Promise((resolve) => {
      const waiter: Waiter = {
        pages,
        victims: 0,
        done: (answer) => {
          clearTimeout(timer);
          resolve(answer);
        },
      };
      const timer = setTimeout(() => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        resolve(this.#parts.drive.allows(pages, 1) ? "no-space" : "drive-full");
        this.#serve();
      }, RESERVE_WAIT_MS);
      this.#waiters.push(waiter);
      this.#kick();
    });
  }

  #serve(): void {
    for (let head = this.#waiters[0]; head !== undefined; head = this.#waiters[0]) {
      const reservation = this.#take(head.pages);
      if (reservation === undefined) return;
      this.#waiters.shift();
      head.done(reservation);
    }
  }

  // Culling

  /**
   * Whether victims are wanted: for those who wait, for `share` of the headroom, or for the index. Culling starts when
   * half of the headroom is gone and goes on until it is whole.
   */
  #wanting(share: number): boolean {
    const { free } = this.#parts;
    const head = this.#waiters[0];
    const growth = this.#parts.drive.allows(1, 1) ? this.#growthPages() : 0;
    const slotsReady = free.slots + this.#leavingSlots + Math.min(this.#creatable(), growth);
    if (slotsReady < Math.ceil(this.#headroomSlots * share) + this.#waiters.length) return true;
    const pagesReady = free.pages + this.#leavingPages + growth;
    if (pagesReady < Math.ceil(this.#headroomPages * share) + (head?.pages ?? 0)) return true;
    // Pages that lie in slots too small can't be put together when nothing may grow.
    if (head !== undefined && growth === 0 && this.#leavingSlots === 0) {
      return free.smallestAtLeast(head.pages) === undefined && !this.#canCutFor(head.pages);
    }
    return this.#parts.indexPressed();
  }

  #kick(): void {
    if (this.#culling !== undefined || this.#closed) return;
    this.#culling = this.#cull().finally(() => {
      this.#culling = undefined;
      if (
        this.#waiters.length > 0 &&
        this.#wanting(1) &&
        this.#parts.policy.victim(this.#mayLeave) !== undefined
      ) {
        this.#kick();
      }
    });
  }

  async #cull(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    let idle = false;
    while (!idle && !this.#closed) {
      const evicted = this.#evict(SLICE_VICTIMS_MAX, () => this.#wanting(1));
      // A slice ends with its commit: only then are its slots free, and writers have had their turn.
      if (this.#leavingSlots > 0) await this.#releasing;
      this.#giveUpOn(evicted);
      const cut = await this.#cutBack();
      this.#serve();
      idle = evicted === 0 && cut === 0;
    }
  }

  /** On a full drive only a victim of the right size helps; a waiter may not cost the cache everything it has. */
  #giveUpOn(evicted: number): void {
    const head = this.#waiters[0];
    if (head === undefined || this.#parts.drive.allows(head.pages, 1)) return;
    head.victims += evicted;
    if (head.victims <= FULL_DRIVE_VICTIMS_MAX || this.#parts.free.smallestAtLeast(head.pages) !== undefined)
      return;
    this.#waiters.shift();
    head.done("drive-full");
  }

  readonly #mayLeave = (slot: number): boolean => !this.#readers.has(slot);

  #evict(victimsMax: number, wanted: () => boolean): number {
    const { policy, dropEntry, onCulled } = this.#parts;
    let victims = 0;
    while (victims < victimsMax && wanted()) {
      const slot = policy.victim(this.#mayLeave);
      if (slot === undefined) break;
      dropEntry(slot);
      onCulled(slot);
      this.leave(slot);
      victims += 1;
    }
    return victims;
  }

  /** Cuts free slots back where bytes are wanted and slots are not: for a waiter, or to work the debt off. */
  async #cutBack(): Promise<number> {
    let cuts = 0;
    while (cuts < SLICE_CUTS_MAX && !this.#closed) {
      this.#serve();
      const head = this.#waiters[0];
      const forWaiter = head !== undefined && this.#canCutFor(head.pages);
      const forDebt = this.#debtPages > 0 && this.#growthPages() < this.#headroomPages;
      if (!forWaiter && !forDebt) {
        if (this.#growthPages() >= this.#headroomPages) this.#debtPages = 0;
        break;
      }
      if (!(await this.#cutOne(SLOT_PAGES + 1))) break;
      cuts += 1;
    }
    return cuts;
  }

  #canCutFor(pages: number): boolean {
    const { free, drive } = this.#parts;
    if (free.slots < 2 || this.#parts.table.countOf(STATE.unknown) > 0) return false;
    return (
      free.smallestAtLeast(pages) === undefined &&
      free.pages + this.#growthPages() >= pages &&
      drive.allows(0, 0)
    );
  }

  /** Gives the pages of the largest free slot back to the drive; false if no free slot has any. */
  async #cutOne(pagesBelow: number): Promise<boolean> {
    const { free, table, files, onTrouble } = this.#parts;
    const slot = free.takeBelow(pagesBelow, 1);
    if (slot === undefined) return false;
    table.move(slot, STATE.free, STATE.filling);
    this.#debtPages = Math.max(0, this.#debtPages - table.pagesOf(slot));
    try {
      await files.truncate(slot, 0);
      table.setPages(slot, 0);
      table.move(slot, STATE.filling, STATE.free);
      this.#freed(slot);
    } catch (error) {
      onTrouble("a free slot could not be cut back and is set aside", error);
      this.setAside(slot, STATE.quarantined);
    }
    return true;
  }

  #retireOne(): void {
    const { free, table, files, writeBack, onTrouble } = this.#parts;
    const slot = free.takeAtLeast(0) as number;
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

  // Leaving

  /** Frees what left once its removal is committed; one at a time, each commit for all that left before it. */
  async #release(): Promise<void> {
    await Promise.resolve(); // so that #releasing is set before this can end
    while (this.#leaving.length > 0) {
      const slots = this.#leaving;
      this.#leaving = [];
      while (!(await this.#commit())) {
        if (this.#closed) return;
        await sleep(COMMIT_RETRY_MS);
      }
      for (const slot of slots) {
        this.#leavingSlots -= 1;
        this.#leavingPages -= this.#parts.table.pagesOf(slot);
        this.#becomeFree(slot);
      }
      this.#serve();
    }
    this.#releasing = undefined;
  }

  async #commit(): Promise<boolean> {
    try {
      await this.#parts.committed();
      return true;
    } catch (error) {
      this.#parts.onTrouble("the index could not commit; slots wait for it", error);
      return false;
    }
  }

  #becomeFree(slot: number): void {
    const { table } = this.#parts;
    if (this.#readers.has(slot)) this.#leftButRead.add(slot);
    else if (table.stateOf(slot) === STATE.leaving) {
      table.move(slot, STATE.leaving, STATE.free);
      this.#freed(slot);
    } else if (table.stateOf(slot) === STATE.retired) table.setPages(slot, 0);
  }

  #freed(slot: number): void {
    this.#parts.free.give(slot, this.#parts.table.pagesOf(slot));
  }
}
