/**
 * Volumes and files as the engine holds them in memory: one mutable state for each name, loaded from the index when
 * first named and kept while anybody uses it, beyond that up to a bound. Names become ids here and nowhere else.
 */
import assert from "node:assert/strict";
import type { BlockIndex } from "../index/block-index.js";
import { type CacheError, isCacheError } from "../index/core/errors.js";
import { OBJECT_IDS_MAX } from "../index/core/layout.js";
import type { Noticed } from "./direct/lookup-format.js";
import type { ObjectRecord, VolumeRecord } from "../index/records.js";
import { VolumeTally } from "./volume-tally.js";
import {
  keptBytes,
  type NameBytes,
  checkFsName,
  checkName,
  nameKey,
  volumeNameKey,
} from "../index/core/names.js";
import { FsState, ObjectState, VolumeState } from "./object-states.js";

/** States kept in memory beyond those in use. */
export const IDLE_OBJECTS_MAX = 16_384;
export const IDLE_VOLUMES_MAX = 1024;

const EMPTY = Buffer.alloc(0);

export interface ObjectCounters {
  nextObjectId: number;
  nextVolumeId: number;
  /** Object records in the index. */
  objects: number;
}

export class Objects {
  readonly #index: BlockIndex;
  readonly counters: ObjectCounters;
  readonly #onCorrupt: (error: CacheError) => void;
  readonly #takeStamp: (noticed: Noticed) => number;
  readonly #systems = new Map<string, FsState>();
  /** What was counted for volumes that are not loaded any more. */
  readonly #gone: VolumeTally;
  readonly #volumes = new Map<string, VolumeState>();
  readonly #volumesById = new Map<number, VolumeState>();
  /** The last volume that was named, and by which text: most calls name the same one again. */
  #lastFs: string | undefined;
  #lastName: string | undefined;
  #lastVolume: VolumeState | undefined;
  /** Loaded states that nobody uses, the longest unused first. */
  readonly #idleObjects = new Set<ObjectState>();
  readonly #idleVolumes = new Set<VolumeState>();

  /**
   * @param onCorrupt told of records that do not read back; they count as absent and are written anew.
   * @param takeStamp the next number of the sequence that generations and stamps share.
   * @param gone takes the counts of volumes that leave memory.
   */
  constructor(
    index: BlockIndex,
    counters: ObjectCounters,
    onCorrupt: (error: CacheError) => void,
    takeStamp: (noticed: Noticed) => number,
    gone = new VolumeTally(),
  ) {
    this.#gone = gone;
    this.#index = index;
    this.counters = counters;
    this.#onCorrupt = onCorrupt;
    this.#takeStamp = takeStamp;
  }

  get loadedVolumes(): Iterable<VolumeState> {
    return this.#volumes.values();
  }

  /** How many volumes and files are in memory, and what was asked of all volumes. */
  loaded(): { volumes: number; objects: number; tally: VolumeTally } {
    const tally = new VolumeTally();
    tally.add(this.#gone);
    let objects = 0;
    for (const volume of this.#volumes.values()) {
      objects += volume.objects.size;
      tally.add(volume.tally);
    }
    return { volumes: this.#volumes.size, objects, tally };
  }

  /** Hands over what was counted for all volumes: this life is at its end. */
  giveUpTallies(): void {
    for (const volume of this.#volumes.values()) this.#gone.add(volume.tally);
  }

  /** The file of these names if the index knows it. @throws {CacheError} E_ARGUMENT. */
  find(fs: NameBytes, volume: NameBytes, inode: NameBytes): ObjectState | undefined {
    const found = this.findVolume(fs, volume);
    if (found !== undefined) return this.findIn(found, inode);
    checkName("inode", inode);
    return undefined;
  }

  /** The file of these names, known before or not. @throws {CacheError} E_ARGUMENT. */
  obtain(fs: NameBytes, volume: NameBytes, inode: NameBytes): ObjectState {
    return this.obtainIn(this.obtainVolume(fs, volume), inode);
  }

  findVolume(fs: NameBytes, volume: NameBytes): VolumeState | undefined {
    if (fs === this.#lastFs && volume === this.#lastName && this.#lastVolume !== undefined)
      return this.#lastVolume;
    const found = this.#loadVolume(fs, volume);
    // Only text stays what it was.
    this.#lastFs = typeof fs === "string" ? fs : undefined;
    this.#lastName = typeof volume === "string" ? volume : undefined;
    this.#lastVolume = found;
    return found;
  }

  #loadVolume(fs: NameBytes, volume: NameBytes): VolumeState | undefined {
    const key = volumeNameKey(fs, volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined) return loaded;
    const [fsBytes, volumeBytes] = [checkFsName(fs), checkName("volume", volume)];
    const record = this.#readable(() => this.#index.names.findVolume(fsBytes, volumeBytes));
    if (record === undefined) return undefined;
    const state = new VolumeState(record.id, this.system(record.fs), owned(record.volume));
    state.coherency = owned(record.coherency);
    state.stamp = record.stamp;
    state.recorded = true;
    return this.#keepVolume(key, state);
  }

  obtainVolume(fs: NameBytes, volume: NameBytes): VolumeState {
    const found = this.findVolume(fs, volume);
    if (found !== undefined) return found;
    const id = this.counters.nextVolumeId;
    assert.ok(id < OBJECT_IDS_MAX);
    this.counters.nextVolumeId = id + 1;
    const name = owned(checkName("volume", volume));
    const state = new VolumeState(id, this.system(checkFsName(fs)), name);
    return this.#keepVolume(volumeNameKey(fs, volume), state);
  }

  findIn(volume: VolumeState, inode: NameBytes): ObjectState | undefined {
    const key = nameKey(inode);
    const loaded = volume.objects.get(key);
    if (loaded !== undefined) return loaded;
    const bytes = checkName("inode", inode);
    const record = volume.recorded
      ? this.#readable(() => this.#index.names.findObject(volume.id, bytes))
      : undefined;
    if (record === undefined) return undefined;
    const state = new ObjectState(record.id, volume, owned(bytes));
    state.coherency = owned(record.coherency);
    state.sizeBytes = record.sizeBytes;
    state.stamp = record.stamp;
    state.ranges = record.ranges ?? [];
    state.recorded = true;
    return this.#keep(key, state);
  }

  obtainIn(volume: VolumeState, inode: NameBytes): ObjectState {
    const found = this.findIn(volume, inode);
    if (found !== undefined) return found;
    const id = this.#takeObjectId();
    return this.#keep(nameKey(inode), new ObjectState(id, volume, owned(checkName("inode", inode))));
  }

  #takeObjectId(): number {
    const id = this.counters.nextObjectId;
    assert.ok(id < OBJECT_IDS_MAX);
    this.counters.nextObjectId = id + 1;
    return id;
  }

  /** A file that is stored under these names once it is whole; until then nobody finds it. Its user is the caller. */
  stage(volume: VolumeState, inode: NameBytes): ObjectState {
    const id = this.#takeObjectId();
    const state = new ObjectState(id, volume, owned(checkName("inode", inode)));
    state.staged = true;
    state.users = 1;
    this.holdVolume(volume);
    return state;
  }

  /** Gives a staged file its name, which nobody has just now, and queues its record. */
  publish(object: ObjectState): void {
    const key = nameKey(object.inode);
    assert.ok(object.staged && !object.volume.objects.has(key));
    object.staged = false;
    object.volume.objects.set(key, object);
    this.record(object);
  }

  /** A staged file that gets no name: its user is the last one. */
  unstage(object: ObjectState): void {
    assert.ok(object.staged && object.users === 1);
    this.letGoVolume(object.volume);
  }

  /** Takes a file's name away, so that another may have it. Its state ends with its users. */
  unname(object: ObjectState): void {
    if (object.recorded) this.removeRecord({ volumeId: object.volume.id, inode: object.inode });
    const { objects } = object.volume;
    const key = nameKey(object.inode);
    if (objects.get(key) !== object) return;
    if (object.users === 0) this.#drop(object);
    else objects.delete(key);
  }

  /** Queues the record of a file, and of its volume if that has none. */
  record(object: ObjectState): void {
    if (!object.volume.recorded) this.recordVolume(object.volume);
    if (!object.recorded) this.counters.objects += 1;
    object.recorded = true;
    const { id, inode, coherency, sizeBytes, stamp, ranges } = object;
    this.#index.names.putObject({
      id,
      volumeId: object.volume.id,
      inode,
      coherency,
      sizeBytes,
      stamp,
      ...(ranges.length > 0 && { ranges }),
    });
  }

  /** The state of a file system, known before or not; it lives as long as a volume of it is loaded. */
  system(fs: Buffer): FsState {
    const key = nameKey(fs);
    const loaded = this.#systems.get(key);
    if (loaded !== undefined) return loaded;
    const state = new FsState(owned(fs));
    this.#systems.set(key, state);
    try {
      state.stamp = this.#index.names.findFs(fs)?.stamp ?? 0;
    } catch (error) {
      if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
      // What it forbade may be anything that is there.
      this.#onCorrupt(error);
      state.stamp = this.#takeStamp({ kind: "all" });
      this.#index.names.putFs({ fs: state.fs, stamp: state.stamp });
    }
    return state;
  }

  /** Queues the record of a file system. */
  recordSystem(state: FsState): void {
    this.#index.names.putFs({ fs: state.fs, stamp: state.stamp });
    if (state.users === 0) this.#systems.delete(nameKey(state.fs));
  }

  recordVolume(state: VolumeState): void {
    state.recorded = true;
    const { id, fs, volume, coherency, stamp } = state;
    this.#index.names.putVolume({ id, fs, volume, coherency, stamp });
  }

  /** The loaded state of a volume, if there is one. */
  volumeById(id: number): VolumeState | undefined {
    return this.#volumesById.get(id);
  }

  /** The loaded state of a file, if there is one. */
  loadedIn(volumeId: number, inode: Buffer): ObjectState | undefined {
    return this.#volumesById.get(volumeId)?.objects.get(nameKey(inode));
  }

  /** Removes the record of a file; named again, it counts as not seen before. */
  removeRecord(record: Pick<ObjectRecord, "volumeId" | "inode">): void {
    const loaded = this.loadedIn(record.volumeId, record.inode);
    this.#index.names.removeObject(record);
    this.counters.objects -= 1;
    if (loaded === undefined) return;
    loaded.recorded = false;
    if (loaded.users === 0) this.#drop(loaded);
  }

  /** Removes the record of a volume that has no files, unless somebody uses it. */
  removeVolumeRecord(record: VolumeRecord): void {
    const key = volumeNameKey(record.fs, record.volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined && loaded.users > 0) return;
    this.#index.names.removeVolume(record);
    if (loaded !== undefined) this.#dropVolume(loaded);
  }

  /** Somebody uses the file: its state stays until letGo. */
  hold(object: ObjectState): void {
    object.users += 1;
    if (object.users === 1) this.#idleObjects.delete(object);
  }

  letGo(object: ObjectState): void {
    object.users -= 1;
    if (object.users === 0) this.#idleObjects.add(object);
  }

  /** Somebody uses the volume: its state stays until letGoVolume. */
  holdVolume(volume: VolumeState): void {
    volume.users += 1;
    if (volume.users === 1) this.#idleVolumes.delete(volume);
  }

  letGoVolume(volume: VolumeState): void {
    volume.users -= 1;
    if (volume.users === 0) this.#idleVolumes.add(volume);
  }

  /** Files that are loaded and that nobody uses, the longest unused first. */
  idle(): Iterable<ObjectState> {
    return this.#idleObjects;
  }

  get idleCount(): number {
    return this.#idleObjects.size;
  }

  #readable<T>(find: () => T | undefined): T | undefined {
    try {
      return find();
    } catch (error) {
      if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
      this.#onCorrupt(error);
      return undefined;
    }
  }

  #keepVolume(key: string, state: VolumeState): VolumeState {
    this.#volumes.set(key, state);
    this.#volumesById.set(state.id, state);
    state.system.users += 1;
    this.#idleVolumes.add(state);
    for (const oldest of this.#idleVolumes) {
      if (this.#idleVolumes.size <= IDLE_VOLUMES_MAX) break;
      this.#dropVolume(oldest);
    }
    return state;
  }

  #keep(key: string, state: ObjectState): ObjectState {
    this.holdVolume(state.volume);
    state.volume.objects.set(key, state);
    this.#idleObjects.add(state);
    for (const oldest of this.#idleObjects) {
      if (this.#idleObjects.size <= IDLE_OBJECTS_MAX) break;
      this.#drop(oldest);
    }
    return state;
  }

  #dropVolume(volume: VolumeState): void {
    this.#idleVolumes.delete(volume);
    this.#volumes.delete(volumeNameKey(volume.fs, volume.volume));
    this.#volumesById.delete(volume.id);
    volume.system.users -= 1;
    if (volume.system.users === 0) this.#systems.delete(nameKey(volume.fs));
    this.#gone.add(volume.tally);
    if (this.#lastVolume === volume) this.#lastVolume = undefined;
  }

  #drop(object: ObjectState): void {
    this.#idleObjects.delete(object);
    const key = nameKey(object.inode);
    const { objects } = object.volume;
    if (objects.get(key) === object) objects.delete(key); // another may have its name by now
    this.letGoVolume(object.volume);
  }
}

/** A copy that nobody else changes. */
function owned(bytes: Buffer): Buffer {
  return bytes.length === 0 ? EMPTY : keptBytes(bytes);
}
