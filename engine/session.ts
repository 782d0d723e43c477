/**
 * An open cache as a whole: its parts put together, and made ready. How it is wiped and closed: endings.ts. What callers
 * ask of it: local-cache.ts.
 */
import type { BlockIndex } from "../index/block-index.js";
import { type CacheError, messageOf } from "../index/core/errors.js";
import { Blocks } from "./blocks.js";
import type { Life } from "./block-parts.js";
import type { AdminParts } from "./admin/admin.js";
import { PinKeeper } from "./admin/pins.js";
import { Walks } from "./admin/walks.js";
import { type Checkers, checkersOf } from "./coherency/recovery.js";
import { Counters } from "./counters.js";
import { SlotLinks } from "./cull/linked-slots.js";
import { WriteBudget } from "./cull/write-budget.js";
import { PinSet } from "./cull/pin-set.js";
import { regroup } from "./cull/regroup.js";
import type { GivenBack } from "./cull/give-back.js";
import type { DirectSource } from "./direct-api.js";
import { LocalDirectSource } from "./direct/direct-source.js";
import { type DriveParts, openDriveParts, shareFiles } from "./drive-parts.js";
import { Endings, numbersOf } from "./endings.js";
import { Housekeeper } from "./housekeeper.js";
import { IndexGauge } from "./index-gauge.js";
import { Latencies } from "./latencies.js";
import { newLife } from "./life.js";
import type { Limits, Standing } from "./limits.js";
import { OpenFiles } from "./open-files.js";
import { type ObjectCounters, Objects } from "./objects.js";
import { Checksummer } from "./slots/checksums.js";
import { HotSlots } from "./slots/hot.js";
import { nodeIo } from "./slots/io.js";
import { Sequence } from "./sequence.js";
import type { SessionOptions } from "./session-options.js";
import type { HandleParts } from "./volume-handle.js";
import type { SlotTable } from "./slots/slot-table.js";

/** Slots whose bytes are added up for their volumes in one turn: a millisecond or so. */
const COUNT_SLICE_SLOTS = 16_384;

export class Session {
  readonly options: SessionOptions;
  #limits: Limits;
  readonly table: SlotTable;
  readonly counters = new Counters();
  readonly latencies: Latencies;
  readonly budget: WriteBudget;
  readonly gauge: IndexGauge;
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly admin: AdminParts;
  readonly pinKeeper: PinKeeper;
  readonly openFiles: OpenFiles;
  readonly #pins: PinSet;
  readonly #links = new SlotLinks();
  readonly checkers: Checkers;

  readonly sequence: Sequence;
  readonly onDrive: DriveParts;
  readonly direct: DirectSource | undefined;
  /** Told when the index can't be used any more: a wipe makes another. */
  onIndexDeath: (error: unknown) => void = () => undefined;
  #closing = false;
  readonly #endings: Endings;

  constructor(options: SessionOptions) {
    const { state, limits, log, now } = options;
    this.options = options;
    this.#limits = limits;
    this.table = state.table;
    this.latencies = new Latencies(now);
    this.budget = new WriteBudget(() => this.#limits, now);
    this.onDrive = openDriveParts(options, {
      limits: () => this.#limits,
      index: () => this.blocks.life.index,
      epoch: () => this.blocks.life.epoch,
      onTrouble: this.#onTrouble,
    });
    this.sequence = new Sequence(state.nextSequence, (noticed) => this.onDrive.publisher?.note(noticed));
    this.#pins = new PinSet(state.ledger.pins.all());
    this.gauge = this.#newGauge();
    const checksummer = new Checksummer(state.cacheId);
    const hot = new HotSlots({ now, driveReads: () => (options.io ?? nodeIo).driveReads() });
    const common = {
      counters: this.counters,
      takeSequence: this.sequence.take,
      indexFull: () => this.gauge.full(),
      noteRecord: (bytes: number) => this.gauge.noteRecord(bytes),
    };
    this.blocks = new Blocks(
      {
        ...this.onDrive,
        ...common,
        table: this.table,
        latencies: this.latencies,
        pins: this.#pins,
        budget: this.budget,
        hot,
        checksummer,
        log,
        now,
        claim: (named, volume) => this.checkers.recovery.claim(named, volume),
      },
      this.#newLife(state.index, this.#newObjects(state.index, state.objectCounters), state.epoch),
    );
    this.blocks.life.ranking.restore(state.order);
    state.order = new Uint32Array(0);
    this.#regroup();
    this.housekeeper = new Housekeeper(this.blocks, log, {
      counters: this.counters,
      indexPressed: () => this.gauge.pressed(),
    });
    this.direct = this.onDrive.publisher && new LocalDirectSource(this.onDrive.publisher, this, hot);
    this.admin = this.#adminParts();
    this.pinKeeper = new PinKeeper(this.admin);
    this.openFiles = new OpenFiles({
      ...this.admin,
      ...common,
      takeStamp: this.sequence.takeStamp,
    });
    this.checkers = this.#checkersOf(checksummer);
    this.#endings = new Endings({
      ...this.admin,
      state,
      log,
      onDrive: this.onDrive,
      checkers: this.checkers,
      sequence: this.sequence,
      startLife: (index, names, epoch) => this.#startLife(index, names, epoch),
    });
  }

  /** What handles need for the metadata of their files. */
  get metadataParts(): Pick<HandleParts, "counters" | "now" | "sessionSequence" | "onCorrupt" | "onTrouble"> {
    const { now, state } = this.options;
    return {
      counters: this.counters,
      now,
      sessionSequence: state.nextSequence,
      onCorrupt: this.#onCorrupt,
      onTrouble: this.#onTrouble,
    };
  }

  #checkersOf(checksummer: Checksummer): Checkers {
    return checkersOf({
      ...this.admin,
      counters: this.counters,
      state: this.options.state,
      log: this.options.log,
      ...this.onDrive,
      checksummer,
      links: this.#links,
      nextSequence: () => this.sequence.next,
      takeSequence: this.sequence.take,
      refitPins: () => this.pinKeeper.refit(),
      onIndexDeath: (error) => this.onIndexDeath(error),
    });
  }

  #newGauge(): IndexGauge {
    const { state, now } = this.options;
    return new IndexGauge({
      index: () => this.blocks.life.index,
      bytesMax: () => this.#limits.indexBytesMax,
      otherBytes: () => state.ledger.fileBytes() + (this.onDrive.publisher?.fileBytes ?? 0),
      now,
      onTrouble: this.#onTrouble,
    });
  }

  readonly #onTrouble = (message: string, error: unknown): void => {
    this.options.log("warn", message, { error: messageOf(error) });
  };

  get limits(): Limits {
    return this.#limits;
  }

  /** Other limits stand from here on; what exists may not fit them before fit(). */
  limit(limits: Limits): void {
    const shared = this.#limits.shares.length + limits.shares.length > 0;
    this.#limits = limits;
    if (shared) this.#regroup();
    this.onDrive.publisher?.resize();
    this.onDrive.drive.changed();
    this.blocks.life.room.changed();
  }

  /** As Room.fit. Undefined when a wipe or a close came in between. @throws {CacheError} E_NO_SPACE, E_IO. */
  async fit(usedBytesMax?: number): Promise<GivenBack | undefined> {
    const given = await this.blocks.life.room.fit(usedBytesMax);
    this.blocks.life.room.driveChanged();
    return given;
  }

  #regroup(): void {
    const { index, ranking } = this.blocks.life;
    if (ranking.shares.count === 1 && this.#limits.shares.length === 0) return;
    regroup(ranking, index.volumes(), this.#limits, (slot) => this.table.volumeIdOf(slot));
  }

  /** What stands already, for new limits. */
  standing(): Standing {
    const indexBytes = this.gauge.fileBytes();
    return { indexBytes, ownBytes: this.table.usedBytes + indexBytes };
  }

  /** Makes the session ready to answer: free slots are given out, and what is over the limits goes. */
  async start(): Promise<void> {
    const { room } = this.blocks.life;
    room.giveAllFree();
    await this.pinKeeper.refit();
    await room.fit();
    this.checkers.recovery.start();
    this.#countVolumes();
    this.housekeeper.takeUp();
    this.onDrive.drive.watch(() => this.blocks.life.room.driveChanged());
    this.onDrive.publisher?.restart();
    shareFiles(this.options, () => this.#closing);
  }

  /** In slices, so that neither start nor requests wait for it. */
  #countVolumes(): void {
    if (!this.table.countVolumes(COUNT_SLICE_SLOTS)) setImmediate(() => this.#countVolumes());
  }

  readonly #onCorrupt = (error: CacheError): void => {
    this.counters.corrupt += 1;
    this.options.log("warn", "a record of the index does not read back and counts as absent", {
      error: error.message,
    });
  };

  /**
   * Goes on with an empty index in a new epoch, which is raised durably before any slot is written in it; slot files are
   * kept for new tenants. If that can't be done, the cache goes on as it was.
   */
  wipe(): Promise<void> {
    return this.#endings.wipe();
  }

  #startLife(index: BlockIndex, names: ObjectCounters, epoch: number): void {
    this.table.wipe();
    this.onDrive.writeBack.forgive();
    this.blocks.life.objects.volumes.giveUpTallies();
    this.housekeeper.clear();
    this.checkers.recovery.watch(index);
    const objects = this.#newObjects(index, names);
    this.blocks.startLife(this.#newLife(index, objects, epoch));
    this.#regroup();
    this.gauge.reset();
    this.blocks.life.room.takeStock();
  }

  /** The order of a clean stop; on any trouble the mark stays unclean and the locks are given up all the same. */
  close(): Promise<void> {
    this.#closing = true;
    this.onDrive.drive.stop();
    this.openFiles.staged.abandonAll();
    return this.#endings.close();
  }

  #newLife(index: BlockIndex, objects: Objects, epoch: number): Life {
    const parts = {
      table: this.table,
      links: this.#links,
      options: this.options,
      pins: this.#pins,
      files: this.onDrive.files,
      writeBack: this.onDrive.writeBack,
      drive: this.onDrive.drive,
      gauge: this.gauge,
      counters: this.counters,
      latencies: this.latencies,
      now: this.options.now,
      limits: () => this.#limits,
      blocks: () => this.blocks,
      housekeeper: () => this.housekeeper,
      onTrouble: this.#onTrouble,
    };
    this.onDrive.publisher?.follow(index);
    return newLife(parts, { index, objects, epoch });
  }

  /** Over an index whose damaged records go as they are met. */
  #newObjects(index: BlockIndex, names: ObjectCounters): Objects {
    index.watchDamage((where, error) => {
      this.#onCorrupt(error);
      index.dropDamaged(where);
    });
    index.numbersFrom(() => numbersOf(this.sequence, names));
    return new Objects(index, names, this.#onCorrupt, this.sequence.takeStamp, this.counters.otherVolumes);
  }

  #adminParts(): AdminParts {
    return {
      blocks: this.blocks,
      housekeeper: this.housekeeper,
      table: this.table,
      ledger: this.options.state.ledger,
      pins: this.#pins,
      walks: new Walks(this.blocks),
      limits: () => this.#limits,
      onCorrupt: this.#onCorrupt,
    };
  }
}
