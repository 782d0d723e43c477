/** Stores blocks: reserve, write, publish. */
import { CacheError, errnoOf } from "../index/core/errors.js";
import { SLOT_PAGES, pagesOf } from "../index/core/layout.js";
import { CHECKSUM_CRC32, type Entry } from "../index/entry.js";
import type { PutResult } from "./api.js";
import type { BlockParts, Blocks } from "./blocks.js";
import type { Reservation } from "./cull/waiting.js";
import { type ObjectState, recordBytes } from "./objects.js";
import { STATE } from "./slots/slot-table.js";

/** Index changes that may wait for their commit before writers are held back. */
const QUEUED_CHANGES_MAX = 16_384;
const ALL_32 = 0xffff_ffff;
const STORED = { kind: "stored" } as const;
const FULL_ERRNOS = new Set(["ENOSPC", "EDQUOT"]);
/** Trouble of the process or the machine, not of the slot. */
export const SCARCE_ERRNOS: ReadonlySet<string> = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

export class BlockWriter {
  readonly #parts: BlockParts;
  readonly #blocks: Blocks;

  constructor(parts: BlockParts, blocks: Blocks) {
    this.#parts = parts;
    this.#blocks = blocks;
  }

  /**
   * Stores a whole block: reserve, write, publish. The sequence number is taken first, so that whatever is invalidated
   * from here on is not published.
   */
  async store(object: ObjectState, block: number, bytes: Buffer): Promise<PutResult> {
    const sequence = this.#parts.takeSequence();
    const life = this.#blocks.life;
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
      const reservation = await life.room.reserve(pagesOf(bytes.length), object.volume);
      if (typeof reservation === "string") return this.#parts.counters.bypass(reservation);
      return await this.#fill(object, block, bytes, sequence, reservation);
    } catch (error) {
      if (!(error instanceof CacheError)) throw error; // a bug of ours is no trouble of the drive
      this.#parts.log("warn", "a block could not be stored", { error: String(error) });
      return this.#parts.counters.bypass("io-error");
    } finally {
      life.objects.letGo(object);
      object.fills.delete(sequence);
      if (object.fills.size === 0) object.floors = undefined;
      this.#blocks.ended();
    }
  }

  async #fill(
    object: ObjectState,
    block: number,
    bytes: Buffer,
    sequence: number,
    first: Reservation,
  ): Promise<PutResult> {
    const { checksummer, counters } = this.#parts;
    const { epoch, room } = this.#blocks.life;
    const tenancy = { objectId: object.id, block, epoch, sequence };
    const sums = checksummer.sums(tenancy, bytes);
    let slot = await this.#write(first, bytes);
    if (slot === "drive-full") {
      const allocated = room.takeAllocated(pagesOf(bytes.length));
      slot = allocated === undefined ? "drive-full" : await this.#write(allocated, bytes);
    }
    if (typeof slot === "string") return counters.bypass(slot);
    if (sequence < object.stampMax) {
      room.giveBack(slot);
      return counters.bypass("stale");
    }
    // Calls on one block take effect in their order: this one counts as replaced or removed already.
    if (sequence < (object.floors?.get(block) ?? 0)) {
      room.giveBack(slot);
      return STORED;
    }
    const pages = pagesOf(bytes.length);
    await this.#publish(object, block, {
      version: 1,
      slot,
      epoch,
      sequence,
      validBytes: bytes.length,
      presentLow: pages >= 32 ? ALL_32 : 2 ** pages - 1,
      presentHigh: pages <= 32 ? 0 : pages === 64 ? ALL_32 : 2 ** (pages - 32) - 1,
      zeroLow: 0,
      zeroHigh: 0,
      checksumKind: CHECKSUM_CRC32,
      sums,
    });
    return STORED;
  }

  /** Names the bytes. An entry that was there is replaced in the same change, and its slot leaves after the commit. */
  async #publish(object: ObjectState, block: number, entry: Entry): Promise<void> {
    const { index, objects, room } = this.#blocks.life;
    // A file without a record may have entries all the same: those of its life before it was retired.
    const old = this.#blocks.entryOf(object.id, block);
    if (!object.recorded) objects.record(object);
    if (old !== undefined) this.#blocks.drop(object.id, block, old);
    if (object.fills.size > 1) object.raiseFloor(block, entry.sequence);
    index.putEntry(object.id, block, entry);
    room.settle(entry.slot, object, block, entry.validBytes);
    this.#parts.counters.stored(object.volume.tally, entry.validBytes);
    if (old !== undefined) await index.committed();
  }

  /** @returns the slot, or why it could not be written; the reservation is then given up. */
  async #write(reservation: Reservation, bytes: Buffer): Promise<number | "drive-full" | "io-error"> {
    const { files, writeBack, hot, drive, log, counters } = this.#parts;
    const { slot, create } = reservation;
    try {
      await files.write(slot, bytes, create);
    } catch (error) {
      const errno = errnoOf((error as CacheError).cause) ?? "";
      const full = FULL_ERRNOS.has(errno);
      if (full) drive.noteFull();
      counters.writeErrors += 1;
      log("warn", "a slot could not be written", { error: String(error) });
      this.#afterFailedWrite(reservation, full || SCARCE_ERRNOS.has(errno));
      return full ? "drive-full" : "io-error";
    }
    counters.slotWrites += 1;
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

function usable<T>(body: () => T): T | "unusable" {
  try {
    return body();
  } catch (error) {
    if (error instanceof CacheError) return "unusable";
    throw error;
  }
}
