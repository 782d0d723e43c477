/** The cache in this process: the interface of api.ts over slots, index and culling, and its life from open to close. */
import { CacheError, messageOf } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import { checkSpan } from "./span.js";
import { type NameBytes, checkBlock, nameBuffer } from "../index/core/names.js";
import type {
  AcquireVolumeOptions,
  BlockCache,
  BypassReason,
  CacheStatus,
  GetOptions,
  GetResult,
  PutResult,
  StartReport,
  Tag,
  VolumeHandle,
} from "./api.js";
import { Blocks, type Life } from "./blocks.js";
import { markClean } from "./coherency/close-state.js";
import { Discovery } from "./coherency/discovery.js";
import { type OpenState, createIndex, releaseState, removeOldIndexes } from "./coherency/open-state.js";
import { Counters } from "./counters.js";
import { Drive, driveSpace } from "./cull/drive.js";
import { FreeLists } from "./cull/free-lists.js";
import { SlotLinks } from "./cull/linked-slots.js";
import { LruPolicy } from "./cull/policy.js";
import { Room } from "./cull/room.js";
import { LocalVolume } from "./volume-handle.js";
import { Housekeeper } from "./housekeeper.js";
import { IndexGauge } from "./index-gauge.js";
import type { CacheLimits } from "./limits.js";
import type { LogFunction } from "./log.js";
import { Objects } from "./objects.js";
import { Checksummer } from "./slots/checksums.js";
import { HotSlots } from "./slots/hot.js";
import type { SlotIo } from "./slots/io.js";
import { SlotFiles } from "./slots/slot-files.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";
import { WriteBack } from "./slots/write-back.js";
import { statusOf } from "./status.js";
import { descriptorsMax } from "./descriptors.js";

/** How long a stop waits for calls under way; the kernel may hold one for ever. */
const DRAIN_MS = 5000;
const MISS = { kind: "miss" } as const;

export interface LocalCacheOptions {
  readonly state: OpenState;
  readonly limits: CacheLimits;
  readonly log: LogFunction;
  readonly now: () => number;
  readonly beganMs: number;
  readonly io?: SlotIo;
}

type Mode = "running" | "wiping" | "closing" | "closed";

export class LocalCache implements BlockCache {
  readonly #options: LocalCacheOptions;
  readonly #table: SlotTable;
  readonly #links = new SlotLinks();
  readonly #files: SlotFiles;
  readonly #writeBack: WriteBack;
  readonly #drive: Drive;
  readonly #counters = new Counters();
  readonly #gauge: IndexGauge;
  readonly #blocks: Blocks;
  readonly #housekeeper: Housekeeper;
  #discovery: Discovery;
  #nextSequence: number;
  #mode: Mode = "running";
  #start: StartReport;
  #removing: Promise<void>;
  #wiping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LocalCacheOptions) {
    const { state, limits, log, now, io } = options;
    this.#options = options;
    this.#table = state.table;
    this.#nextSequence = state.nextSequence;
    this.#start = { ...state.start, ms: 0 };
    this.#files = new SlotFiles({
      root: state.paths.slots,
      descriptorsMax: descriptorsMax(),
      ...(io && { io }),
    });
    const onError = (slot: number, error: CacheError) =>
      log("error", "the drive failed to keep a slot; this session will not end clean", {
        slot,
        error: String(error),
      });
    this.#writeBack = new WriteBack({ files: this.#files, now, onError });
    this.#drive = new Drive({ look: () => driveSpace(state.paths.directory), now });
    this.#gauge = new IndexGauge({
      index: () => this.#blocks.life.index,
      bytesMax: limits.indexBytesMax,
      otherBytes: () => state.ledger.fileBytes(),
      now,
    });
    const takeSequence = this.#takeSequence;
    const indexFull = () => this.#gauge.full();
    const checksummer = new Checksummer(state.cacheId);
    const hot = new HotSlots({ now });
    this.#blocks = new Blocks(
      {
        table: this.#table,
        files: this.#files,
        writeBack: this.#writeBack,
        drive: this.#drive,
        counters: this.#counters,
        hot,
        checksummer,
        log,
        now,
        takeSequence,
        indexFull,
      },
      this.#newLife(state.index, new Objects(state.index, state.objectCounters), state.epoch),
    );
    for (const slot of state.order) this.#blocks.life.policy.insert(slot);
    this.#housekeeper = new Housekeeper(this.#blocks, log);
    this.#discovery = this.#newDiscovery();
    this.#removing = removeOldIndexes(state.paths, state.epoch, log);
  }

  /** Takes over an opened state and makes it answer. */
  static async open(options: LocalCacheOptions): Promise<LocalCache> {
    const cache = new LocalCache(options);
    const { log, state, now, beganMs } = options;
    cache.#blocks.life.room.giveAllFree();
    await cache.#blocks.life.room.trim();
    cache.#discovery.start();
    cache.#start = { ...state.start, ms: Math.round((now() - beganMs) * 10) / 10 };
    const { kind, action, ms, reason } = cache.#start;
    log("info", action === "wipe" ? `wiped at start: ${reason}` : "started", {
      kind,
      action,
      ms,
      epoch: state.epoch,
    });
    return cache;
  }

  async get(tag: Tag, options: GetOptions = {}): Promise<GetResult> {
    const refused = this.#admit();
    const block = checkBlock(tag.block);
    const span = checkSpan(options);
    if (refused !== undefined) return this.#counters.bypass(refused);
    const object = this.#blocks.life.objects.find(tag.fs, tag.volume, tag.inode);
    if (object === undefined) {
      this.#counters.misses += 1;
      return MISS;
    }
    return this.#blocks.read(object, block, span, options.into && nameBuffer(options.into));
  }

  async put(tag: Tag, bytes: Uint8Array): Promise<PutResult> {
    const refused = this.#admit();
    const block = checkBlock(tag.block);
    if (bytes.length < 1 || bytes.length > SLOT_BYTES) {
      throw new CacheError(
        "E_ARGUMENT",
        `Cannot put a block of ${bytes.length} bytes: want 1 to ${SLOT_BYTES}`,
      );
    }
    if (refused !== undefined) return this.#counters.bypass(refused);
    const object = this.#blocks.life.objects.obtain(tag.fs, tag.volume, tag.inode);
    return this.#blocks.store(object, block, nameBuffer(bytes));
  }

  async has(tag: Tag): Promise<boolean> {
    const refused = this.#admit();
    const block = checkBlock(tag.block);
    if (refused !== undefined) return false;
    const object = this.#blocks.life.objects.find(tag.fs, tag.volume, tag.inode);
    return object !== undefined && this.#blocks.current(object, block) !== undefined;
  }

  remove(tag: Tag): Promise<boolean> {
    return this.#betweenWipes(async () => {
      const block = checkBlock(tag.block);
      const object = this.#blocks.life.objects.find(tag.fs, tag.volume, tag.inode);
      if (object === undefined) return false;
      this.#housekeeper.noteLeft(object.id);
      return this.#blocks.remove(object, block);
    });
  }

  acquireVolume(fs: NameBytes, volume: NameBytes, options: AcquireVolumeOptions = {}): Promise<VolumeHandle> {
    const parts = {
      blocks: this.#blocks,
      housekeeper: this.#housekeeper,
      takeSequence: this.#takeSequence,
      admit: () => this.#admit(),
      betweenWipes: this.#betweenWipes,
    };
    return this.#betweenWipes(() => LocalVolume.acquire(parts, fs, volume, options));
  }

  status(): Promise<CacheStatus> {
    return this.#betweenWipes(async () => this.#status());
  }

  wipe(): Promise<void> {
    return this.#betweenWipes(() => {
      this.#mode = "wiping";
      this.#wiping = this.#wipe().finally(() => {
        this.#wiping = undefined;
        if (this.#mode === "wiping") this.#mode = "running";
      });
      return this.#wiping;
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  #status(): CacheStatus {
    const { state, limits, now, beganMs } = this.#options;
    return statusOf({
      closing: this.#mode === "closing",
      uptimeMs: now() - beganMs,
      cacheId: state.cacheId,
      directory: state.paths.directory,
      life: this.#blocks.life,
      limits,
      indexBytes: this.#gauge.fileBytes(),
      table: this.#table,
      counters: this.#counters,
      start: this.#start,
    });
  }

  readonly #takeSequence = (): number => {
    const sequence = this.#nextSequence;
    this.#nextSequence = sequence + 1;
    return sequence;
  };

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheError("E_CLOSED", "Cannot use the cache: it is closed");
  }

  #admit(): BypassReason | undefined {
    this.#checkOpen();
    return this.#mode === "running" ? undefined : "closing";
  }

  /** Runs `body` at once, or after the wipe that is under way; no wipe and no close comes in between. */
  readonly #betweenWipes = async <T>(body: () => Promise<T>): Promise<T> => {
    this.#checkOpen();
    while (this.#wiping !== undefined) await this.#wiping.catch(() => undefined); // its caller is told
    this.#checkOpen();
    return body();
  };

  #newLife(index: Life["index"], objects: Objects, epoch: number): Life {
    const { limits, log } = this.#options;
    const policy = new LruPolicy(this.#links);
    this.#links.reserve(this.#table.numbers);
    const dropEntry = (slot: number) =>
      index.removeEntry(this.#table.objectIdOf(slot), this.#table.blockOf(slot));
    const room = new Room({
      table: this.#table,
      free: new FreeLists(this.#links),
      policy,
      files: this.#files,
      writeBack: this.#writeBack,
      drive: this.#drive,
      limits,
      dropEntry,
      committed: () => index.committed(),
      indexPressed: () => this.#gauge.pressed(),
      onCulled: (slot) => {
        this.#counters.culled += 1;
        this.#housekeeper.noteLeft(this.#table.objectIdOf(slot));
      },
      onTrouble: (message, error) => log("warn", message, { error: messageOf(error) }),
    });
    return { index, objects, room, policy, epoch };
  }

  #newDiscovery(): Discovery {
    return new Discovery({
      table: this.#table,
      files: this.#files,
      room: () => this.#blocks.life.room,
      log: this.#options.log,
    });
  }

  /** Raises the epoch durably, goes on with an empty index, and keeps the slot files for new tenants. */
  async #wipe(): Promise<void> {
    const { state, log } = this.#options;
    const { life } = this.#blocks;
    await this.#discovery.stop();
    if (!(await this.#quiesce())) throw new CacheError("E_IO", "Cannot wipe: the drive does not answer");
    const epoch = life.epoch + 1;
    await state.ledger.setMark({ ...state.ledger.mark, state: "unclean" }, { epoch });
    await life.index.close();
    await this.#removing; // it would take the new index for an old one
    const index = createIndex(state.paths, state.cacheId, epoch);
    for (let slot = 0; slot < this.#table.numbers; slot += 1) {
      if (this.#table.stateOf(slot) !== STATE.used) continue;
      this.#table.move(slot, STATE.used, STATE.free);
      this.#table.clearTenant(slot);
    }
    this.#housekeeper.clear();
    const objects = new Objects(index, { nextObjectId: 1, nextVolumeId: 1, objects: 0 });
    this.#blocks.startLife(this.#newLife(index, objects, epoch));
    this.#gauge.reset();
    this.#blocks.life.room.giveAllFree();
    this.#housekeeper.resume();
    this.#discovery = this.#newDiscovery();
    this.#discovery.start();
    this.#removing = removeOldIndexes(state.paths, epoch, log);
    log("info", "wiped on request", { epoch });
  }

  /** Ends what is under way. @returns whether it ended in time. */
  async #quiesce(): Promise<boolean> {
    const ended = Promise.all([this.#housekeeper.stop(), this.#blocks.life.room.close()])
      .then(() => this.#blocks.idle())
      .then(() => true);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<false>((resolve) => {
      timer = setTimeout(resolve, DRAIN_MS, false);
    });
    return Promise.race([ended, late]).finally(() => clearTimeout(timer));
  }

  /** The order of a clean stop; on any trouble the mark stays unclean and the locks are given up all the same. */
  async #close(): Promise<void> {
    const { log } = this.#options;
    if (this.#wiping !== undefined) await this.#wiping.catch(() => undefined); // its caller is told
    this.#mode = "closing";
    let quiet = false;
    try {
      await this.#discovery.stop();
      quiet = await this.#quiesce();
      if (!quiet) throw new CacheError("E_IO", "Cannot stop clean: the drive does not answer");
      await this.#removing;
      await this.#markClean();
      log("info", "stopped clean", { blocks: this.#table.countOf(STATE.used) });
    } catch (error) {
      log("error", "stopped, but not clean: the next start will wipe", { error: messageOf(error) });
      throw error;
    } finally {
      this.#mode = "closed";
      this.#writeBack.abandon();
      // A descriptor that the kernel still works on must not be closed under it.
      if (quiet) this.#files.close();
      await releaseState(this.#options.state, this.#blocks.life.index);
    }
  }

  async #markClean(): Promise<void> {
    const { index, objects, policy, epoch } = this.#blocks.life;
    await markClean({
      state: this.#options.state,
      index,
      epoch,
      objectCounters: objects.counters,
      order: policy.order(),
      table: this.#table,
      files: this.#files,
      writeBack: this.#writeBack,
      nextSequence: this.#nextSequence,
    });
  }
}
