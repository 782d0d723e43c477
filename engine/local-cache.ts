/** The cache in this process: the interface of api.ts, and which calls it takes when. The parts behind it: session.ts. */
import { CacheError } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import { type NameBytes, checkBlock, checkName, nameBuffer } from "../index/core/names.js";
import { Admin } from "./admin/admin.js";
import type {
  AcquireVolumeOptions,
  Bypass,
  BypassReason,
  CacheStatus,
  CullReport,
  Explanation,
  FlushReport,
  GetOptions,
  GetResult,
  HoldStatus,
  OpenFileCalls,
  InvalidateTarget,
  ListPage,
  OwnedCache,
  PageOptions,
  PinOptions,
  PinPage,
  PinReport,
  PutResult,
  ScrubOptions,
  Selector,
  StartReport,
  Tag,
  VolumeHandle,
} from "./api.js";
import { driveSpace } from "./cull/drive.js";
import type { LeaseOptions, LeaseResult } from "./lease-api.js";
import { getOrLease } from "./lease-calls.js";
import { type FsckCalls, fsckCalls } from "./fsck/calls.js";
import type { GivenBack } from "./cull/give-back.js";
import { checkBytesMax, checkNote, checkNoteName, checkScrub } from "./handle-arguments.js";
import { keptAlive } from "./in-time.js";
import { invalidate } from "./invalidate.js";
import { type LimitOptions, type Limits, checkFits, limitsOf } from "./limits.js";
import type { DirectSource } from "./direct-api.js";
import { Session } from "./session.js";
import type { SessionOptions } from "./session-options.js";
import { type Span, checkSpan } from "./span.js";
import { statusOf } from "./status.js";
import type { TraceOptions, TraceStatus } from "./trace-api.js";
import { unknownFile } from "./trace/unknown-file.js";
import { type TuneAdvice, reportOf } from "./tune/advice.js";
import { LocalVolume } from "./volume-handle.js";
import { reached } from "../index/core/steps.js";

const MISS = { kind: "miss" } as const;

type Mode = "running" | "wiping" | "closing" | "closed";

export class LocalCache implements OwnedCache {
  readonly #session: Session;
  readonly #admin: Admin;
  readonly fsck: FsckCalls;
  #mode: Mode = "running";
  #start: StartReport;
  #wiping: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: SessionOptions) {
    this.#session = new Session(options);
    this.#admin = new Admin(this.#session.admin, this.#session.pinKeeper, this.#betweenWipes);
    this.fsck = fsckCalls(this.#session.checkers, this.#betweenWipes);
    this.#start = { ...options.state.start, ms: 0 };
  }

  /** Takes over an opened state and makes it answer. */
  static async open(options: SessionOptions): Promise<LocalCache> {
    const cache = new LocalCache(options);
    const { log, state, now, beganMs } = options;
    await cache.#session.start();
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
    if (refused !== undefined) return this.#refuse(refused);
    if (!this.#session.latencies.readDue()) return this.#read(tag, block, span, options.into);
    return this.#readTimed(tag, block, span, options.into);
  }

  /** Apart from get, which would have to keep its arguments for a closure in each call. */
  #readTimed(tag: Tag, block: number, span: Span, into?: Uint8Array): GetResult | Promise<GetResult> {
    return this.#session.latencies.read(() => this.#read(tag, block, span, into));
  }

  #read(tag: Tag, block: number, span: Span, into?: Uint8Array): GetResult | Promise<GetResult> {
    const { blocks, counters } = this.#session;
    const { objects } = blocks.life;
    const volume = objects.findVolume(tag.fs, tag.volume);
    if (volume === undefined) checkName("inode", tag.inode);
    const object = volume && objects.findIn(volume, tag.inode);
    if (object === undefined) {
      counters.missed(volume?.tally ?? counters.otherVolumes);
      if (this.#session.onDrive.tracing.recorder !== undefined)
        blocks.note(unknownFile(tag), block, span, "miss");
      return MISS;
    }
    return blocks.read(object, block, span, into && nameBuffer(into));
  }

  getOrLease(tag: Tag, options: LeaseOptions = {}): Promise<LeaseResult> {
    const parts = {
      blocks: this.#session.blocks,
      counters: this.#session.counters,
      now: this.#session.options.now,
      admit: () => this.#admit(),
      refuse: (reason: BypassReason) => this.#refuse(reason),
      closing: () => this.#closing !== undefined,
    };
    return getOrLease(parts, tag, options);
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
    if (refused !== undefined) return this.#refuse(refused);
    const object = this.#session.blocks.life.objects.obtain(tag.fs, tag.volume, tag.inode);
    return this.#session.blocks.store(object, block, nameBuffer(bytes));
  }

  async has(tag: Tag): Promise<boolean> {
    const refused = this.#admit();
    const block = checkBlock(tag.block);
    if (refused !== undefined) return false;
    const object = this.#session.blocks.life.objects.find(tag.fs, tag.volume, tag.inode);
    return object !== undefined && this.#session.blocks.isWhole(object, block);
  }

  remove(tag: Tag): Promise<boolean> {
    return this.#betweenWipes(async () => {
      const block = checkBlock(tag.block);
      const { objects, index } = this.#session.blocks.life;
      const object = objects.find(tag.fs, tag.volume, tag.inode);
      if (object === undefined) {
        if (index.hasUndone) await index.settled();
        return false;
      }
      this.#session.housekeeper.noteLeft(object.id);
      return this.#session.blocks.remove(object, block);
    });
  }

  invalidate(target: InvalidateTarget): Promise<void> {
    const { blocks, housekeeper, sequence } = this.#session;
    return this.#betweenWipes(() =>
      invalidate({ blocks, housekeeper, takeStamp: sequence.takeStamp }, target),
    );
  }

  acquireVolume(fs: NameBytes, volume: NameBytes, options: AcquireVolumeOptions = {}): Promise<VolumeHandle> {
    const parts = {
      blocks: this.#session.blocks,
      housekeeper: this.#session.housekeeper,
      takeSequence: this.#session.sequence.take,
      takeStamp: this.#session.sequence.takeStamp,
      note: this.#session.sequence.note,
      indexFull: () => this.#session.gauge.full(),
      noteRecord: (bytes: number) => this.#session.gauge.noteRecord(bytes),
      ...this.#session.metadataParts,
      admit: () => this.#admit(),
      betweenWipes: this.#betweenWipes,
    };
    return this.#betweenWipes(() => LocalVolume.acquire(parts, fs, volume, options));
  }

  status(): Promise<CacheStatus> {
    return this.#betweenWipes(async () => this.#status());
  }

  startTrace(options: TraceOptions): Promise<TraceStatus> {
    return this.#betweenWipes(() => this.#session.onDrive.tracing.start(options));
  }

  async stopTrace(): Promise<TraceStatus> {
    this.#checkOpen();
    return this.#session.onDrive.tracing.stop();
  }

  async traceStatus(): Promise<TraceStatus> {
    this.#checkOpen();
    return this.#session.onDrive.tracing.status();
  }

  get direct(): DirectSource | undefined {
    return this.#session.direct;
  }

  tuneAdvice(): Promise<TuneAdvice> {
    return this.#betweenWipes(async () => reportOf(this.#session.blocks.life.advice));
  }

  get limits(): Limits {
    return this.#session.limits;
  }

  configure(options: LimitOptions): Promise<Limits> {
    return this.#betweenWipes(async () => {
      const session = this.#session;
      const standing = session.standing();
      const limits = limitsOf(options, driveSpace(session.options.state.paths.directory), standing);
      checkFits(limits, { ...standing, ...session.blocks.life.ranking.pinned });
      session.limit(limits);
      reached("resize: limits stand");
      return limits;
    }).then(async (limits) => {
      await this.#fit();
      reached("resize: fits");
      await this.#session.pinKeeper.refit(); // there may be more room for pins
      return limits;
    });
  }

  cull(options: { readonly usedBytesMax: number }): Promise<CullReport> {
    return this.#betweenWipes(async () => {
      return checkBytesMax("cull", options.usedBytesMax);
    }).then(async (usedBytesMax) => {
      const { blocks, bytes } = await this.#fit(usedBytesMax);
      return { blocks, bytes, usedBytes: this.#session.table.usedBytes };
    });
  }

  /** A wipe may come in between; what it leaves has to fit as well. */
  async #fit(usedBytesMax?: number): Promise<GivenBack> {
    for (;;) {
      const given = await this.#betweenWipes(() => this.#session.fit(usedBytesMax));
      if (given !== undefined) return given;
    }
  }

  wipe(): Promise<void> {
    return this.#betweenWipes(() => {
      this.#mode = "wiping";
      const { life } = this.#session.blocks;
      this.#wiping = this.#session.wipe().finally(() => {
        this.#wiping = undefined;
        if (this.#mode === "wiping") this.#mode = "running";
        if (life !== this.#session.blocks.life) life.leases.endAll();
      });
      return this.#wiping;
    });
  }

  close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing;
    this.#closing = this.#close();
    this.#session.blocks.life.leases.endAll();
    return this.#closing;
  }

  flush(what: Selector, options?: { readonly dryRun?: boolean }): Promise<FlushReport> {
    return this.#admin.flush(what, options);
  }

  list(what: Selector, page?: PageOptions<NameBytes>): Promise<ListPage> {
    return this.#admin.list(what, page);
  }

  explain(tag: Tag): Promise<Explanation> {
    return this.#admin.explain(tag);
  }

  pin(what: Selector, options?: PinOptions): Promise<PinReport> {
    return this.#admin.pin(what, options);
  }

  unpin(what: Selector): Promise<{ readonly removed: number }> {
    return this.#admin.unpin(what);
  }

  scrub(options: ScrubOptions = {}): Promise<void> {
    return this.#betweenWipes(() => this.#session.checkers.scrub.request(checkScrub(options)));
  }

  pins(page?: PageOptions<number>): Promise<PinPage> {
    return this.#admin.pins(page);
  }

  get holds(): HoldStatus {
    this.#checkOpen();
    return this.#session.openFiles.status;
  }

  readonly look: OpenFileCalls["look"] = (file) => {
    this.#checkOpen();
    return this.#mode === "running" ? this.#session.openFiles.look(file) : undefined;
  };

  readonly hold: OpenFileCalls["hold"] = (file, options = {}) =>
    this.#session.openFiles.hold(file, options, this.#admit());

  readonly rank: OpenFileCalls["rank"] = (file, rank) => {
    this.#checkOpen();
    if (this.#mode === "running") this.#session.openFiles.rank(file, rank);
  };

  readonly stage: OpenFileCalls["stage"] = (file, options = {}) => {
    this.#checkOpen();
    return this.#session.openFiles.staged.stage(file, options, () => this.#admit());
  };

  readonly files: OpenFileCalls["files"] = (volume, page) => this.#admin.files(volume, page);

  evict(options: { readonly validBytesMax: number }): Promise<{ blocks: number; validBytes: number }> {
    const validBytesMax = checkBytesMax("evict", options.validBytesMax);
    return this.#betweenWipes(async () => {
      const blocks = await this.#session.blocks.life.room.evict(validBytesMax);
      return { blocks, validBytes: this.#session.table.validBytes };
    });
  }

  putNote(fs: NameBytes, name: NameBytes, value: Uint8Array): Promise<void> {
    return this.#betweenWipes(() => this.#session.options.state.ledger.notes.put(checkNote(fs, name, value)));
  }

  note(fs: NameBytes, name: NameBytes): Promise<Buffer | undefined> {
    return this.#betweenWipes(async () =>
      this.#session.options.state.ledger.notes.get(checkNoteName(fs, name)),
    );
  }

  #status(): CacheStatus {
    const { state, now, beganMs } = this.#session.options;
    return statusOf({
      closing: this.#mode === "closing",
      uptimeMs: now() - beganMs,
      cacheId: state.cacheId,
      directory: state.paths.directory,
      life: this.#session.blocks.life,
      invalidation: this.#session.sequence.lastStamp,
      limits: this.#session.limits,
      drive: this.#session.onDrive.drive.status(),
      health: this.#session.onDrive.health.status(),
      indexBytes: this.#session.gauge.fileBytes(),
      table: this.#session.table,
      counters: this.#session.counters,
      budget: this.#session.budget,
      latencies: this.#session.latencies,
      pins: this.#session.admin.pins.count,
      holds: this.holds,
      start: this.#start,
      onUnclean: state.regime === "recoverable" ? "verify" : "wipe",
      scrub: this.#session.checkers.scrub.status,
    });
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheError("E_CLOSED", "Cannot use the cache: it is closed");
  }

  #admit(): BypassReason | undefined {
    this.#checkOpen();
    if (this.#mode !== "running") return "closing";
    return this.#session.onDrive.health.sick ? "drive-sick" : undefined;
  }

  /** Runs `body` at once, or after the wipe that is under way; no wipe and no close comes in between. */
  readonly #betweenWipes = async <T>(body: () => Promise<T>): Promise<T> => {
    this.#checkOpen();
    while (this.#wiping !== undefined) await this.#wiping.catch(() => undefined); // its caller is told
    this.#checkOpen();
    return body();
  };

  /** A caller who asks again at once must not keep the wipe or close from going on. */
  async #refuse(reason: BypassReason): Promise<Bypass> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    return this.#session.counters.bypass(reason);
  }

  async #close(): Promise<void> {
    await this.#wiping?.catch(() => undefined); // its caller is told
    this.#mode = "closing";
    await keptAlive(() => this.#session.close()).finally(() => {
      this.#mode = "closed";
    });
  }
}
