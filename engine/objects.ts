/**
 * Volumes and files as the engine holds them in memory: one mutable state for each name, loaded from the index when
 * first named and kept while anybody uses it, beyond that up to a bound. Names become ids here and nowhere else.
 */
import assert from "node:assert/strict";
import type { BlockIndex } from "../index/block-index.js";
import { type CacheError, isCacheError } from "../index/core/errors.js";
import { OBJECT_IDS_MAX } from "../index/core/layout.js";
import type { ObjectRecord, VolumeRecord } from "../index/records.js";
import { type NameBytes, checkFsName, checkName, nameBuffer } from "../index/core/names.js";

/** States kept in memory beyond those in use. */
export const IDLE_OBJECTS_MAX = 16_384;
export const IDLE_VOLUMES_MAX = 1024;

/** Floors of a file that are kept before those that no fill under way can pass are dropped. */
const FLOORS_MAX = 1024;
/** What LMDB adds to a record, its pages being partly full: a bound, not a measure. */
const RECORD_OVERHEAD_BYTES = 256;

const EMPTY = Buffer.alloc(0);
const ASCII = /^[\0-\x7f]*$/;

export class VolumeState {
  readonly id: number;
  readonly fs: Buffer;
  readonly volume: Buffer;
  coherency: Buffer = EMPTY;
  /** Content with a lower sequence number does not exist. */
  stamp = 0;
  /** Raised when other coherency data takes the place of what handles were acquired with. */
  revision = 0;
  /** The index has a record of it. */
  recorded = false;
  /** Handles and loaded objects. */
  users = 0;
  readonly objects = new Map<string, ObjectState>();

  constructor(id: number, fs: Buffer, volume: Buffer) {
    this.id = id;
    this.fs = fs;
    this.volume = volume;
  }
}

export class ObjectState {
  readonly id: number;
  readonly volume: VolumeState;
  readonly inode: Buffer;
  coherency: Buffer = EMPTY;
  sizeBytes = 0n;
  stamp = 0;
  /** Raised when other coherency data takes the place of what handles were acquired with. */
  revision = 0;
  recorded = false;
  /** Handles and fills under way. */
  users = 0;
  /** Whether a pin covers it, as of this version of the set of pins. */
  pinsVersion = -1;
  pinned = false;
  /** Sequence numbers of the fills under way, in order. */
  readonly fills = new Set<number>();
  /** Blocks that were stored or removed while fills were under way, and the number of that: older fills come too late. */
  floors: Map<number, number> | undefined;

  constructor(id: number, volume: VolumeState, inode: Buffer) {
    this.id = id;
    this.volume = volume;
    this.inode = inode;
  }

  /** What was called before `sequence` comes too late for this block. */
  raiseFloor(block: number, sequence: number): void {
    this.floors ??= new Map();
    this.floors.set(block, sequence);
    if (this.floors.size <= FLOORS_MAX) return;
    const [oldest = Number.POSITIVE_INFINITY] = this.fills;
    for (const [place, floor] of this.floors) if (floor <= oldest) this.floors.delete(place);
  }

  /** Content with a lower sequence number does not exist. */
  get stampMax(): number {
    return Math.max(this.stamp, this.volume.stamp);
  }
}

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
  readonly #volumes = new Map<string, VolumeState>();
  readonly #volumesById = new Map<number, VolumeState>();
  /** The last volume that was named, and by which text: most calls name the same one again. */
  #lastFs: string | undefined;
  #lastName: string | undefined;
  #lastVolume: VolumeState | undefined;
  /** Loaded states that nobody uses, the longest unused first. */
  readonly #idleObjects = new Set<ObjectState>();
  readonly #idleVolumes = new Set<VolumeState>();

  /** @param onCorrupt told of records that do not read back; they count as absent and are written anew. */
  constructor(index: BlockIndex, counters: ObjectCounters, onCorrupt: (error: CacheError) => void) {
    this.#index = index;
    this.counters = counters;
    this.#onCorrupt = onCorrupt;
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
    const key = volumeMapKey(fs, volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined) return loaded;
    const [fsBytes, volumeBytes] = [checkFsName(fs), checkName("volume", volume)];
    const record = this.#readable(() => this.#index.findVolume(fsBytes, volumeBytes));
    if (record === undefined) return undefined;
    const state = new VolumeState(record.id, owned(record.fs), owned(record.volume));
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
    const state = new VolumeState(id, owned(checkFsName(fs)), owned(checkName("volume", volume)));
    return this.#keepVolume(volumeMapKey(fs, volume), state);
  }

  findIn(volume: VolumeState, inode: NameBytes): ObjectState | undefined {
    const key = mapKey(inode);
    const loaded = volume.objects.get(key);
    if (loaded !== undefined) return loaded;
    const bytes = checkName("inode", inode);
    const record = volume.recorded
      ? this.#readable(() => this.#index.findObject(volume.id, bytes))
      : undefined;
    if (record === undefined) return undefined;
    const state = new ObjectState(record.id, volume, owned(bytes));
    state.coherency = owned(record.coherency);
    state.sizeBytes = record.sizeBytes;
    state.stamp = record.stamp;
    state.recorded = true;
    return this.#keep(key, state);
  }

  obtainIn(volume: VolumeState, inode: NameBytes): ObjectState {
    const found = this.findIn(volume, inode);
    if (found !== undefined) return found;
    const id = this.counters.nextObjectId;
    assert.ok(id < OBJECT_IDS_MAX);
    this.counters.nextObjectId = id + 1;
    return this.#keep(mapKey(inode), new ObjectState(id, volume, owned(checkName("inode", inode))));
  }

  /** Queues the record of a file, and of its volume if that has none. */
  record(object: ObjectState): void {
    if (!object.volume.recorded) this.recordVolume(object.volume);
    if (!object.recorded) this.counters.objects += 1;
    object.recorded = true;
    const { id, inode, coherency, sizeBytes, stamp } = object;
    this.#index.putObject({ id, volumeId: object.volume.id, inode, coherency, sizeBytes, stamp });
  }

  recordVolume(state: VolumeState): void {
    state.recorded = true;
    const { id, fs, volume, coherency, stamp } = state;
    this.#index.putVolume({ id, fs, volume, coherency, stamp });
  }

  /** The loaded state of a file, if there is one. */
  loadedIn(volumeId: number, inode: Buffer): ObjectState | undefined {
    return this.#volumesById.get(volumeId)?.objects.get(mapKey(inode));
  }

  /** Removes the record of a file; named again, it counts as not seen before. */
  removeRecord(record: Pick<ObjectRecord, "volumeId" | "inode">): void {
    const loaded = this.loadedIn(record.volumeId, record.inode);
    this.#index.removeObject(record);
    this.counters.objects -= 1;
    if (loaded === undefined) return;
    loaded.recorded = false;
    if (loaded.users === 0) this.#drop(loaded);
  }

  /** Removes the record of a volume that has no files, unless somebody uses it. */
  removeVolumeRecord(record: VolumeRecord): void {
    const key = volumeMapKey(record.fs, record.volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined && loaded.users > 0) return;
    this.#index.removeVolume(record);
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
    this.#volumes.delete(volumeMapKey(volume.fs, volume.volume));
    this.#volumesById.delete(volume.id);
    if (this.#lastVolume === volume) this.#lastVolume = undefined;
  }

  #drop(object: ObjectState): void {
    this.#idleObjects.delete(object);
    object.volume.objects.delete(mapKey(object.inode));
    this.letGoVolume(object.volume);
  }
}

/** What the record of a file may take in the index, its volume's included: more than it will. */
export function recordBytes(object: ObjectState): number {
  const { volume } = object;
  const names = object.inode.length + object.coherency.length;
  const volumeNames = volume.recorded ? 0 : volume.fs.length + volume.volume.length + volume.coherency.length;
  return 2 * (names + volumeNames) + RECORD_OVERHEAD_BYTES;
}

/** Equal for equal bytes, be they given as text or as bytes. */
function mapKey(name: NameBytes): string {
  if (typeof name === "string" && ASCII.test(name)) return name;
  return nameBuffer(name).toString("latin1");
}

/** U+0100 is in no map key, so it parts the two. */
function volumeMapKey(fs: NameBytes, volume: NameBytes): string {
  return `${mapKey(fs)}\u0100${mapKey(volume)}`;
}

/** A copy that nobody else changes. */
function owned(bytes: Buffer): Buffer {
  return bytes.length === 0 ? EMPTY : Buffer.from(bytes);
}
