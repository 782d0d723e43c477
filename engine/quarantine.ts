/** Slots that were set aside after trouble: which there are, whether they work again, and how they are given up. */
import { randomBytes } from "node:crypto";
import { CacheError, errnoOf, isCacheError } from "../index/core/errors.js";
import { PAGE_BYTES, SLOT_PAGES } from "../index/core/layout.js";
import type { Blocks } from "./blocks.js";
import type { Drive } from "./cull/drive.js";
import type { DriveHealth } from "./drive-health.js";
import type { LogFunction } from "./log.js";
import {
  QUARANTINE_SLOTS_MAX,
  type QuarantineCalls,
  type QuarantinePage,
  type QuarantinedSlot,
  type RetryReport,
} from "./quarantine-api.js";
import type { SlotFiles } from "./slots/slot-files.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";
import type { WriteBack } from "./slots/write-back.js";

export interface QuarantineParts {
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly blocks: Blocks;
  readonly drive: Drive;
  readonly health: DriveHealth;
  readonly log: LogFunction;
}

export class Quarantine {
  readonly #parts: QuarantineParts;
  /** Slots that somebody is at. */
  readonly #busy = new Set<number>();

  constructor(parts: QuarantineParts) {
    this.#parts = parts;
  }

  list(after: number, limit: number): QuarantinePage {
    const { table } = this.#parts;
    const slots: QuarantinedSlot[] = [];
    for (let slot = after + 1; slot < table.numbers; slot += 1) {
      if (table.stateOf(slot) !== STATE.quarantined) continue;
      if (slots.length === limit) return { slots, more: true };
      slots.push({ slot, bytes: table.pagesOf(slot) * PAGE_BYTES, file: this.#fileOf(slot) });
    }
    return { slots, more: false };
  }

  retry(slot: number): Promise<RetryReport> {
    return this.#at(slot, async () => {
      const { health, log, blocks, writeBack } = this.#parts;
      const file = this.#fileOf(slot);
      if (file !== "usable") return { slot, free: false, reason: `its file is ${file}` };
      try {
        const pages = await this.#prove(slot);
        blocks.life.room.aside.readmit(slot, pages);
        writeBack.note(slot, pages);
      } catch (error) {
        if (!isCacheError(error, "E_IO")) throw error;
        health.noteError(slot, error);
        return { slot, free: false, reason: error.message };
      }
      log("info", "a quarantined slot works again", { slot });
      return { slot, free: true };
    });
  }

  release(slot: number): Promise<void> {
    return this.#at(slot, async () => {
      const { files, table, drive, log, blocks } = this.#parts;
      try {
        await files.unlink(slot);
      } catch (error) {
        const isGone = isCacheError(error, "E_IO") && errnoOf(error.cause) === "ENOENT";
        if (!isGone) throw error;
      }
      drive.released(table.pagesOf(slot), 1);
      blocks.life.room.aside.set(slot, STATE.retired);
      log("info", "a quarantined slot is given up", { slot });
    });
  }

  /** Writes the whole of the slot's file, and a page at least, and reads it back. @returns its pages. @throws {CacheError} E_IO. */
  async #prove(slot: number): Promise<number> {
    const { files, table } = this.#parts;
    files.forget(slot); // what is open may be another file by now
    const pages = Math.min(SLOT_PAGES, Math.max(1, table.pagesOf(slot)));
    table.setPages(slot, pages);
    const written = randomBytes(pages * PAGE_BYTES);
    await files.write(slot, written, false);
    await files.sync(slot);
    const read = Buffer.alloc(written.length);
    await files.read(slot, read, 0);
    if (read.equals(written)) return pages;
    throw new CacheError("E_IO", `Cannot use slot ${slot}: it does not give back what was written`);
  }

  #fileOf(slot: number): QuarantinedSlot["file"] {
    const { files } = this.#parts;
    try {
      const facts = files.factsOf(slot);
      if (facts === undefined) return "missing";
      return files.isUsable(slot, facts) ? "usable" : "unusable";
    } catch (error) {
      if (isCacheError(error, "E_IO")) return "unusable";
      throw error;
    }
  }

  /** A stop or a wipe waits for the body. */
  async #at<T>(slot: number, body: () => Promise<T>): Promise<T> {
    const { table, blocks } = this.#parts;
    if (slot >= table.numbers || table.stateOf(slot) !== STATE.quarantined)
      throw new CacheError("E_NOT_FOUND", `Cannot find slot ${slot} in quarantine`);
    if (this.#busy.has(slot)) throw new CacheError("E_BUSY", `Cannot use slot ${slot}: it is being tried`);
    this.#busy.add(slot);
    blocks.began();
    try {
      return await body();
    } finally {
      this.#busy.delete(slot);
      blocks.ended();
    }
  }
}

/** As callers ask: arguments are checked here, and a wipe is waited for. */
export function quarantineCalls(
  quarantine: Quarantine,
  betweenWipes: <T>(body: () => Promise<T>) => Promise<T>,
): QuarantineCalls {
  const checked = (name: string, value: number, min: number, max: number): number => {
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot use ${name} ${value}: want a whole number from ${min} to ${max}`,
    );
  };
  const slotOf = (slot: number): number => checked("slot", slot, 0, SLOT_NUMBERS_MAX);
  return {
    list: ({ after, limit = QUARANTINE_SLOTS_MAX } = {}) =>
      betweenWipes(async () =>
        quarantine.list(
          after === undefined ? -1 : checked("after", after, 0, SLOT_NUMBERS_MAX),
          checked("limit", limit, 1, QUARANTINE_SLOTS_MAX),
        ),
      ),
    retry: (slot) => betweenWipes(async () => quarantine.retry(slotOf(slot))),
    release: (slot) => betweenWipes(async () => quarantine.release(slotOf(slot))),
  };
}

const SLOT_NUMBERS_MAX = 2 ** 32 - 2;
