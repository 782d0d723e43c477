/**
 * Room for new tenants: reserves a slot and the bytes it will occupy before data is accepted (allocator.ts). The culler
 * keeps some room ready, so that a writer seldom waits.
 *
 * A slot's way: free → filling (reserve) → used (settle) → leaving (leave, or culled) → free.
 */
import { STATE } from "../slots/slot-table.js";
import { SLOT_PAGES } from "../../index/core/layout.js";
import { Allocator } from "./allocator.js";
import { Budget } from "./budget.js";
import { Culler } from "./culler.js";
import type { FreeLists } from "./free-lists.js";
import { Evictor } from "./evictor.js";
import { GiveBack, type GivenBack } from "./give-back.js";
import { Leaving } from "./leaving.js";
import { Aside, type AsideState } from "./aside.js";
import { StockTaking } from "./stock-taking.js";
import type { Claim, Owner, RoomParts } from "./room-parts.js";
import type { VolumeNames } from "./shares.js";
import { type Reservation, type ReserveAnswer, Waiting } from "./waiting.js";

/** A block of 64 pages takes the place of so many of one page. */
const SHARE_VICTIMS_MAX = SLOT_PAGES;

export class Room {
  /** Slots without a tenant, ready for one. */
  readonly free: FreeLists;
  readonly aside: Aside;
  readonly #parts: RoomParts;
  readonly #budget: Budget;
  readonly #allocator: Allocator;
  readonly #leaving: Leaving;
  readonly #evictor: Evictor;
  readonly #giveBack: GiveBack;
  readonly #culler: Culler;
  readonly #waiting: Waiting;
  readonly #stock: StockTaking;
  #closed = false;

  constructor(parts: RoomParts) {
    this.#parts = parts;
    this.free = parts.free;
    this.aside = new Aside(parts, () => this.#kickForWaiters());
    const { table, limits, committed, onTrouble, now } = parts;
    const budget = new Budget(table, limits, now);
    const allocator = new Allocator(parts, budget);
    const leaving = new Leaving({
      table,
      committed,
      now,
      onTrouble,
      onFree: (slots) => this.#onFree(slots),
      onReleased: (ms) => budget.noteLead(ms),
    });
    const evictor = new Evictor(parts, leaving);
    const waiting = new Waiting({
      take: (pages) => allocator.take(pages),
      reason: (pages) => (parts.drive.allows(pages, 1) ? "no-space" : "drive-full"),
    });
    const giveBack = new GiveBack(parts, budget, leaving, evictor, () => waiting.serve());
    this.#waiting = waiting;
    this.#budget = budget;
    this.#allocator = allocator;
    this.#leaving = leaving;
    this.#evictor = evictor;
    this.#giveBack = giveBack;
    this.#stock = new StockTaking({ table, free: parts.free, onSlice: () => this.changed() });
    this.#culler = new Culler({ room: parts, budget, leaving, evictor, giveBack, waiting });
  }

  /**
   * A slot with room for `pages` pages in state `filling`, or why not. Waiters are served in order. A share that would pass
   * its maximum gives up blocks of its own for it.
   */
  async reserve(pages: number, volume?: VolumeNames): Promise<ReserveAnswer> {
    if (this.#closed) return "closing";
    if (volume !== undefined) this.#fitShare(volume, pages);
    if (this.#waiting.waiters === 0) {
      const reservation = this.#allocator.take(pages);
      if (reservation !== undefined) {
        if (this.#culler.wanting(0.5) || this.#budget.owesBytes()) this.#culler.kick();
        return reservation;
      }
    }
    const answer = this.#waiting.wait(pages);
    this.#culler.kick();
    return answer;
  }

  /** Like reserve, but only a slot whose pages the drive has already allocated, and without waiting. */
  takeAllocated(pages: number): Reservation | undefined {
    return this.#allocator.takeAllocated(pages);
  }

  /** A filled slot got its entry. */
  settle(slot: number, owner: Owner, block: number, validBytes: number): void {
    const { table, ranking, pins } = this.#parts;
    const { id: objectId, volume } = owner;
    table.move(slot, STATE.filling, STATE.used);
    table.setTenant(slot, { volumeId: volume.id, objectId, block }, validBytes);
    const standing = { pinned: pins.covers(owner), held: owner.holds > 0, rank: owner.rank };
    ranking.insert(slot, ranking.shares.of(volume), standing);
    this.#fitShare(volume, 0); // its slot may be larger than it
    this.#kickForWaiters();
  }

  /** Makes room for more pages in a used slot; false if it may not grow now. */
  grow(slot: number, pages: number): boolean {
    const more = pages - this.#parts.table.pagesOf(slot);
    if (more <= 0) return true;
    if (!this.#allocator.grow(slot, more)) return false;
    if (this.#culler.wanting(0.5)) this.#culler.kick();
    return true;
  }

  /** A used slot has more valid bytes of the same tenant. */
  extend(slot: number, owner: Owner, block: number, validBytes: number): void {
    const { table, ranking } = this.#parts;
    table.setTenant(slot, { volumeId: owner.volume.id, objectId: owner.id, block }, validBytes);
    ranking.touch(slot);
    this.#fitShare(owner.volume, 0);
  }

  /** A filled slot will get no entry. */
  giveBack(slot: number): void {
    this.#parts.table.move(slot, STATE.filling, STATE.free);
    this.#onFree([slot]);
  }

  /** The removal of this used slot's entry was queued. */
  leave(slot: number): void {
    this.#parts.ranking.remove(slot);
    this.#parts.table.clearTenant(slot);
    this.#leaving.add(slot);
  }

  /** As Aside.set. */
  setAside(slot: number, state: AsideState): void {
    this.aside.set(slot, state);
  }

  /** The file of a filling slot could not be made; its number is as good as new. */
  notMade(slot: number): void {
    this.setAside(slot, STATE.retired);
    this.#allocator.notMade(slot);
  }

  /** A slot whose file was found on the drive. */
  found(slot: number, pages: number): void {
    const { table, free } = this.#parts;
    table.setPages(slot, Math.min(pages, SLOT_PAGES));
    table.move(slot, STATE.unknown, STATE.free);
    free.give(slot, table.pagesOf(slot));
  }

  /** A slot whose file was found and that an entry of before this session names. */
  claimed({ slot, pages, tenant, share }: Claim, validBytes: number): void {
    const { table, ranking } = this.#parts;
    table.setPages(slot, pages);
    table.move(slot, STATE.unknown, STATE.used);
    table.setTenant(slot, tenant, validBytes);
    ranking.insertUnused(slot, share);
  }

  /** Gives out every slot that the table has as free, as at the start of a life. */
  giveAllFree(): void {
    const { table, free } = this.#parts;
    for (let slot = 0; slot < table.numbers; slot += 1) {
      if (table.stateOf(slot) === STATE.free) free.give(slot, table.pagesOf(slot));
    }
  }

  /** Gives out the slots of a table that was wiped: some at once, the rest beside other work. */
  takeStock(): void {
    this.#stock.start();
  }

  /** To be called when slots became free by other ways than this class's own. */
  changed(): void {
    if (this.#closed) return;
    this.#waiting.serve();
    if (this.#culler.wanting(1)) this.#culler.kick();
  }

  /** The slot is not given to another tenant before endReading. */
  startReading(slot: number): void {
    this.#leaving.startReading(slot);
  }

  endReading(slot: number): void {
    this.#leaving.endReading(slot);
    this.#kickForWaiters();
  }

  /** Whether somebody is between startReading and endReading. */
  isRead(slot: number): boolean {
    return this.#leaving.isRead(slot);
  }

  /**
   * Brings what exists under the limits, which may be lower than last time, and slot files to `usedBytesMax` at most.
   * @returns what went, or undefined if the room was closed before that. @throws {CacheError} E_NO_SPACE.
   */
  async fit(usedBytesMax?: number): Promise<GivenBack | undefined> {
    await this.#stock.done(); // free slots go before blocks
    while (!this.#closed && this.#evictor.fitShares(SHARE_VICTIMS_MAX) > 0) {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    try {
      return await this.#giveBack.fit(usedBytesMax);
    } finally {
      this.changed(); // headroom went first
    }
  }

  /**
   * Drops the least valuable blocks until no more than so much valid data is left, or nothing that may go. Their slots are
   * free then, and stay as large as they are. @returns how many blocks went.
   */
  evict(validBytesMax: number): Promise<number> {
    const { table } = this.#parts;
    return this.#evictor.evictWhile(() => !this.#closed && table.validBytes > validBytesMax);
  }

  /** What is to be kept ready for writers now. */
  get headroom(): { readonly slots: number; readonly pages: number } {
    return { slots: this.#budget.headroomSlots, pages: this.#budget.headroomPages };
  }

  /** Looks at blocks that could not be culled because they were being read; looks that found pinned blocks only. */
  get notCulled(): { readonly inUse: number; readonly pinned: number } {
    return { inUse: this.#evictor.inUse, pinned: this.#evictor.pinned };
  }

  /** The drive was looked at: writers may go on, or slots have to go. */
  driveChanged(): void {
    if (this.#closed) return;
    this.#waiting.serve();
    this.#giveBack.relieveDrive();
  }

  /** Ends all waiting; resolves when no step of the background work is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.close();
    await this.#stock.stop();
    await this.#leaving.close();
    if (!this.#closed) return; // resumed meanwhile: nobody waits for this any more
    await this.#culler.close();
    await this.#giveBack.close();
    if (!this.#closed) return;
    await this.#leaving.close(); // the culler's last slice
  }

  /** Takes reservations again after close. */
  resume(): void {
    this.#closed = false;
    this.#leaving.resume();
    this.#culler.resume();
    this.#giveBack.resume();
    this.#stock.start();
  }

  #onFree(slots: readonly number[]): void {
    const { table, free } = this.#parts;
    for (const slot of slots) if (!this.#giveBack.takes(slot)) free.give(slot, table.pagesOf(slot));
    this.#waiting.serve();
  }

  #fitShare(volume: VolumeNames, pages: number): void {
    const { shares } = this.#parts.ranking;
    const share = shares.of(volume);
    if (shares.isOver(share, pages)) this.#evictor.fitShares(SHARE_VICTIMS_MAX, share, pages);
  }

  #kickForWaiters(): void {
    if (this.#waiting.waiters > 0) this.#culler.kick();
  }
}
