/**
 * Blocks of known files: read, store, look up, remove. Here the order of things is kept that makes the cache right:
 * an entry is queued only after its slot is written, a slot is used again only after the removal of its last entry is
 * committed, and every byte that is returned was checked.
 */
import { CacheError, errnoOf } from "../index/core/errors.js";
import { GROUP_BYTES, NO_SLOT, SLOT_BYTES, SLOT_PAGES, pagesOf } from "../index/core/layout.js";
import type { BlockIndex } from "../index/block-index.js";
import type { Entry } from "../index/entry.js";
import type { GetResult, PutResult } from "./api.js";
import type { Counters } from "./counters.js";
import type { Drive } from "./cull/drive.js";
import type { CullPolicy } from "./cull/policy.js";
import type { Reservation, Room } from "./cull/room.js";
import type { LogFunction } from "./log.js";
import type { ObjectState, Objects } from "./objects.js";
import { CHECKSUM_CRC32, type Checksummer, type Tenancy } from "./slots/checksums.js";
import type { HotSlots } from "./slots/hot.js";
import type { SlotFiles } from "./slots/slot-files.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";
import type { Span } from "./span.js";
import type { WriteBack } from "./slots/write-back.js";

/** Index changes that may wait for their commit before writers are held back. */
const QUEUED_CHANGES_MAX = 16_384;
const ALL_32 = 0xffff_ffff;
const MISS = { kind: "miss" } as const;
const STORED = { kind: "stored" } as const;
const FULL_ERRNOS = new Set(["ENOSPC", "EDQUOT"]);
const SCARCE_ERRNOS = new Set(["EMFILE", "ENFILE", "ENOMEM"]);

/** One life of the index: what ends with a wipe. */
export interface Life {
  readonly index: BlockIndex;
  readonly objects: Objects;
  readonly room: Room;
  readonly policy: CullPolicy;
  readonly epoch: number;
}

export interface BlockParts {
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly hot: HotSlots;
  readonly drive: Drive;
  readonly checksummer: Checksummer;
  readonly counters: Counters;
  readonly log: LogFunction;
  readonly now: () => number;
  /** The next number of the one sequence that generations and stamps share. */
  readonly takeSequence: () => number;
  /** The index has no room left for more entries. */
  readonly indexFull: () => boolean;
}

export class Blocks {
  readonly #parts: BlockParts;
  #life: Life;
  /** Fills and cold reads under way. */
  #active = 0;
  readonly #idle: Array<() => void> = [];
  /** Whole groups that are read for a part of them, on the spot. */
  readonly #scratch = Buffer.allocUnsafeSlow(SLOT_BYTES);

  constructor(parts: BlockParts, life: Life) {
    this.#parts = parts;
    this.#life = life;
  }

  get life(): Life {
    return this.#life;
  }

  /** Goes on with an empty index; nothing may be being stored. */
  startLife(life: Life): void {
    this.#life = life;
  }

  /** Resolves when nothing is being stored or read. */
  async idle(): Promise<void> {
    while (this.#active > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  has(object: ObjectState, block: number): boolean {
    return this.#current(object, block) !== undefined;
  }

  /** Reads the part of `span` that the block has; `into` is used if given. */
  async read(object: ObjectState, block: number, span: Span, into?: Buffer): Promise<GetResult> {
    const { counters, hot } = this.#parts;
    const entry = this.#current(object, block);
    if (entry === undefined || entry.slot === NO_SLOT || !this.#ownsSlot(entry, object, block)) {
      counters.misses += 1;
      return MISS;
    }
    const endBytes = Math.min(span.offsetBytes + span.lengthBytes, entry.validBytes);
    const lengthBytes = Math.max(0, endBytes - span.offsetBytes);
    this.#life.policy.touch(entry.slot);
    const target = into === undefined ? Buffer.allocUnsafe(lengthBytes) : into.subarray(0, lengthBytes);
    const plan = readPlan(object, block, entry, span.offsetBytes, endBytes);
    try {
      const likely = hot.likely(entry.slot);
      hot.noteUse(entry.slot, pagesOf(plan.lengthBytes));
      // Once more if the first reading fails its check: from the drive, if it comes to that.
      if (
        lengthBytes === 0 ||
        (likely && this.#readOnTheSpot(plan, target)) ||
        (await this.#readAside(plan, target))
      ) {
        counters.hits += 1;
        return { kind: "hit", bytes: target };
      }
    } catch (error) {
      return this.#readFailed(object, block, entry, error);
    }
    this.#dropCorrupt(object, block, entry);
    counters.misses += 1;
    return MISS;
  }

  /**
   * Stores a whole block: reserve, write, publish. The sequence number is taken first, so that whatever is invalidated
   * from here on is not published.
   */
  async store(object: ObjectState, block: number, bytes: Buffer): Promise<PutResult> {
    const sequence = this.#parts.takeSequence();
    const life = this.#life;
    object.users += 1;
    this.#active += 1;
    try {
      await this.#parts.writeBack.admit();
      if (life.index.queuedChanges > QUEUED_CHANGES_MAX) await life.index.committed();
      if (this.#parts.indexFull()) return this.#parts.counters.bypass("index-full");
      const reservation = await life.room.reserve(pagesOf(bytes.length));
      if (typeof reservation === "string") return this.#parts.counters.bypass(reservation);
      return await this.#fill(object, block, bytes, sequence, reservation);
    } catch (error) {
      this.#parts.log("warn", "a block could not be stored", { error: String(error) });
      return this.#parts.counters.bypass("io-error");
    } finally {
      object.users -= 1;
      this.#ended();
    }
  }

  /** Drops a block; resolves after its commit. */
  async remove(object: ObjectState, block: number): Promise<boolean> {
    const entry = this.#current(object, block);
    if (entry === undefined) return false;
    this.drop(object.id, block, entry);
    await this.#life.index.committed();
    return true;
  }

  /** Queues the removal of an entry; its slot follows. */
  drop(objectId: number, block: number, entry: Entry): void {
    const { table } = this.#parts;
    this.#life.index.removeEntry(objectId, block);
    const { slot } = entry;
    if (
      slot < table.numbers &&
      table.stateOf(slot) === STATE.used &&
      table.objectIdOf(slot) === objectId &&
      table.blockOf(slot) === block
    ) {
      this.#life.room.leave(slot);
    }
  }

  /** The entry of a block unless there is none or it was invalidated. */
  #current(object: ObjectState, block: number): Entry | undefined {
    if (!object.recorded) return undefined;
    const entry = this.#life.index.getEntry(object.id, block);
    return entry === undefined || entry.sequence < object.stampMax ? undefined : entry;
  }

  #stands(object: ObjectState, block: number, entry: Entry): boolean {
    const now = this.#current(object, block);
    return now !== undefined && now.sequence === entry.sequence && now.epoch === entry.epoch;
  }

  /** What an entry points to is checked against the slot's own record: LMDB does not check its pages. */
  #ownsSlot(entry: Entry, object: ObjectState, block: number): boolean {
    const { table, counters, log } = this.#parts;
    const { slot } = entry;
    const fits =
      slot < table.numbers &&
      table.stateOf(slot) === STATE.used &&
      table.objectIdOf(slot) === object.id &&
      table.blockOf(slot) === block;
    if (!fits) {
      counters.corrupt += 1;
      log("warn", "an entry names a slot that is not its own and is dropped", { slot });
      this.#life.index.removeEntry(object.id, block);
    }
    return fits;
  }

  /** From the reading to the copying nothing else may run: the scratch buffer is shared. */
  #readOnTheSpot(plan: ReadPlan, target: Buffer): boolean {
    const { files, hot, now } = this.#parts;
    const bytes = plan.wholeGroups ? target : this.#scratch.subarray(0, plan.lengthBytes);
    const beganMs = now();
    files.readSync(plan.slot, bytes, plan.startBytes);
    hot.took(now() - beganMs);
    return this.#accept(plan, bytes, target);
  }

  async #readAside(plan: ReadPlan, target: Buffer): Promise<boolean> {
    const bytes = plan.wholeGroups ? target : Buffer.allocUnsafe(plan.lengthBytes);
    const { room } = this.#life;
    room.startReading(plan.slot);
    this.#active += 1;
    try {
      await this.#parts.files.read(plan.slot, bytes, plan.startBytes);
    } finally {
      room.endReading(plan.slot);
      this.#ended();
    }
    return this.#accept(plan, bytes, target);
  }

  #ended(): void {
    this.#active -= 1;
    if (this.#active === 0) for (const resume of this.#idle.splice(0)) resume();
  }

  /** Checks whole groups, and copies the part that is wanted. */
  #accept(plan: ReadPlan, bytes: Buffer, target: Buffer): boolean {
    const { tenancy, sums, firstGroup, skipBytes } = plan;
    if (this.#parts.checksummer.firstBad(tenancy, sums, firstGroup, bytes) !== undefined) return false;
    if (!plan.wholeGroups) bytes.copy(target, 0, skipBytes, skipBytes + target.length);
    return true;
  }

  #dropCorrupt(object: ObjectState, block: number, entry: Entry): void {
    if (!this.#stands(object, block, entry)) return; // replaced, removed or wiped meanwhile
    this.#parts.counters.corrupt += 1;
    this.#parts.log("warn", "a block failed its checksum and is dropped", { slot: entry.slot });
    this.drop(object.id, block, entry);
  }

  #readFailed(object: ObjectState, block: number, entry: Entry, error: unknown): GetResult {
    const { counters, log } = this.#parts;
    const errno = errnoOf((error as CacheError).cause);
    log("warn", "a slot could not be read", { error: String(error) });
    if (this.#stands(object, block, entry) && !SCARCE_ERRNOS.has(errno ?? "")) {
      this.drop(object.id, block, entry);
      this.#life.room.setAside(entry.slot, errno === "ENOENT" ? STATE.retired : STATE.quarantined);
    }
    return counters.bypass("io-error");
  }

  async #fill(
    object: ObjectState,
    block: number,
    bytes: Buffer,
    sequence: number,
    first: Reservation,
  ): Promise<PutResult> {
    const { checksummer, counters } = this.#parts;
    const { epoch, room } = this.#life;
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
    const { index, objects, room } = this.#life;
    const old = object.recorded ? index.getEntry(object.id, block) : undefined;
    if (!object.recorded) objects.record(object);
    if (old !== undefined) this.drop(object.id, block, old);
    index.putEntry(object.id, block, entry);
    room.settle(entry.slot, object.id, block, entry.validBytes);
    this.#parts.counters.puts += 1;
    if (old !== undefined) await index.committed();
  }

  /** @returns the slot, or why it could not be written; the reservation is then given up. */
  async #write(reservation: Reservation, bytes: Buffer): Promise<number | "drive-full" | "io-error"> {
    const { files, writeBack, hot, drive, log } = this.#parts;
    const { slot, create } = reservation;
    try {
      await files.write(slot, bytes, create);
    } catch (error) {
      const errno = errnoOf((error as CacheError).cause) ?? "";
      const full = FULL_ERRNOS.has(errno);
      if (full) drive.noteFull();
      log("warn", "a slot could not be written", { error: String(error) });
      this.#afterFailedWrite(slot, full || SCARCE_ERRNOS.has(errno));
      return full ? "drive-full" : "io-error";
    }
    const pages = pagesOf(bytes.length);
    writeBack.note(slot, pages);
    hot.noteUse(slot, pages);
    return slot;
  }

  /** The slot holds what the drive says it holds; its number is given up with a file that is not there. */
  #afterFailedWrite(slot: number, harmless: boolean): void {
    const { table, files } = this.#parts;
    const { room } = this.#life;
    const allocated = usable(() => files.allocatedBytes(slot));
    if (allocated === undefined) {
      room.setAside(slot, STATE.retired);
    } else if (harmless && allocated !== "unusable") {
      table.setPages(slot, Math.min(SLOT_PAGES, pagesOf(allocated)));
      room.giveBack(slot);
    } else {
      room.setAside(slot, STATE.quarantined);
    }
  }
}

/** What to read of a slot, and what it is checked against: all groups that the wanted bytes touch. */
interface ReadPlan {
  readonly slot: number;
  readonly tenancy: Tenancy;
  readonly sums: Uint32Array;
  readonly firstGroup: number;
  readonly startBytes: number;
  readonly lengthBytes: number;
  /** Wanted bytes begin this far into them. */
  readonly skipBytes: number;
  /** Nothing but wanted bytes is read. */
  readonly wholeGroups: boolean;
}

function readPlan(
  object: ObjectState,
  block: number,
  entry: Entry,
  offsetBytes: number,
  endBytes: number,
): ReadPlan {
  const firstGroup = Math.floor(offsetBytes / GROUP_BYTES);
  const startBytes = firstGroup * GROUP_BYTES;
  const groupsEnd = Math.min(Math.ceil(endBytes / GROUP_BYTES) * GROUP_BYTES, entry.validBytes);
  return {
    slot: entry.slot,
    tenancy: { objectId: object.id, block, epoch: entry.epoch, sequence: entry.sequence },
    sums: entry.sums,
    firstGroup,
    startBytes,
    lengthBytes: Math.max(0, groupsEnd - startBytes),
    skipBytes: offsetBytes - startBytes,
    wholeGroups: startBytes === offsetBytes && groupsEnd === endBytes,
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
