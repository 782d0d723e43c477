/**
 * Work that nobody waits for, in slices between requests: drops blocks that were invalidated, and takes the records of
 * files out of the index once their last block is gone.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ObjectRecord } from "../index/records.js";
import type { Blocks } from "./blocks.js";
import { monotonicMs } from "./clock.js";
import type { Counters } from "./counters.js";
import type { LogFunction } from "./log.js";

const SLICE_STEPS = 256;
const TICK_MS = 200;
/** A sweep walks all file records, so it waits until it pays: a quarter of them without blocks, within bounds. */
const SWEEP_SHARE = 0.25;
const SWEEP_MIN = 1024;
const SWEEP_MAX = 65_536;
/** Between two sweeps for an index that is short of room. */
const SWEEP_EVERY_MS = 100;

/** Blocks of a file (or of all files of a volume) with a lower sequence number are to go. */
interface Reclaim {
  readonly volumeId: number;
  readonly object: Pick<ObjectRecord, "id"> | undefined;
  readonly stamp: number;
}

export class Housekeeper {
  readonly #blocks: Blocks;
  readonly #log: LogFunction;
  readonly #counters: Counters;
  readonly #reclaims: Reclaim[] = [];
  /** Files that lost a block or a user, to be looked at; then how many had no blocks. */
  readonly #left = new Set<number>();
  #emptied = 0;
  #pressed = false;
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** Steps since others had their turn. */
  #steps = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(blocks: Blocks, log: LogFunction, counters: Counters) {
    this.#blocks = blocks;
    this.#counters = counters;
    this.#log = log;
  }

  /** Blocks of this file stored before `stamp` are to go. */
  reclaimObject(volumeId: number, objectId: number, stamp: number): void {
    this.#reclaims.push({ volumeId, object: { id: objectId }, stamp });
    this.#wake();
  }

  /** Blocks of all files of this volume stored before `stamp` are to go. */
  reclaimVolume(volumeId: number, stamp: number): void {
    this.#reclaims.push({ volumeId, object: undefined, stamp });
    this.#wake();
  }

  /** A file lost a block, or was recorded and may never get one. */
  noteLeft(objectId: number): void {
    this.#left.add(objectId);
    this.#wake();
  }

  /** Removes the records of files without blocks, however few there are; at most once in a while. */
  async sweepNow(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    const waitMs = this.#sweptMs + SWEEP_EVERY_MS - monotonicMs();
    if (waitMs > 0) await sleep(waitMs);
    if (this.#stopped || this.#running !== undefined) return;
    this.#pressed = true;
    await this.#start();
  }

  /** Forgets all work, as after a wipe. */
  clear(): void {
    this.#reclaims.length = 0;
    this.#left.clear();
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
    if (this.#reclaims.length > 0 || this.#left.size > 0) this.#wake();
  }

  #wake(): void {
    if (this.#stopped || this.#timer !== undefined || this.#running !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#running === undefined) void this.#start(); // reports its own failures
    }, TICK_MS).unref();
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
      if (this.#stopped || (this.#emptied < due && !this.#pressed)) return;
      this.#pressed = false;
      this.#emptied = 0;
      this.#sweptMs = monotonicMs();
      await this.#inSlices(this.#sweep());
    } catch (error) {
      this.#log("warn", "background cleaning was given up for now", { error: String(error) });
    }
  }

  /** Runs a generator step by step; after each slice its changes are committed and others have their turn. */
  async #inSlices(steps: Iterable<void>): Promise<void> {
    const { life } = this.#blocks;
    for (const _ of steps) {
      this.#steps += 1;
      if (this.#steps % SLICE_STEPS !== 0) continue;
      await life.index.committed();
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#stopped || life !== this.#blocks.life) return;
    }
  }

  async #reclaim({ volumeId, object, stamp }: Reclaim): Promise<void> {
    const { index } = this.#blocks.life;
    const blocks = this.#blocks;
    const left = this.#left;
    const counters = this.#counters;
    function* steps(): Generator<void> {
      for (const { id } of object === undefined ? index.objectsOf(volumeId) : [object]) {
        for (const { block, entry } of index.blocksOf(id)) {
          // The walk reads ahead: what counts is the entry that stands now.
          const now = entry.sequence < stamp ? blocks.entryOf(id, block) : undefined;
          if (now !== undefined && now.sequence < stamp) {
            blocks.drop(id, block, now);
            counters.reclaimed += 1;
          }
          yield;
        }
        left.add(id);
        yield;
      }
    }
    await this.#inSlices(steps());
  }

  *#lookAtLeft(): Generator<void> {
    const { index } = this.#blocks.life;
    for (const objectId of this.#left) {
      this.#left.delete(objectId);
      if (!index.hasBlocks(objectId)) this.#emptied += 1;
      yield;
    }
  }

  /** Removes the records of files that have neither blocks nor users, and of volumes that have no files. */
  *#sweep(): Generator<void> {
    const { index, objects } = this.#blocks.life;
    for (const volume of index.volumes()) {
      for (const record of index.objectsOf(volume.id)) {
        const used = (objects.loadedIn(volume.id, record.inode)?.users ?? 0) > 0;
        // The walk reads ahead: the file may have been retired and stored again since, under another id.
        const stands = (): boolean => index.findObject(volume.id, record.inode)?.id === record.id;
        if (!used && !index.hasBlocks(record.id) && stands()) objects.removeRecord(record);
        yield;
      }
      const [first] = index.objectsOf(volume.id);
      if (first === undefined) objects.removeVolumeRecord(volume);
    }
  }
}
