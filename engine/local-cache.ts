/** The cache in this process: the interface of api.ts. The parts behind it: session.ts. Which calls it takes when: gate.ts. */
import { type NameBytes, checkBlock, checkName, nameBuffer } from "../index/core/names.js";
import { Admin } from "./admin/admin.js";
import type {
  AcquireVolumeOptions,
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
import { Renewal } from "./coherency/renewal.js";
import { Capacity } from "./capacity.js";
import { Gate } from "./gate.js";
import type { LeaseOptions, LeaseResult } from "./lease-api.js";
import { type LeaseParts, getOrLease } from "./lease-calls.js";
import { type FsckCalls, fsckCalls } from "./fsck/calls.js";
import { checkBlockBytes, checkNote, checkNoteName, checkScrub } from "./handle-arguments.js";
import { keptAlive } from "./in-time.js";
import { invalidate } from "./invalidate.js";
import type { LimitOptions, Limits } from "./limits.js";
import type { DirectSource } from "./direct-api.js";
import { Session } from "./session.js";
import type { SessionOptions } from "./session-options.js";
import { type Span, checkSpan } from "./span.js";
import { statusOf } from "./status.js";
import type { TraceOptions, TraceStatus } from "./trace-api.js";
import { unknownFile } from "./trace/unknown-file.js";
import { type TuneAdvice, reportOf } from "./tune/advice.js";
import { type HandleParts, LocalVolume } from "./volume-handle.js";

const MISS = { kind: "miss" } as const;

export class LocalCache implements OwnedCache {
  readonly #session: Session;
  readonly #admin: Admin;
  readonly fsck: FsckCalls;
  readonly #gate: Gate;
  readonly #capacity: Capacity;
  readonly #leasing: LeaseParts;
  readonly #handleParts: HandleParts;
  #start: StartReport;

  private constructor(options: SessionOptions) {
    const session = new Session(options);
    const { blocks, counters, onDrive } = session;
    const gate = new Gate({ health: onDrive.health, counters });
    this.#session = session;
    this.#gate = gate;
    const renewal = new Renewal({
      wipe: () => this.wipe(),
      hold: (held) => gate.hold(held),
      log: options.log,
    });
    session.onIndexDeath = (error) => renewal.needed(error);
    this.#capacity = new Capacity(session, gate);
    this.#leasing = { blocks, counters, now: options.now, gate };
    this.#handleParts = {
      blocks,
      housekeeper: session.housekeeper,
      takeSequence: session.sequence.take,
      takeStamp: session.sequence.takeStamp,
      note: session.sequence.note,
      indexFull: () => session.gauge.full(),
      noteRecord: (bytes) => session.gauge.noteRecord(bytes),
      ...session.metadataParts,
      admit: () => gate.admit(),
      betweenWipes: gate.betweenWipes,
    };
    this.#admin = new Admin(session.admin, session.pinKeeper, gate.betweenWipes);
    this.fsck = fsckCalls(session.checkers, gate.betweenWipes);
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
    const refused = this.#gate.admit();
    const block = checkBlock(tag.block);
    const span = checkSpan(options);
    if (refused !== undefined) return this.#gate.refuse(refused);
    const due = this.#session.latencies.readDue();
    try {
      const answer = due
        ? this.#readTimed(tag, block, span, options.into)
        : this.#read(tag, block, span, options.into);
      return answer instanceof Promise ? await answer : answer;
    } catch (error) {
      return this.#session.counters.excuse(error);
    }
  }

  /** Apart from get, which would have to keep its arguments for a closure in each call. */
  #readTimed(tag: Tag, block: number, span: Span, into?: Uint8Array): GetResult | Promise<GetResult> {
    return this.#session.latencies.read(() => this.#read(tag, block, span, into));
  }

  #read(tag: Tag, block: number, span: Span, into?: Uint8Array): GetResult | Promise<GetResult> {
    const { blocks, counters } = this.#session;
    const { objects } = blocks.life;
    const volume = objects.volumes.find(tag.fs, tag.volume);
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
    return getOrLease(this.#leasing, tag, options);
  }

  async put(tag: Tag, bytes: Uint8Array): Promise<PutResult> {
    const refused = this.#gate.admit();
    const block = checkBlock(tag.block);
    checkBlockBytes(bytes);
    if (refused !== undefined) return this.#gate.refuse(refused);
    const { blocks, counters } = this.#session;
    try {
      const object = blocks.life.objects.obtain(tag.fs, tag.volume, tag.inode);
      return await blocks.store(object, block, nameBuffer(bytes));
    } catch (error) {
      return counters.excuse(error);
    }
  }

  async has(tag: Tag): Promise<boolean> {
    const refused = this.#gate.admit();
    const block = checkBlock(tag.block);
    if (refused !== undefined) return false;
    const object = this.#session.blocks.life.objects.find(tag.fs, tag.volume, tag.inode);
    return object !== undefined && this.#session.blocks.isWhole(object, block);
  }

  remove(tag: Tag): Promise<boolean> {
    return this.#gate.betweenWipes(async () => {
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
    return this.#gate.betweenWipes(() =>
      invalidate({ blocks, housekeeper, takeStamp: sequence.takeStamp }, target),
    );
  }

  acquireVolume(fs: NameBytes, volume: NameBytes, options: AcquireVolumeOptions = {}): Promise<VolumeHandle> {
    return this.#gate.betweenWipes(() => LocalVolume.acquire(this.#handleParts, fs, volume, options));
  }

  status(): Promise<CacheStatus> {
    return this.#gate.betweenWipes(async () => statusOf(this.#session, this.#start));
  }

  startTrace(options: TraceOptions): Promise<TraceStatus> {
    return this.#gate.betweenWipes(() => this.#session.onDrive.tracing.start(options));
  }

  async stopTrace(): Promise<TraceStatus> {
    this.#gate.checkOpen();
    return this.#session.onDrive.tracing.stop();
  }

  async traceStatus(): Promise<TraceStatus> {
    this.#gate.checkOpen();
    return this.#session.onDrive.tracing.status();
  }

  get direct(): DirectSource | undefined {
    return this.#session.direct;
  }

  tuneAdvice(): Promise<TuneAdvice> {
    return this.#gate.betweenWipes(async () => reportOf(this.#session.blocks.life.advice));
  }

  get limits(): Limits {
    return this.#session.limits;
  }

  configure(options: LimitOptions): Promise<Limits> {
    return this.#capacity.configure(options);
  }

  cull(options: { readonly usedBytesMax: number }): Promise<CullReport> {
    return this.#capacity.cull(options);
  }

  evict(options: { readonly validBytesMax: number }): Promise<{ blocks: number; validBytes: number }> {
    return this.#capacity.evict(options);
  }

  wipe(): Promise<void> {
    return this.#gate.betweenWipes(() => {
      const { life } = this.#session.blocks;
      return this.#gate.wiping(this.#session.wipe()).finally(() => {
        if (life !== this.#session.blocks.life) life.leases.endAll();
      });
    });
  }

  close(): Promise<void> {
    const closed = this.#gate.close(() => keptAlive(() => this.#session.close()));
    this.#session.blocks.life.leases.endAll(); // whoever waits for one is told that the cache is closed
    return closed;
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
    return this.#gate.betweenWipes(() => this.#session.checkers.scrub.request(checkScrub(options)));
  }

  pins(page?: PageOptions<number>): Promise<PinPage> {
    return this.#admin.pins(page);
  }

  get holds(): HoldStatus {
    this.#gate.checkOpen();
    return this.#session.openFiles.status;
  }

  readonly look: OpenFileCalls["look"] = (file) => {
    return this.#gate.running() ? this.#session.openFiles.look(file) : undefined;
  };

  readonly hold: OpenFileCalls["hold"] = (file, options = {}) =>
    this.#session.openFiles.hold(file, options, this.#gate.admit());

  readonly rank: OpenFileCalls["rank"] = (file, rank) => {
    if (this.#gate.running()) this.#session.openFiles.rank(file, rank);
  };

  readonly stage: OpenFileCalls["stage"] = (file, options = {}) => {
    this.#gate.checkOpen();
    return this.#session.openFiles.staged.stage(file, options, () => this.#gate.admit());
  };

  readonly files: OpenFileCalls["files"] = (volume, page) => this.#admin.files(volume, page);

  putNote(fs: NameBytes, name: NameBytes, value: Uint8Array): Promise<void> {
    return this.#gate.betweenWipes(() =>
      this.#session.options.state.ledger.notes.put(checkNote(fs, name, value)),
    );
  }

  note(fs: NameBytes, name: NameBytes): Promise<Buffer | undefined> {
    return this.#gate.betweenWipes(async () =>
      this.#session.options.state.ledger.notes.get(checkNoteName(fs, name)),
    );
  }
}
