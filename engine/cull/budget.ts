/**
 * What may still be allocated under the capacity, and how much should be kept ready for writers: as much as they take at
 * their present rate while victims leave. Arithmetic over the slot table.
 */
import { NO_SLOT, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";

export interface RoomLimits {
  /** For slot files alone: the capacity less the index's share. */
  readonly slotBytesMax: number;
  readonly slotsMax: number;
}

/** Headroom lies between these parts of what there is; the lower bound has an upper one of its own. */
const HEADROOM_SHARE_MIN = 1 / 64;
const HEADROOM_SHARE_MAX = 1 / 16;
const HEADROOM_SLOTS_MIN = 64;
/** Headroom lasts for so many times as long as victims take to leave. */
const LEADS = 4;
const LEAD_MS_MIN = 10;
const LEAD_MS_MAX = 500;
const WINDOW_MS = 50;
/** What is left of a rate after a window without writes. */
const DECAY = 0.9;

export class Budget {
  readonly #table: SlotTable;
  readonly #limits: RoomLimits;
  readonly #now: () => number;
  /** Pages that tenants waste in slots too large for them; worked off by cutting free slots back. */
  #debtPages = 0;
  readonly #ceilings = new Set<{ readonly usedBytesMax: number }>();
  #leadMs = LEAD_MS_MIN;
  #windowMs = 0;
  #slotsTaken = 0;
  #pagesTaken = 0;
  #slotsPerMs = 0;
  #pagesPerMs = 0;

  constructor(table: SlotTable, limits: RoomLimits, now: () => number) {
    this.#table = table;
    this.#limits = limits;
    this.#now = now;
  }

  get headroomSlots(): number {
    this.#endWindow();
    // Of large blocks there are fewer than the limit would allow.
    const slotsMax = Math.min(this.#limits.slotsMax, this.#table.existing);
    const least = Math.min(HEADROOM_SLOTS_MIN, Math.floor(slotsMax * HEADROOM_SHARE_MIN));
    return between(this.#slotsPerMs * this.#leadMs, Math.max(1, least), slotsMax * HEADROOM_SHARE_MAX);
  }

  get headroomPages(): number {
    this.#endWindow();
    const pages = this.#limits.slotBytesMax / PAGE_BYTES;
    const least = Math.min(HEADROOM_SLOTS_MIN * SLOT_PAGES, Math.floor(pages * HEADROOM_SHARE_MIN));
    return between(this.#pagesPerMs * this.#leadMs, Math.max(SLOT_PAGES, least), pages * HEADROOM_SHARE_MAX);
  }

  /** A writer took a slot. */
  noteTaken(pages: number): void {
    this.#slotsTaken += 1;
    this.#pagesTaken += pages;
  }

  /** A writer's slot grew. */
  noteGrown(pages: number): void {
    this.#pagesTaken += pages;
  }

  /** So long did victims take from their choice until their slots were free. */
  noteLead(ms: number): void {
    const leadMs = Math.min(LEAD_MS_MAX, Math.max(LEAD_MS_MIN, ms * LEADS));
    this.#leadMs = Math.max(leadMs, this.#leadMs * DECAY);
  }

  /** Slots that may still be made. None before all that exist were looked at. */
  creatableSlots(): number {
    const { numbers } = this.#table;
    if (this.#table.countOf(STATE.unknown) > 0 || numbers >= NO_SLOT) return 0;
    return Math.max(0, this.#limits.slotsMax - (numbers - this.#table.countOf(STATE.retired)));
  }

  /** Until the call of what is returned writers leave alone what is given back below this. */
  lower(usedBytesMax: number): () => void {
    const ceiling = { usedBytesMax };
    this.#ceilings.add(ceiling);
    return () => void this.#ceilings.delete(ceiling);
  }

  /** Pages by which slot files may still grow. None before all slots were looked at; negative if over the limit. */
  growthPages(): number {
    if (this.#table.countOf(STATE.unknown) > 0) return 0;
    let { slotBytesMax: bytesMax } = this.#limits;
    for (const { usedBytesMax } of this.#ceilings) bytesMax = Math.min(bytesMax, usedBytesMax);
    return Math.floor((bytesMax - this.#table.usedBytes) / PAGE_BYTES);
  }

  /** A tenant had to take a slot with so many pages more than it needs. */
  noteWaste(pages: number): void {
    this.#debtPages = Math.min(this.headroomPages, this.#debtPages + pages);
  }

  /** Pages were given back to the drive. */
  payBytes(pages: number): void {
    this.#debtPages = Math.max(0, this.#debtPages - pages);
  }

  /** Whether free slots should be cut back, so that small tenants find bytes rather than large slots. */
  owesBytes(): boolean {
    if (this.#debtPages > 0 && this.growthPages() >= this.headroomPages) this.#debtPages = 0;
    return this.#debtPages > 0;
  }

  /** A rate rises with the last window and falls slowly, so that headroom outlasts a pause. */
  #endWindow(): void {
    const now = this.#now();
    const ms = now - this.#windowMs;
    if (ms < WINDOW_MS) return;
    const decay = DECAY ** (ms / WINDOW_MS);
    this.#slotsPerMs = Math.max(this.#slotsTaken / ms, this.#slotsPerMs * decay);
    this.#pagesPerMs = Math.max(this.#pagesTaken / ms, this.#pagesPerMs * decay);
    this.#windowMs = now;
    this.#slotsTaken = 0;
    this.#pagesTaken = 0;
  }
}

function between(wanted: number, least: number, most: number): number {
  return Math.max(least, Math.min(Math.ceil(wanted), Math.floor(most)));
}
