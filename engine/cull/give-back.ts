/**
 * Gives room back to the drive, because limits are lower, somebody asks for it, or the drive runs short: free slots first,
 * then victims. Slots evicted for this purpose are claimed, so that no writer gets them first.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { STATE } from "../slots/slot-table.js";
import type { Budget } from "./budget.js";
import { type Evictor, SLICE_VICTIMS_MAX } from "./evictor.js";
import type { Leaving } from "./leaving.js";
import { type Going, type Need, Outgoing } from "./outgoing.js";
import type { RoomParts } from "./room-parts.js";

/** Free slots that go in one round. */
const ROUND_SLOTS = 64;
/** Slices of victims that share a commit, which writes their removals in one turn: some 10 µs each. */
const SLICES_A_COMMIT = 3;
/** Nothing could be given back for so long: what is left is in use. */
const FIT_WAIT_MS = 5000;
const FIT_RETRY_MS = 20;

export interface GivenBack {
  readonly blocks: number;
  readonly bytes: number;
}

export class GiveBack {
  readonly #parts: RoomParts;
  readonly #budget: Budget;
  readonly #leaving: Leaving;
  readonly #evictor: Evictor;
  readonly #outgoing: Outgoing;
  readonly #serve: () => void;
  /** Evicted for the drive's sake and on their way out, with whether their numbers are to be retired. */
  readonly #claimed = new Map<number, Going>();
  /** Claimed, and without a tenant by now. */
  #ready: Going[] = [];
  readonly #running = new Set<Promise<unknown>>();
  #fits = 0;
  #relieving: Promise<void> | undefined;
  #closed = false;

  /** @param serve told when there are free slots that were spoken for until now. */
  constructor(parts: RoomParts, budget: Budget, leaving: Leaving, evictor: Evictor, serve: () => void) {
    this.#parts = parts;
    this.#budget = budget;
    this.#leaving = leaving;
    this.#evictor = evictor;
    this.#outgoing = new Outgoing(parts, budget);
    this.#serve = serve;
  }

  /** Whether this slot, free from now on, was claimed; then it is no writer's. */
  takes(slot: number): boolean {
    const going = this.#claimed.get(slot);
    if (going === undefined) return false;
    this.#claimed.delete(slot);
    this.#parts.table.move(slot, STATE.free, STATE.filling);
    this.#ready.push(going);
    return true;
  }

  /**
   * Brings what exists under the limits, and slot files to `usedBytesMax` at most. @returns what went, or undefined if
   * this was closed before the end. @throws {CacheError} E_NO_SPACE when what is in use keeps it from getting there; E_IO.
   */
  fit(usedBytesMax = Number.POSITIVE_INFINITY): Promise<GivenBack | undefined> {
    return this.#run(this.#fit(usedBytesMax));
  }

  /** Free slots go to the drive just now: culling ahead of writers would only feed that. */
  get isFitting(): boolean {
    return this.#fits > 0;
  }

  /** Starts to give back what the drive lacks, unless at it; returns at once. */
  relieveDrive(): void {
    if (this.#relieving !== undefined || this.#closed) return;
    const { pages, inodes } = this.#parts.drive.shortage();
    if (pages === 0 && inodes === 0) return;
    this.#relieving = this.#run(this.#relieve())
      .catch((error: unknown) => this.#parts.onTrouble("the drive could not be relieved for now", error))
      .finally(() => {
        this.#relieving = undefined;
      });
  }

  /** Gives the pages of the largest free slot back to the drive; false if no free slot has any, or the drive fails. */
  async cutOne(): Promise<boolean> {
    const slot = this.#parts.free.takeBelow(SLOT_PAGES + 1, 1);
    if (slot === undefined) return false;
    this.#parts.table.move(slot, STATE.free, STATE.filling);
    try {
      await this.#outgoing.giveAll([this.#outgoing.goes(slot, false)]);
      return true;
    } catch (error) {
      this.#parts.onTrouble("free slots could not be cut back for now", error);
      return false;
    }
  }

  /** Resolves when no step is under way. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#running);
  }

  resume(): void {
    this.#closed = false;
  }

  async #run<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work);
    try {
      return await work;
    } finally {
      this.#running.delete(work);
      if (this.#running.size === 0) this.#unclaim();
    }
  }

  async #fit(usedBytesMax: number): Promise<GivenBack | undefined> {
    this.#fits += 1;
    // Else writers take as fast as is given back, and there is no end.
    const lift = this.#budget.lower(usedBytesMax);
    try {
      return await this.#fitTo(usedBytesMax);
    } finally {
      lift();
      this.#fits -= 1;
    }
  }

  async #fitTo(usedBytesMax: number): Promise<GivenBack | undefined> {
    const { table, limits } = this.#parts;
    const need = (): Need => ({
      pages: (table.usedBytes - Math.min(usedBytesMax, limits.slotBytesMax)) / PAGE_BYTES,
      slots: table.existing - limits.slotsMax,
    });
    const bytesBefore = this.#outgoing.bytes;
    let blocks = 0;
    let waitedMs = 0;
    for (let left = need(); left.pages > 0 || left.slots > 0;) {
      if (this.#closed) return undefined;
      const { gave, evicted } = await this.#step(need, 0);
      blocks += evicted;
      if (gave + evicted === 0) {
        waitedMs += FIT_RETRY_MS;
        await sleep(FIT_RETRY_MS);
      }
      const now = need();
      if (now.pages !== left.pages || now.slots !== left.slots) waitedMs = 0;
      else if (waitedMs >= FIT_WAIT_MS) throw stuck(left);
      left = now;
    }
    return { blocks, bytes: this.#outgoing.bytes - bytesBefore };
  }

  /** Until the drive is above *run* by our own count; then a fresh look, and the next one starts this again if it must. */
  async #relieve(): Promise<void> {
    const { drive } = this.#parts;
    const need = (): Need => {
      const { pages, inodes } = drive.shortage();
      return { pages, slots: inodes };
    };
    for (let left = need(); (left.pages > 0 || left.slots > 0) && !this.#closed; left = need()) {
      const { gave, evicted } = await this.#step(need, this.#budget.headroomSlots);
      if (gave + evicted === 0) return;
    }
    await drive.refresh();
  }

  /** Free slots beyond `spare` first; victims when those are used up. */
  async #step(need: () => Need, spare: number): Promise<{ gave: number; evicted: number }> {
    const gave = await this.#giveFree(need, spare);
    if (gave > 0) return { gave, evicted: 0 };
    let evicted = 0;
    const beganMs = this.#parts.now();
    const wanted = (): boolean => this.#outgoing.lacks(need());
    for (let slice = 0; slice < SLICES_A_COMMIT && wanted() && !this.#closed; slice += 1) {
      const victims = this.#evictor.evict(SLICE_VICTIMS_MAX, wanted, (slot) => {
        this.#claimed.set(slot, this.#outgoing.goes(slot, this.#outgoing.lacksSlots(need())));
      });
      if (victims === 0) break;
      evicted += victims;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    if (this.#claimed.size > 0) await this.#leaving.released();
    if (evicted > 0) this.#parts.onSlice(beganMs);
    const ready = this.#ready;
    this.#ready = [];
    await this.#outgoing.giveAll(ready);
    return { gave: ready.length, evicted };
  }

  async #giveFree(need: () => Need, spare: number): Promise<number> {
    const { free, table } = this.#parts;
    const outgoing = this.#outgoing;
    const going: Going[] = [];
    while (going.length < ROUND_SLOTS && free.slots > spare && outgoing.lacks(need())) {
      const retire = outgoing.lacksSlots(need());
      // The largest gives most; an empty one gives its file only.
      const largest = outgoing.lacksPages(need());
      const slot = largest ? free.takeBelow(SLOT_PAGES + 1, retire ? 0 : 1) : free.takeAtLeast(0);
      if (slot === undefined) break;
      table.move(slot, STATE.free, STATE.filling);
      going.push(outgoing.goes(slot, retire));
    }
    await outgoing.giveAll(going);
    return going.length;
  }

  /** What was claimed and is not needed any more is a writer's after all. */
  #unclaim(): void {
    for (const going of this.#claimed.values()) this.#outgoing.stays(going);
    this.#claimed.clear();
    for (const going of this.#ready.splice(0)) this.#outgoing.keep(going);
    this.#serve();
  }
}

function stuck({ pages, slots }: Need): CacheError {
  const over = pages > 0 ? `${Math.ceil(pages)} pages of 4 KiB` : `${slots} slots`;
  return new CacheError(
    "E_NO_SPACE",
    `Cannot get under the limit: ${over} too many are in use or pinned, want them let go or unpinned`,
  );
}
