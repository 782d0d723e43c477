/**
 * Volumes and file systems as the engine holds them in memory: one mutable state for each name, loaded from the index when
 * first named and kept while anybody uses it, beyond that up to a bound.
 */
import assert from "node:assert/strict";
import { type CacheError, isCacheError } from "../index/core/errors.js";
import { OBJECT_IDS_MAX } from "../index/core/layout.js";
import {
  type NameBytes,
  checkFsName,
  checkName,
  keptBytes,
  nameKey,
  volumeNameKey,
} from "../index/core/names.js";
import type { NameIndex } from "../index/name-index.js";
import type { VolumeRecord } from "../index/records.js";
import type { Noticed } from "./direct/lookup-format.js";
import { IdleStates } from "./idle-states.js";
import { FsState, VolumeState } from "./object-states.js";
import { VolumeTally } from "./volume-tally.js";

/** States kept in memory beyond those in use. */
export const IDLE_VOLUMES_MAX = 1024;

export interface VolumesOptions {
  readonly names: NameIndex;
  /** The next id; counted up. */
  readonly counters: { nextVolumeId: number };
  /** Told of records of file systems that do not read back; they are written anew. */
  readonly onCorrupt: (error: CacheError) => void;
  /** The next number of the sequence that generations and stamps share. */
  readonly takeStamp: (noticed: Noticed) => number;
  /** Takes the counts of volumes that leave memory. */
  readonly gone: VolumeTally;
}

export class Volumes {
  readonly #options: VolumesOptions;
  readonly #systems = new Map<string, FsState>();
  readonly #volumes = new Map<string, VolumeState>();
  readonly #byId = new Map<number, VolumeState>();
  /** The last volume that was named, and by which text: most calls name the same one again. */
  #lastFs: string | undefined;
  #lastName: string | undefined;
  #last: VolumeState | undefined;
  readonly #idle = new IdleStates<VolumeState>(IDLE_VOLUMES_MAX, (volume) => this.#drop(volume));

  constructor(options: VolumesOptions) {
    this.#options = options;
  }

  get loaded(): Iterable<VolumeState> {
    return this.#volumes.values();
  }

  get loadedCount(): number {
    return this.#volumes.size;
  }

  /** What was asked of all volumes, loaded or not. */
  tally(): VolumeTally {
    const sum = new VolumeTally();
    sum.add(this.#options.gone);
    for (const volume of this.#volumes.values()) sum.add(volume.tally);
    return sum;
  }

  /** Hands over what was counted for all volumes: this life is at its end. */
  giveUpTallies(): void {
    for (const volume of this.#volumes.values()) this.#options.gone.add(volume.tally);
  }

  /** The volume of these names if the index knows it. @throws {CacheError} E_ARGUMENT. */
  find(fs: NameBytes, volume: NameBytes): VolumeState | undefined {
    if (fs === this.#lastFs && volume === this.#lastName && this.#last !== undefined) return this.#last;
    const found = this.#load(fs, volume);
    // Only text stays what it was.
    this.#lastFs = typeof fs === "string" ? fs : undefined;
    this.#lastName = typeof volume === "string" ? volume : undefined;
    this.#last = found;
    return found;
  }

  #load(fs: NameBytes, volume: NameBytes): VolumeState | undefined {
    const key = volumeNameKey(fs, volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined) return loaded;
    const [fsBytes, volumeBytes] = [checkFsName(fs), checkName("volume", volume)];
    const record = this.#options.names.findVolume(fsBytes, volumeBytes);
    if (record === undefined) return undefined;
    const state = new VolumeState(record.id, this.system(record.fs), keptBytes(record.volume));
    state.coherency = keptBytes(record.coherency);
    state.stamp = record.stamp;
    state.recorded = true;
    return this.#keep(key, state);
  }

  /** The volume of these names, known before or not. @throws {CacheError} E_ARGUMENT. */
  obtain(fs: NameBytes, volume: NameBytes): VolumeState {
    const found = this.find(fs, volume);
    if (found !== undefined) return found;
    const { counters } = this.#options;
    const id = counters.nextVolumeId;
    assert.ok(id < OBJECT_IDS_MAX);
    counters.nextVolumeId = id + 1;
    const name = keptBytes(checkName("volume", volume));
    const state = new VolumeState(id, this.system(checkFsName(fs)), name);
    return this.#keep(volumeNameKey(fs, volume), state);
  }

  /** The loaded state of a volume, if there is one. */
  byId(id: number): VolumeState | undefined {
    return this.#byId.get(id);
  }

  /** Queues the record of a volume. */
  record(state: VolumeState): void {
    state.recorded = true;
    const { id, fs, volume, coherency, stamp } = state;
    this.#options.names.putVolume({ id, fs, volume, coherency, stamp });
  }

  /** Removes the record of a volume that has no files, unless somebody uses it. */
  removeRecord(record: VolumeRecord): void {
    const key = volumeNameKey(record.fs, record.volume);
    const loaded = this.#volumes.get(key);
    if (loaded !== undefined && loaded.users > 0) return;
    this.#options.names.removeVolume(record);
    if (loaded !== undefined) this.#drop(loaded);
  }

  /** Somebody uses the volume: its state stays until letGo. */
  hold(volume: VolumeState): void {
    this.#idle.hold(volume);
  }

  letGo(volume: VolumeState): void {
    this.#idle.letGo(volume);
  }

  /** The state of a file system, known before or not; it lives as long as a volume of it is loaded. */
  system(fs: Buffer): FsState {
    const key = nameKey(fs);
    const loaded = this.#systems.get(key);
    if (loaded !== undefined) return loaded;
    const { names, onCorrupt, takeStamp } = this.#options;
    const state = new FsState(keptBytes(fs));
    this.#systems.set(key, state);
    try {
      state.stamp = names.findFs(fs)?.stamp ?? 0;
    } catch (error) {
      if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
      // What it forbade may be anything that is there.
      onCorrupt(error);
      state.stamp = takeStamp({ kind: "all" });
      names.putFs({ fs: state.fs, stamp: state.stamp });
    }
    return state;
  }

  /** Content of the file system with a lower sequence number does not exist. */
  stampOf(fs: Buffer): number {
    const state = this.system(fs);
    if (state.users === 0) this.#systems.delete(nameKey(fs));
    return state.stamp;
  }

  /** Queues the record of a file system. */
  recordSystem(state: FsState): void {
    this.#options.names.putFs({ fs: state.fs, stamp: state.stamp });
    if (state.users === 0) this.#systems.delete(nameKey(state.fs));
  }

  #keep(key: string, state: VolumeState): VolumeState {
    this.#volumes.set(key, state);
    this.#byId.set(state.id, state);
    state.system.users += 1;
    this.#idle.add(state);
    return state;
  }

  #drop(volume: VolumeState): void {
    this.#idle.delete(volume);
    this.#volumes.delete(volumeNameKey(volume.fs, volume.volume));
    this.#byId.delete(volume.id);
    volume.system.users -= 1;
    if (volume.system.users === 0) this.#systems.delete(nameKey(volume.fs));
    this.#options.gone.add(volume.tally);
    if (this.#last === volume) this.#last = undefined;
  }
}
