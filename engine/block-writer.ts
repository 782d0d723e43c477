/**
 * Stores blocks: reserve, write, publish. What takes effect when is kept here: calls on one block in their order, nothing
 * that was invalidated meanwhile. Whole blocks are stored here, parts of blocks by block-changer.ts.
 */
import { CacheError, errnoOf } from "../index/core/errors.js";
import { NO_SLOT, SLOT_GROUPS, SLOT_PAGES, pagesOf } from "../index/core/layout.js";
import { CHECKSUM_CRC32, type Entry } from "../index/entry.js";
import type { Bypass, BypassReason, PutResult } from "./api.js";
import type { Blocks } from "./blocks.js";
import type { BlockParts } from "./block-parts.js";
import type { Reservation } from "./cull/waiting.js";
import { type ObjectState, recordBytes } from "./object-states.js";
import { firstPages } from "./pages.js";
import { STATE } from "./slots/slot-table.js";
import { reached } from "../index/core/steps.js";

/** Index changes that may wait for their commit before writers are held back. */
const QUEUED_CHANGES_MAX = 16_384;
const STORED = { kind: "stored" } as const;
const NO_SUMS = new Uint32Array(SLOT_GROUPS);
const FULL_ERRNOS = new Set(["ENOSPC", "EDQUOT"]);
/** Trouble of the process or the machine, not of the slot. */
export const SCARCE_ERRNOS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

/** Whether what was called with a sequence number may still be published. */
export type Verdict = "current" | "stale" | "replaced";

export class BlockWriter {
  readonly #parts: BlockParts;
  readonly #blocks: Blocks;

  constructor(parts: BlockParts, blocks: Blocks) {
    this.#parts = parts;
    this.#blocks = blocks;
  }

  /** Stores a whole block. */
  store(object: ObjectState, block: number, bytes: Buffer): Promise<PutResult> {
    return this.filling(object, block, async (sequence) => {
      const { epoch } = this.#blocks.life;
      let sums: Uint32Array = NO_SUMS;
      const slot = await this.place(object, bytes, () => {
        sums = this.#parts.checksummer.sums({ objectId: object.id, block, epoch, sequence }, bytes);
      });
      if (typeof slot === "string") return this.#parts.counters.bypass(slot);
      const verdict = verdictOf(object, block, sequence);
      if (verdict !== "current") {
        this.#blocks.life.room.giveBack(slot);
        return verdict === "stale" ? this.#parts.counters.bypass("stale") : STORED;
      }
      const pages = firstPages(pagesOf(bytes.length));
      await this.publish(object, block, {
        version: 1,
        slot,
        epoch,
        sequence,
        validBytes: bytes.length,
        presentLow: pages.low,
        presentHigh: pages.high,
        zeroLow: 0,
        zeroHigh: 0,
        checksumKind: CHECKSUM_CRC32,
        sums,
      });
      return STORED;
    });
  }

  /**
   * Runs `body`, which stores something of a block, once there is room in the queues. The sequence number is taken first,
   * so that whatever is invalidated from here on is not published. `earlier` are the writes of the block that began before.
   */
  async filling<T>(
    object: ObjectState,
    block: number,
    body: (sequence: number, earlier: readonly Promise<void>[]) => Promise<T>,
  ): Promise<T | Bypass> {
    const sequence = this.#parts.takeSequence();
    const life = this.#blocks.life;
    const earlier = [...(object.writes?.get(block) ?? [])];
    const end = beginWrite(object, block);
    life.objects.hold(object);
    object.fills.add(sequence);
    this.#blocks.began();
    try {
      await this.#parts.writeBack.admit();
      if (life.index.queuedChanges > QUEUED_CHANGES_MAX) await life.index.committed();
      if (this.#parts.indexFull()) {
        life.room.changed(); // culling makes room there too
        return this.#parts.counters.bypass("index-full");
      }
      if (!object.recorded) this.#parts.noteRecord(recordBytes(object));
      return await body(sequence, earlier);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error; // a bug of ours is no trouble of the drive
      this.#parts.log("warn", "a block could not be stored", { error: String(error) });
      return this.#parts.counters.bypass("io-error");
    } finally {
      end();
      life.objects.letGo(object);
      object.fills.delete(sequence);
      if (object.fills.size === 0) object.floors = undefined;
      this.#blocks.ended();
    }
  }

  /**
   * Writes bytes to a fresh slot, from its start.
   * @param meanwhile is called while the drive is at work, and at least once if there is a slot; must not throw.
   * @returns its number, or why there is none.
   */
  async place(
    object: ObjectState,
    bytes: Buffer,
    meanwhile: () => void = () => undefined,
  ): Promise<number | BypassReason> {
    const { room } = this.#blocks.life;
    const pages = pagesOf(bytes.length);
    const reservation = await room.reserve(pages, object.volume);
    if (typeof reservation === "string") return reservation;
    reached("put: reserved");
    const slot = await this.#write(reservation, bytes, meanwhile);
    if (slot !== "drive-full") return slot;
    const allocated = room.takeAllocated(pages);
    return allocated === undefined ? "drive-full" : this.#write(allocated, bytes, meanwhile);
  }

  /**
   * Names the bytes in a fresh slot, or a block without any. An entry that was there is replaced in the same change, and
   * its slot leaves after the commit. @param stale what was called before took no effect: the entry does not stand for it.
   */
  async publish(object: ObjectState, block: number, entry: Entry, stale = false): Promise<void> {
    const { index } = this.#blocks.life;
    const old = this.orGiveBack(entry.slot, () => this.#name(object, block, entry, stale));
    // What a cull took may still come back after a cut, in place of what is stored here.
    if (old !== undefined || index.wouldReturn(object.id, block)) await index.settled();
  }

  /** Runs what comes between a filled slot and its name: trouble with the index must not cost the slot. */
  orGiveBack<T>(slot: number, body: () => T): T {
    try {
      return body();
    } catch (error) {
      if (slot !== NO_SLOT) this.#blocks.life.room.giveBack(slot);
      throw error;
    }
  }

  /** @returns the entry that was there. */
  // oxlint-disable-next-line max-params
  #name(object: ObjectState, block: number, entry: Entry, stale: boolean): Entry | undefined {
    const { index, objects, room, advice } = this.#blocks.life;
    // A file without a record may have entries all the same: those of its life before it was retired.
    const old = this.#blocks.entryOf(object.id, block);
    if (!object.recorded && !object.staged) objects.record(object);
    if (old !== undefined) {
      this.#blocks.drop(object.id, block, old);
      reached("overwrite: old name dropped");
    }
    if (object.fills.size > 1) object.raiseFloor(block, entry.sequence, stale);
    index.putEntry(object.id, block, entry);
    reached("put: named");
    if (entry.slot !== NO_SLOT) {
      room.settle(entry.slot, object, block, entry.validBytes);
      advice?.stored(entry.slot);
    }
    this.#parts.counters.stored(object.volume.tally, entry.validBytes);
    return old;
  }

  /** @returns the slot, or why it could not be written; the reservation is then given up. */
  async #write(
    reservation: Reservation,
    bytes: Buffer,
    meanwhile: () => void,
  ): Promise<number | "drive-full" | "io-error"> {
    const { files, writeBack, hot, drive, health, log, counters, budget } = this.#parts;
    const { slot, create } = reservation;
    try {
      const writing = files.write(slot, bytes, create);
      meanwhile();
      await writing;
    } catch (error) {
      health.noteError(slot, error);
      const errno = errnoOf((error as CacheError).cause) ?? "";
      const full = FULL_ERRNOS.has(errno);
      if (full) drive.noteFull();
      counters.writeErrors += 1;
      log("warn", "a slot could not be written", { error: String(error) });
      this.#afterFailedWrite(reservation, full || SCARCE_ERRNOS.has(errno));
      return full ? "drive-full" : "io-error";
    }
    reached("put: written");
    counters.slotWrites += 1;
    budget.wrote(bytes.length);
    const pages = pagesOf(bytes.length);
    writeBack.note(slot, pages);
    hot.noteUse(slot, pages);
    return slot;
  }

  /** The slot holds what the drive says it holds; its number is given up with a file that is not there. */
  #afterFailedWrite({ slot, create }: Reservation, harmless: boolean): void {
    const { table, files } = this.#parts;
    const { room } = this.#blocks.life;
    const allocated = usable(() => files.allocatedBytes(slot));
    if (allocated === undefined) {
      if (create) room.notMade(slot);
      else room.setAside(slot, STATE.retired);
    } else if (harmless && allocated !== "unusable") {
      table.setPages(slot, Math.min(SLOT_PAGES, pagesOf(allocated)));
      room.giveBack(slot);
    } else {
      room.setAside(slot, STATE.quarantined);
    }
  }
}

/** Calls on one block take effect in their order: what a later one replaced or removed counts as having been so already. */
export function verdictOf(object: ObjectState, block: number, sequence: number): Verdict {
  if (sequence < object.stampOf(block)) return "stale";
  const floor = object.floors?.get(block);
  if (floor === undefined || sequence >= floor.sequence) return "current";
  return floor.stale ? "stale" : "replaced";
}

/** @returns what to call at its end. */
function beginWrite(object: ObjectState, block: number): () => void {
  object.writes ??= new Map();
  const { writes } = object;
  let end: () => void = () => undefined;
  const write = new Promise<void>((resolve) => (end = resolve));
  const others = writes.get(block);
  if (others === undefined) writes.set(block, new Set([write]));
  else others.add(write);
  return () => {
    const left = writes.get(block);
    left?.delete(write);
    if (left?.size === 0) writes.delete(block);
    end();
  };
}

function usable<T>(body: () => T): T | "unusable" {
  try {
    return body();
  } catch (error) {
    if (error instanceof CacheError) return "unusable";
    throw error;
  }
}
