/**
 * Work that nobody waits for, in slices between requests: drops blocks and metadata that were invalidated, and takes the
 * records of files out of the index once nothing of them is left. When the index is short of room, metadata is culled
 * here too, with its file, once the file has neither blocks nor users: first of files that are not in memory, then,
 * a part at a time, of those that are, the longest unused first.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { ObjectRecord } from "../index/records.js";
import type { Blocks } from "./blocks.js";
import { monotonicMs } from "./clock.js";
import type { LogFunction } from "./log.js";
import { EVERYTHING, noteReclaim, notedReclaims, reclaimMetadata } from "./metadata-reclaim.js";

const SLICE_STEPS = 256;
const TICK_MS = 200;
/** A sweep walks all file records, so it waits until it pays: a quarter of them without blocks, within bounds. */
const SWEEP_SHARE = 0.25;
const SWEEP_MIN = 1024;
const SWEEP_MAX = 65_536;
/** Between two sweeps for an index that is short of room. */
const SWEEP_EVERY_MS = 100;
/** The part of the files in memory whose metadata may go before the index is looked at again, and how many at least. */
const IDLE_SHARE = 64;
const IDLE_MIN = 16;

/** Blocks and metadata of a file (or of all files of a volume) with a lower sequence number are to go. */
interface Reclaim {
  readonly volumeId: number;
  readonly object: Pick<ObjectRecord, "id"> | undefined;
  readonly stamp: number;
  /** Only metadata of this kind. */
  readonly kind?: "xattr" | "entry";
}

export interface HousekeeperParts {
  readonly indexPressed: () => boolean;
}

export class Housekeeper {
  readonly #blocks: Blocks;
  readonly #log: LogFunction;
  readonly #indexPressed: () => boolean;
  readonly #reclaims: Reclaim[] = [];
  /** Files that lost a block or a user, to be looked at; then how many had no blocks. */
  readonly #left = new Set<number>();
  #emptied = 0;
  #pressed = false;
  /** Files whose metadata was culled by the last sweep that was asked for. */
  #culled = 0;
  #sweptMs = Number.NEGATIVE_INFINITY;
  /** Steps since others had their turn. */
  #steps = 0;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(blocks: Blocks, log: LogFunction, parts: HousekeeperParts) {
    this.#blocks = blocks;
    this.#log = log;
    this.#indexPressed = parts.indexPressed;
  }

  /** Goes on with what an earlier session left undone. */
  takeUp(): void {
    try {
      for (const { objectId, stamp } of notedReclaims(this.#blocks.life.index)) {
        this.#reclaims.push({ volumeId: 0, object: { id: objectId }, stamp });
      }
    } catch (error) {
      this.#log("warn", "what an earlier session left to clean is not known", { error: String(error) });
    }
    this.#wakeForWork();
  }

  /** Metadata of this kind, of this file, stored before `stamp` is to go. */
  reclaimItems(objectId: number, kind: "xattr" | "entry", stamp: number): void {
    this.#reclaims.push({ volumeId: 0, object: { id: objectId }, stamp, kind });
    this.#wake();
  }

  /** Blocks and metadata of this file stored before `stamp` are to go. */
  reclaimObject(volumeId: number, objectId: number, stamp: number): void {
    noteReclaim(this.#blocks.life.index, objectId, stamp);
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

  /**
   * Removes the records of files without blocks, however few there are, and culls metadata; at most once in a while.
   * @returns how many files lost metadata.
   */
  async sweepNow(): Promise<number> {
    while (this.#running !== undefined) await this.#running;
    const waitMs = this.#sweptMs + SWEEP_EVERY_MS - monotonicMs();
    if (waitMs > 0) await sleep(waitMs);
    if (this.#stopped || this.#running !== undefined) return 0;
    this.#pressed = true;
    this.#culled = 0;
    await this.#start();
    return this.#culled;
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
      const pressed = this.#pressed;
      if (this.#stopped || (this.#emptied < due && !pressed)) return;
      this.#pressed = false;
      this.#emptied = 0;
      this.#sweptMs = monotonicMs();
      await this.#inSlices(this.#sweep(pressed));
      if (pressed && !this.#stopped) await this.#inSlices(this.#sweepIdle());
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

  async #reclaim({ volumeId, object, stamp, kind }: Reclaim): Promise<void> {
    const { index } = this.#blocks.life;
    const blocks = this.#blocks;
    const left = this.#left;
    function* steps(): Generator<void> {
      for (const { id } of object === undefined ? index.objectsOf(volumeId) : [object]) {
        for (const { block, entry } of kind === undefined ? index.blocksOf(id) : []) {
          // The walk reads ahead: what counts is the entry that stands now.
          const now = entry.sequence < stamp ? blocks.entryOf(id, block) : undefined;
          if (now !== undefined && now.sequence < stamp) blocks.drop(id, block, now);
          yield;
        }
        yield* reclaimMetadata(index, id, { stamp, kind });
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
      if (!index.hasBlocks(objectId) && !index.metadata.has(objectId)) this.#emptied += 1;
      yield;
    }
  }

  /** Removes the records of files that have neither blocks, metadata nor users, and of volumes that have no files. */
  *#sweep(pressed: boolean): Generator<void> {
    const { index, objects } = this.#blocks.life;
    for (const volume of index.volumes()) {
      for (const record of index.objectsOf(volume.id)) {
        const loaded = objects.loadedIn(volume.id, record.inode);
        // The walk reads ahead: the file may have been retired and stored again since, under another id.
        const stands = (): boolean => index.findObject(volume.id, record.inode)?.id === record.id;
        if ((loaded?.users ?? 0) === 0 && !index.hasBlocks(record.id) && stands()) {
          if (!index.metadata.has(record.id)) objects.removeRecord(record);
          else if (pressed && loaded === undefined && this.#indexPressed()) yield* this.#cull(record);
        }
        yield;
      }
      const [first] = index.objectsOf(volume.id);
      if (first === undefined) objects.removeVolumeRecord(volume);
    }
  }

  /** The same for files in memory that have metadata, the longest unused first, until the index has room or a part has gone. */
  *#sweepIdle(): Generator<void> {
    const { index, objects } = this.#blocks.life;
    let left = Math.max(IDLE_MIN, Math.ceil(objects.idleCount / IDLE_SHARE));
    const candidates = Array.from(objects.idle());
    for (const object of candidates) {
      if (left === 0 || !this.#indexPressed()) return;
      yield; // others may use it or retire it meanwhile
      const { id, volume, inode } = object;
      const stands = object.recorded && object.users === 0 && index.findObject(volume.id, inode)?.id === id;
      if (!stands || index.hasBlocks(id) || !index.metadata.has(id)) continue;
      left -= 1;
      yield* this.#cull({ id, volumeId: volume.id, inode });
    }
  }

  /** Takes the record of a file out of the index, and with it what it has of metadata. */
  *#cull(record: Pick<ObjectRecord, "id" | "volumeId" | "inode">): Generator<void> {
    const { index, objects } = this.#blocks.life;
    this.#culled += 1;
    objects.removeRecord(record);
    noteReclaim(index, record.id, EVERYTHING);
    yield* reclaimMetadata(index, record.id, { stamp: EVERYTHING });
  }
}
