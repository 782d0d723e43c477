/**
 * After an unclean end that is verified, the index alone says what is in the slots. It is walked in slices beside the
 * service: each entry claims its slot, and what nobody has claimed in the end is free. A block that is asked for before the
 * walk comes to it claims its slot at once. Until then its slot is `unknown`, and nothing is put there.
 */
import type { BlockIndex } from "../../index/block-index.js";
import { NO_SLOT, SLOT_PAGES, pagesOf } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import type { Blocks } from "../blocks.js";
import type { Life } from "../block-parts.js";
import { monotonicMs } from "../clock.js";
import type { LogFunction } from "../log.js";
import type { Checksummer } from "../slots/checksums.js";
import { type NamedEntry, firstBadGroup, presentGroups } from "../slots/intact.js";
import type { SlotFiles } from "../slots/slot-files.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { RecentUses } from "../cull/recent-uses.js";
import { NO_SHARE } from "../cull/shares.js";
import { bySequence } from "./by-sequence.js";

/** Where a file belongs. */
interface Placed {
  readonly volumeId: number;
  readonly share: number;
}

/** Others have their turn after so long. */
const SLICE_MS_MAX = 2;
const STEPS_A_LOOK = 16;

export interface SurveyParts {
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly checksummer: Checksummer;
  readonly blocks: Blocks;
  /** Sequence numbers from here on are of this session. */
  readonly sessionSequence: number;
  readonly log: LogFunction;
  readonly onCorrupt: (what: string, slot: number) => void;
}

export class Survey {
  readonly #parts: SurveyParts;
  readonly #life: Life;
  /** By slot, of those claimed by the walk: the sequence number of the tenancy. */
  #sequences: Float64Array;
  #claims = 0;
  #stopped = false;

  constructor(parts: SurveyParts) {
    this.#parts = parts;
    this.#life = parts.blocks.life;
    this.#sequences = new Float64Array(parts.table.numbers);
  }

  /** Slots claimed so far. */
  get claims(): number {
    return this.#claims;
  }

  stop(): void {
    this.#stopped = true;
  }

  /** Goes through the index. @returns false if it was stopped, or a wipe came, before the end. */
  async run(): Promise<boolean> {
    const { table } = this.#parts;
    const { index, ranking } = this.#life;
    const conflicts: NamedEntry[] = [];
    const volumes = new Map<number, Placed>();
    const uses = new RecentUses(ranking);
    const walked =
      (await this.#inSlices(this.#volumesOfFiles(index, volumes))) &&
      (await this.#inSlices(this.#claimAll(index, volumes, conflicts)));
    if (!walked) return false;
    for (const conflict of conflicts) {
      if (this.#over) return false;
      await this.#settle(conflict, volumes.get(conflict.objectId)?.volumeId ?? 0);
    }
    // Entries that went meanwhile may name slots that nobody has claimed.
    await index.committed();
    const order = bySequence(this.#sequences);
    const ordered = await this.#inSlices(uses.restore(order, (slot) => table.stateOf(slot) === STATE.used));
    this.#sequences = new Float64Array(0);
    return ordered;
  }

  /** The slot of an entry that a reader came upon becomes its own. @returns whether it is now. */
  claim({ objectId, block, entry }: NamedEntry, volumeId: number, share: number): boolean {
    const { table, files, log } = this.#parts;
    const { slot } = entry;
    if (slot >= table.numbers || table.stateOf(slot) !== STATE.unknown) return false;
    let bytes: number | undefined;
    try {
      bytes = files.allocatedBytes(slot);
    } catch (error) {
      log("warn", "a slot left by the last owner is set aside", { slot, error: String(error) });
      table.move(slot, STATE.unknown, STATE.quarantined);
      return false;
    }
    if (bytes === undefined) {
      table.move(slot, STATE.unknown, STATE.retired);
      return false;
    }
    const tenant = { volumeId, objectId, block };
    this.#life.room.claimed(
      { slot, pages: Math.min(pagesOf(bytes), SLOT_PAGES), tenant, share },
      entry.validBytes,
    );
    table.unchecked.add(slot, presentGroups(entry));
    if (slot < this.#sequences.length) this.#sequences[slot] = entry.sequence + 1;
    this.#claims += 1;
    return true;
  }

  *#volumesOfFiles(index: BlockIndex, volumes: Map<number, Placed>): Generator<void> {
    const { shares } = this.#life.ranking;
    for (const volume of index.volumes()) {
      // One object for all files of a volume.
      const placed = { volumeId: volume.id, share: shares.of(volume) };
      for (const object of index.objectsOf(volume.id)) {
        volumes.set(object.id, placed);
        yield;
      }
      yield;
    }
  }

  *#claimAll(index: BlockIndex, volumes: Map<number, Placed>, conflicts: NamedEntry[]): Generator<void> {
    const { table, blocks, sessionSequence } = this.#parts;
    for (const { objectId, block, entry: read } of index.entries()) {
      yield;
      if (read.sequence >= sessionSequence || table.isTenant(read.slot, objectId, block)) continue;
      // The walk reads ahead: what counts is the entry that stands now.
      const entry = blocks.entryOf(objectId, block);
      if (entry === undefined || !isSame(entry, read) || entry.slot === NO_SLOT) continue;
      const placed = volumes.get(objectId);
      const found = { objectId, block, entry };
      if (placed === undefined) {
        // Nothing names it: what was being taken back when the end came.
        if (this.claim(found, 0, NO_SHARE)) blocks.drop(objectId, block, entry);
        else index.removeEntry(objectId, block);
      } else if (
        !this.claim(found, placed.volumeId, placed.share) &&
        !table.isTenant(entry.slot, objectId, block)
      ) {
        if (table.stateOf(entry.slot) === STATE.used && entry.slot < table.numbers) conflicts.push(found);
        else this.#lose(found, "names a slot that is not there or in use again");
      }
    }
  }

  /** Two entries name one slot: of the newer generation first, the one whose bytes are there. */
  async #settle(found: NamedEntry, volumeId: number): Promise<void> {
    const { table, blocks } = this.#parts;
    const { slot } = found.entry;
    const [objectId, block] = [table.objectIdOf(slot), table.blockOf(slot)];
    const owner = blocks.entryOf(objectId, block);
    if (!this.#stands(found)) return;
    if (table.stateOf(slot) !== STATE.used || owner?.slot !== slot) {
      this.#lose(found, "names a slot that is in use again");
      return;
    }
    const owning = { objectId, block, entry: owner };
    const inTurn = isNewer(found.entry, owner) ? [found, owning] : [owning, found];
    for (const candidate of inTurn) {
      if (!(await this.#isIntact(candidate))) continue;
      if (!this.#stands(found) || !this.#stands(owning)) return;
      if (candidate === owning) this.#lose(found, "names a slot that holds another block");
      else {
        this.#lose(owning, "names a slot that holds another block");
        table.setTenant(
          slot,
          { volumeId, objectId: found.objectId, block: found.block },
          found.entry.validBytes,
        );
      }
      table.unchecked.forget(slot);
      return;
    }
    this.#lose(found, "failed its checksum");
    if (this.#stands(owning)) blocks.drop(objectId, block, owner);
  }

  #stands({ objectId, block, entry }: NamedEntry): boolean {
    const now = this.#parts.blocks.entryOf(objectId, block);
    return now !== undefined && isSame(now, entry);
  }

  async #isIntact(named: NamedEntry): Promise<boolean> {
    const { files, checksummer } = this.#parts;
    const { room } = this.#life;
    room.startReading(named.entry.slot);
    try {
      return (await firstBadGroup(files, checksummer, named)) === undefined;
    } catch {
      return false; // of a slot that can't be read nothing is intact
    } finally {
      room.endReading(named.entry.slot);
    }
  }

  #lose({ objectId, block, entry }: NamedEntry, why: string): void {
    this.#parts.onCorrupt(`an entry ${why} and is dropped`, entry.slot);
    this.#life.index.removeEntry(objectId, block);
  }

  get #over(): boolean {
    return this.#stopped || this.#life !== this.#parts.blocks.life;
  }

  async #inSlices(steps: Iterable<void>): Promise<boolean> {
    let count = 0;
    let beganMs = monotonicMs();
    for (const _ of steps) {
      count += 1;
      if (count % STEPS_A_LOOK !== 0 || monotonicMs() - beganMs < SLICE_MS_MAX) continue;
      this.#life.room.changed();
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#over) return false;
      beganMs = monotonicMs();
    }
    return !this.#over;
  }
}

function isSame(a: Entry, b: Entry): boolean {
  return a.epoch === b.epoch && a.sequence === b.sequence && a.slot === b.slot;
}

function isNewer(a: Entry, b: Entry): boolean {
  return a.epoch !== b.epoch ? a.epoch > b.epoch : a.sequence > b.sequence;
}
