/** What may still be allocated under the capacity, and how much should be kept ready. Arithmetic over the slot table. */
import { NO_SLOT, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";

export interface RoomLimits {
  /** For slot files alone: the capacity less the index's share. */
  readonly slotBytesMax: number;
  readonly slotsMax: number;
}

/** Headroom is one of so many slots, and one of so many pages, within bounds. */
const HEADROOM_SHARE = 64;
const HEADROOM_SLOTS_MAX = 256;

export class Budget {
  readonly #table: SlotTable;
  readonly #limits: RoomLimits;
  readonly headroomSlots: number;
  readonly headroomPages: number;
  /** Pages that tenants waste in slots too large for them; worked off by cutting free slots back. */
  #debtPages = 0;

  constructor(table: SlotTable, limits: RoomLimits) {
    this.#table = table;
    this.#limits = limits;
    this.headroomSlots = Math.min(
      HEADROOM_SLOTS_MAX,
      Math.max(1, Math.floor(limits.slotsMax / HEADROOM_SHARE)),
    );
    const pages = Math.floor(limits.slotBytesMax / PAGE_BYTES);
    const share = Math.max(SLOT_PAGES, Math.floor(pages / HEADROOM_SHARE));
    this.headroomPages = Math.min(this.headroomSlots * SLOT_PAGES, share);
  }

  /** Slots that may still be made. None before all that exist were looked at. */
  creatableSlots(): number {
    const { numbers } = this.#table;
    if (this.#table.countOf(STATE.unknown) > 0 || numbers >= NO_SLOT) return 0;
    return Math.max(0, this.#limits.slotsMax - (numbers - this.#table.countOf(STATE.retired)));
  }

  /** Pages by which slot files may still grow. None before all slots were looked at; negative if over the limit. */
  growthPages(): number {
    if (this.#table.countOf(STATE.unknown) > 0) return 0;
    return Math.floor((this.#limits.slotBytesMax - this.#table.usedBytes) / PAGE_BYTES);
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
}
