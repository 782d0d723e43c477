/**
 * Work that nobody waits for, in slices between requests: drops blocks and metadata that were invalidated, and takes the
 * records of files out of the index once nothing of them is left; metadata too, when the index is short of room (sweep.ts).
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { BlockIndex } from "../index/block-index.js";
import type { Blocks } from "./blocks.js";
import { monotonicMs } from "./clock.js";
import type { Counters } from "./counters.js";
import type { LogFunction } from "./log.js";
import { noteReclaim, notedReclaims, reclaimMetadata } from "./metadata-reclaim.js";
import type { ObjectState, RangeStamp } from "./object-states.js";
import { reached } from "../index/core/steps.js";
import { sweep, sweepIdle } from "./sweep.js";

const SLICE_STEPS = 256;
/** Others have their turn after so long, too. */
const SLICE_MS_MAX = 2;
const TICK_MS = 200;
/**
 * A file that lost a block is looked at when it has lost none for so long. In a cache that culls all the time every look is in
 * vain as long as others of its blocks go, and leaves a kilobyte of garbage that outlives the young generation.
 */
const REST_MS = 2000;
/** A sweep walks all file records, so it waits until it pays: a quarter of them without blocks, within bounds. */
const SWEEP_SHARE = 0.25;
const SWEEP_MIN = 1024;
const SWEEP_MAX = 65_536;
/** Between two sweeps for an index that is short of room. */
const SWEEP_EVERY_MS = 100;
/** Blocks and metadata with a lower sequence number are to go. */
interface Reclaim {
  readonly stamp: number;
  /** All volumes of a file system, all files of a volume, or one file. */
  readonly scope: { readonly fs: Buffer } | { readonly volumeId: number } | { readonly objectId: number };
  /** Only these blocks of the file; `done` is told when none of them is left. */
  readonly range?: { readonly firstBlock: number; readonly endBlock: number; readonly done: () => void };
  /** Only metadata of this kind. */
  readonly kind?: "xattr" | "entry";
}

export interface HousekeeperParts {
  readonly counters: Counters;
  readonly indexPressed: () => boolean;
}

export class Housekeeper {
  readonly #blocks: Blocks;
  readonly #log: LogFunction;
  readonly #counters: Counters;
  readonly #indexPressed: () => boolean;
  readonly #reclaims: Reclaim[] = [];
  /**
   * Files that lost a block or a user since the last tick, and those named before and not again: a file that is losing its
   * blocks one by one is looked at when it has come to rest. Then how many had no blocks.
   */
  readonly #left = new Set<number>();
  readonly #rested = new Set<number>();
  #emptied = 0;
  #pressed = false;
  /** The last sweep for a pressed index found no metadata to cull. */
  #exhausted = false;
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** Steps since others had their turn. */
  #steps = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Of the timer. */
  #delayMs = 0;
  #stopped = false;

  constructor(blocks: Blocks, log: LogFunction, parts: HousekeeperParts) {
    this.#blocks = blocks;
    this.#counters = parts.counters;
    this.#log = log;
    this.#indexPressed = parts.indexPressed;
  }

  /** Goes on with what an earlier session left undone. */
  takeUp(): void {
    try {
      for (const { objectId, stamp } of notedReclaims(this.#blocks.life.index)) {
        this.#reclaims.push({ scope: { objectId }, stamp });
      }
    } catch (error) {
      this.#log("warn", "what an earlier session left to clean is not known", { error: String(error) });
    }
    this.#wakeForWork();
  }

  /** Metadata of this kind, of this file, stored before `stamp` is to go. */
  reclaimItems(objectId: number, kind: "xattr" | "entry", stamp: number): void {
    this.#reclaims.push({ scope: { objectId }, stamp, kind });
    this.#wake();
  }

  /** Blocks and metadata of this file stored before `stamp` are to go. */
  reclaimObject(objectId: number, stamp: number): void {
    noteReclaim(this.#blocks.life.index, objectId, stamp);
    this.#reclaims.push({ scope: { objectId }, stamp });
    this.#wake(0);
  }

  /** Blocks of this range of a file stored before its stamp are to go; then the file need not remember it. */
  reclaimRange(object: ObjectState, range: RangeStamp): void {
    const { objects } = this.#blocks.life;
    objects.hold(object);
    const done = (): void => {
      // A write that was called before the range was invalidated still has to be told.
      const writes = [...(object.writes?.values() ?? [])].flatMap((ofBlock) => [...ofBlock]);
      if (writes.length === 0) {
        object.forgetRange(range);
        if (object.recorded) objects.record(object);
        objects.letGo(object);
        return;
      }
      // The record may keep the range until it is written again: it forbids nothing that is stored later.
      void Promise.all(writes).then(() => {
        object.forgetRange(range);
        objects.letGo(object);
      });
    };
    const { firstBlock, endBlock, stamp } = range;
    this.#reclaims.push({ scope: { objectId: object.id }, stamp, range: { firstBlock, endBlock, done } });
    this.#wake(0);
  }

  /** Blocks of all volumes of this file system stored before `stamp` are to go. */
  reclaimSystem(fs: Buffer, stamp: number): void {
    this.#reclaims.push({ scope: { fs }, stamp });
    this.#wake(0);
  }

  /** Blocks of all files of this volume stored before `stamp` are to go. */
  reclaimVolume(volumeId: number, stamp: number): void {
    this.#reclaims.push({ scope: { volumeId }, stamp });
    this.#wake(0);
  }

  /** A file lost a block, or was recorded and may never get one. */
  noteLeft(objectId: number): void {
    this.#left.add(objectId);
    this.#rested.delete(objectId);
    this.#wake(REST_MS);
  }

  /**
   * Removes the records of files without blocks, however few there are, and culls metadata; at most once in a while.
   * @returns whether metadata made room or may do so yet.
   */
  async sweepNow(): Promise<boolean> {
    while (this.#running !== undefined) await this.#running;
    const waitMs = this.#sweptMs + SWEEP_EVERY_MS - monotonicMs();
    if (waitMs > 0) await sleep(waitMs);
    if (this.#stopped) return false;
    if (this.#running !== undefined) return true;
    this.#pressed = true;
    this.#exhausted = false;
    await this.#start();
    return !this.#exhausted;
  }

  /** Forgets all work, as after a wipe. */
  clear(): void {
    this.#reclaims.length = 0;
    this.#left.clear();
    this.#rested.clear();
    this.#emptied = 0;
  }

  /** Resolves when nothing is under way; what is left undone is done by culling later. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#running;
  }

  /** Lets a stopped housekeeper work again. */
  resume(): void {
    this.#stopped = false;
    this.#wakeForWork();
  }

  #wakeForWork(): void {
    if (this.#reclaims.length > 0) this.#wake();
    else if (this.#left.size + this.#rested.size > 0) this.#wake(REST_MS);
  }

  /** Stale blocks go at once, so that culling need not take others; empty files can wait. */
  #wake(delayMs = TICK_MS): void {
    if (this.#stopped || this.#running !== undefined) return;
    if (this.#timer !== undefined && delayMs >= this.#delayMs) return;
    clearTimeout(this.#timer);
    this.#delayMs = delayMs;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#running === undefined) void this.#start(); // reports its own failures
    }, delayMs).unref();
  }

  #start(): Promise<void> {
    const running = this.#run().finally(() => {
      this.#running = undefined;
      this.#wakeForWork(); // what came in the meantime
    });
    this.#running = running;
    return running;
  }

  async #run(): Promise<void> {
    try {
      for (
        let reclaim = this.#reclaims.shift();
        reclaim !== undefined && !this.#stopped;
        reclaim = this.#reclaims.shift()
      ) {
        await this.#reclaim(reclaim);
      }
      await this.#inSlices(this.#lookAtLeft());
      const { objects } = this.#blocks.life.objects.counters;
      const due = Math.min(SWEEP_MAX, Math.max(SWEEP_MIN, objects * SWEEP_SHARE));
      const pressed = this.#pressed;
      if (this.#stopped || (this.#emptied < due && !pressed)) return;
      this.#pressed = false;
      this.#emptied = 0;
      this.#sweptMs = monotonicMs();
      const parts = { ...this.#blocks.life, indexPressed: this.#indexPressed };
      await this.#inSlices(sweep(parts, pressed));
      if (pressed && !this.#stopped)
        await this.#inSlices(sweepIdle(parts, (none) => (this.#exhausted = none)));
    } catch (error) {
      this.#log("warn", "background cleaning was given up for now", { error: String(error) });
    }
  }

  /** Runs a generator step by step; after each slice its changes are committed and others have their turn. */
  async #inSlices(steps: Iterable<void>): Promise<void> {
    const { life } = this.#blocks;
    let beganMs = monotonicMs();
    for (const _ of steps) {
      this.#steps += 1;
      const due = this.#steps % SLICE_STEPS === 0;
      if (!due && monotonicMs() - beganMs < SLICE_MS_MAX) continue;
      if (due) await life.index.committed();
      await new Promise<void>((resolve) => setImmediate(resolve));
      beganMs = monotonicMs();
      if (this.#stopped || life !== this.#blocks.life) return;
    }
  }

  async #reclaim({ scope, stamp, range, kind }: Reclaim): Promise<void> {
    const life = this.#blocks.life;
    const { index } = life;
    const blocks = this.#blocks;
    const left = this.#left;
    const counters = this.#counters;
    function* steps(): Generator<void> {
      for (const id of objectIdsOf(index, scope)) {
        for (const { block, entry } of kind === undefined ? index.blocksOf(id) : []) {
          if (range !== undefined && (block < range.firstBlock || block >= range.endBlock)) {
            yield;
            continue;
          }
          // The walk reads ahead: what counts is the entry that stands now.
          const now = entry.sequence < stamp ? blocks.entryOf(id, block) : undefined;
          if (now !== undefined && now.sequence < stamp) {
            blocks.drop(id, block, now);
            reached("reclaim: name dropped");
            counters.reclaimed += 1;
          }
          yield;
        }
        if (range === undefined) yield* reclaimMetadata(index, id, { stamp, kind });
        left.add(id);
        yield;
      }
    }
    await this.#inSlices(steps());
    if (this.#stopped || life !== this.#blocks.life) return;
    range?.done();
  }

  *#lookAtLeft(): Generator<void> {
    const { index } = this.#blocks.life;
    for (const objectId of this.#rested) {
      this.#rested.delete(objectId);
      if (!index.hasBlocks(objectId) && !index.metadata.has(objectId)) this.#emptied += 1;
      yield;
    }
    for (const objectId of this.#left) this.#rested.add(objectId);
    this.#left.clear();
  }
}

function* objectIdsOf(index: BlockIndex, scope: Reclaim["scope"]): Generator<number> {
  if ("objectId" in scope) yield scope.objectId;
  else if ("volumeId" in scope) for (const { id } of index.objectsOf(scope.volumeId)) yield id;
  else {
    for (const volume of index.volumes({ fs: scope.fs })) {
      yield* objectIdsOf(index, { volumeId: volume.id });
    }
  }
}
