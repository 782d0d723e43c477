/**
 * Files as the engine holds them in memory: one mutable state for each name, loaded from the index when first named and
 * kept while anybody uses it, beyond that up to a bound. Names become ids here and in their volumes, nowhere else.
 */
import assert from "node:assert/strict";
import type { BlockIndex } from "../index/block-index.js";
import type { CacheError } from "../index/core/errors.js";
import { OBJECT_IDS_MAX } from "../index/core/layout.js";
import { type NameBytes, checkName, keptBytes, nameKey } from "../index/core/names.js";
import type { NameIndex } from "../index/name-index.js";
import type { ObjectRecord } from "../index/records.js";
import type { Noticed } from "./direct/lookup-format.js";
import { IdleStates } from "./idle-states.js";
import { ObjectState, type VolumeState } from "./object-states.js";
import { VolumeTally } from "./volume-tally.js";
import { Volumes } from "./volumes.js";

/** States kept in memory beyond those in use. */
export const IDLE_OBJECTS_MAX = 16_384;

export interface ObjectCounters {
  nextObjectId: number;
  nextVolumeId: number;
  /** Object records in the index. */
  objects: number;
}

export class Objects {
  readonly #names: NameIndex;
  readonly counters: ObjectCounters;
  readonly volumes: Volumes;
  readonly #idle = new IdleStates<ObjectState>(IDLE_OBJECTS_MAX, (object) => this.#drop(object));

  /**
   * @param onCorrupt told of records of file systems that do not read back; they are written anew.
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
    this.#names = index.names;
    this.counters = counters;
    this.volumes = new Volumes({ names: index.names, counters, onCorrupt, takeStamp, gone });
  }

  /** How many files are in memory. */
  get loadedCount(): number {
    let count = 0;
    for (const volume of this.volumes.loaded) count += volume.objects.size;
    return count;
  }

  /** The file of these names if the index knows it. @throws {CacheError} E_ARGUMENT. */
  find(fs: NameBytes, volume: NameBytes, inode: NameBytes): ObjectState | undefined {
    const found = this.volumes.find(fs, volume);
    if (found !== undefined) return this.findIn(found, inode);
    checkName("inode", inode);
    return undefined;
  }

  /** The file of these names, known before or not. @throws {CacheError} E_ARGUMENT. */
  obtain(fs: NameBytes, volume: NameBytes, inode: NameBytes): ObjectState {
    return this.obtainIn(this.volumes.obtain(fs, volume), inode);
  }

  findIn(volume: VolumeState, inode: NameBytes): ObjectState | undefined {
    const key = nameKey(inode);
    const loaded = volume.objects.get(key);
    if (loaded !== undefined) return loaded;
    const bytes = checkName("inode", inode);
    const record = volume.recorded ? this.#names.findObject(volume.id, bytes) : undefined;
    if (record === undefined) return undefined;
    const state = new ObjectState(record.id, volume, keptBytes(bytes));
    state.coherency = keptBytes(record.coherency);
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
    return this.#keep(nameKey(inode), new ObjectState(id, volume, keptBytes(checkName("inode", inode))));
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
    const state = new ObjectState(id, volume, keptBytes(checkName("inode", inode)));
    state.staged = true;
    state.users = 1;
    this.volumes.hold(volume);
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
    this.volumes.letGo(object.volume);
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
    if (!object.volume.recorded) this.volumes.record(object.volume);
    if (!object.recorded) this.counters.objects += 1;
    object.recorded = true;
    const { id, inode, coherency, sizeBytes, stamp, ranges } = object;
    this.#names.putObject({
      id,
      volumeId: object.volume.id,
      inode,
      coherency,
      sizeBytes,
      stamp,
      ...(ranges.length > 0 && { ranges }),
    });
  }

  /** The loaded state of a file, if there is one. */
  loadedIn(volumeId: number, inode: Buffer): ObjectState | undefined {
    return this.volumes.byId(volumeId)?.objects.get(nameKey(inode));
  }

  /** Removes the record of a file; named again, it counts as not seen before. */
  removeRecord(record: Pick<ObjectRecord, "volumeId" | "inode">): void {
    const loaded = this.loadedIn(record.volumeId, record.inode);
    this.#names.removeObject(record);
    this.counters.objects -= 1;
    if (loaded === undefined) return;
    loaded.recorded = false;
    if (loaded.users === 0) this.#drop(loaded);
  }

  /** Somebody uses the file: its state stays until letGo. */
  hold(object: ObjectState): void {
    this.#idle.hold(object);
  }

  letGo(object: ObjectState): void {
    this.#idle.letGo(object);
  }

  /** Files that are loaded and that nobody uses, the longest unused first. */
  idle(): Iterable<ObjectState> {
    return this.#idle;
  }

  get idleCount(): number {
    return this.#idle.size;
  }

  #keep(key: string, state: ObjectState): ObjectState {
    this.volumes.hold(state.volume);
    state.volume.objects.set(key, state);
    this.#idle.add(state);
    return state;
  }

  #drop(object: ObjectState): void {
    this.#idle.delete(object);
    const key = nameKey(object.inode);
    const { objects } = object.volume;
    if (objects.get(key) === object) objects.delete(key); // another may have its name by now
    this.volumes.letGo(object.volume);
  }
}
