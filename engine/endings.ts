/** How a life of the index ends: by a wipe, after which another begins, or by a stop. */
import { CacheError, messageOf } from "../index/core/errors.js";
import { reached } from "../index/core/steps.js";
import type { BlockIndex } from "../index/block-index.js";
import type { Numbers } from "../index/numbers.js";
import type { Walks } from "./admin/walks.js";
import type { Blocks } from "./blocks.js";
import { markClean } from "./coherency/close-state.js";
import { createIndex, removeOldIndexes } from "./coherency/index-place.js";
import { type OpenState, releaseState } from "./coherency/open-state.js";
import type { Checkers } from "./coherency/recovery.js";
import type { DriveParts } from "./drive-parts.js";
import type { Housekeeper } from "./housekeeper.js";
import { inTime } from "./in-time.js";
import type { LogFunction } from "./log.js";
import type { ObjectCounters } from "./objects.js";
import type { Sequence } from "./sequence.js";
import { STATE } from "./slots/slot-table.js";

/** Names of an empty index, and its mark. */
const NO_NAMES: Readonly<ObjectCounters> = { nextObjectId: 1, nextVolumeId: 1, objects: 0 };
const WIPED = { state: "unclean", surveying: false } as const;
/** How long a stop or a wipe waits for calls under way; the kernel may hold one for ever. */
const DRAIN_MS = 5000;

export interface EndingParts {
  readonly state: OpenState;
  readonly log: LogFunction;
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly walks: Walks;
  readonly checkers: Checkers;
  readonly onDrive: DriveParts;
  readonly sequence: Sequence;
  readonly startLife: (index: BlockIndex, names: ObjectCounters, epoch: number) => void;
}

export class Endings {
  readonly #parts: EndingParts;
  /** Indexes of earlier epochs are on their way out. */
  #removing: Promise<void>;

  constructor(parts: EndingParts) {
    this.#parts = parts;
    const { state, log } = parts;
    this.#removing = removeOldIndexes(state.paths, state.epoch, log);
  }

  /** As Session.wipe. */
  async wipe(): Promise<void> {
    const { state, log, sequence, onDrive, blocks } = this.#parts;
    const old = blocks.life;
    const epoch = state.ledger.epoch + 1;
    sequence.takeStamp({ kind: "all" });
    try {
      if (!(await this.#quiesce())) throw new CacheError("E_IO", "the drive does not answer");
      reached("wipe: quiet");
      await this.#removing; // it would take the new index for an old one
      const numbers = numbersOf(sequence, NO_NAMES);
      const index = await createIndex(state.paths, { ...state, epoch }, numbers);
      reached("wipe: index made");
      try {
        onDrive.publisher?.withdraw();
        await state.ledger.setMark({ ...state.ledger.mark, ...WIPED, regime: state.regime }, { epoch });
      } catch (error) {
        await index.close();
        throw error;
      }
      reached("wipe: epoch raised");
      this.#parts.startLife(index, { ...NO_NAMES }, epoch);
    } catch (error) {
      old.room.resume();
      throw new CacheError("E_IO", `Cannot wipe: ${messageOf(error)}`, { cause: error });
    } finally {
      this.#resume();
    }
    await old.index.close().catch((error: unknown) => {
      log("warn", "the index of the last epoch did not close", { error: messageOf(error) });
    });
    reached("wipe: old index closed");
    this.#removing = removeOldIndexes(state.paths, epoch, log);
    log("info", "wiped on request", { epoch });
  }

  /** As Session.close. */
  async close(): Promise<void> {
    const { state, log, onDrive, blocks } = this.#parts;
    let quiet = false;
    try {
      await onDrive.publisher?.close();
      quiet = await this.#quiesce();
      if (!quiet) throw new CacheError("E_IO", "Cannot stop clean: the drive does not answer");
      reached("close: quiet");
      await this.#removing;
      await this.#markClean();
      log("info", "stopped clean", { blocks: state.table.countOf(STATE.used) });
    } catch (error) {
      log("error", "stopped, but not clean: the next start will wipe", { error: messageOf(error) });
      throw error;
    } finally {
      onDrive.writeBack.abandon();
      await onDrive.tracing.stop();
      // A descriptor that the kernel still works on must not be closed under it.
      if (quiet) onDrive.files.close();
      await releaseState(state, blocks.life.index);
    }
  }

  /** Ends what is under way. @returns whether it ended in time. */
  #quiesce(): Promise<boolean> {
    const { housekeeper, walks, checkers, onDrive, blocks } = this.#parts;
    const ended = Promise.all([
      housekeeper.stop(),
      walks.stop(),
      checkers.fsck.stop("the cache was wiped or closed"),
      blocks.life.room.close(),
      checkers.recovery.stop(),
      onDrive.health.stop(),
    ])
      .then(() => blocks.idle())
      .then(() => true);
    return inTime(ended, DRAIN_MS);
  }

  /** The other way round from #quiesce, in the life that is now; its room is open already. */
  #resume(): void {
    const { housekeeper, walks, checkers, onDrive } = this.#parts;
    onDrive.publisher?.restart();
    housekeeper.resume();
    onDrive.health.resume();
    housekeeper.takeUp(); // what was given up half-way
    walks.resume();
    checkers.recovery.start();
  }

  async #markClean(): Promise<void> {
    const { state, onDrive, sequence, blocks } = this.#parts;
    const { index, objects, ranking, epoch } = blocks.life;
    await markClean({
      state,
      index,
      epoch,
      objectCounters: objects.counters,
      order: ranking.order(),
      table: state.table,
      files: onDrive.files,
      writeBack: onDrive.writeBack,
      nextSequence: sequence.next,
    });
  }
}

/** What an index is told to go on with. */
export function numbersOf(sequence: Sequence, names: ObjectCounters): Numbers {
  return { sequence: sequence.next, objectId: names.nextObjectId, volumeId: names.nextVolumeId };
}
