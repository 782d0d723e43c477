/** Records of file systems, volumes and files by their names, with what is queued laid over what is committed. Part of BlockIndex. */
import type { IndexTable } from "./batch.js";
import type { Changes, NameChange } from "./changes.js";
import type { Store } from "./environment.js";
import type { IndexCommits } from "./index-commits.js";
import { fsKey, objectKey, volumeKey } from "./keys.js";
import {
  type FsRecord,
  type ObjectRecord,
  type VolumeRecord,
  decodeFsRecord,
  decodeObjectRecord,
  decodeVolumeRecord,
  encodeFsRecord,
  encodeObjectRecord,
  encodeVolumeRecord,
} from "./records.js";
import { type OnDamaged, readable } from "./scan.js";

/**
 * Every method throws E_CLOSED once the index is closed. A record of a volume or a file that does not read back is told to
 * `onDamaged` and counts as none: named again, they get other ids, under which nothing is found.
 */
export class NameIndex {
  readonly #store: Store<IndexTable>;
  readonly #writer: IndexCommits;
  readonly #checkOpen: () => void;
  readonly #onDamaged: OnDamaged;

  constructor(
    store: Store<IndexTable>,
    writer: IndexCommits,
    { checkOpen, onDamaged }: { checkOpen: () => void; onDamaged: OnDamaged },
  ) {
    this.#store = store;
    this.#writer = writer;
    this.#checkOpen = checkOpen;
    this.#onDamaged = onDamaged;
  }

  /** @throws {CacheError} E_INDEX_CORRUPT: what it forbade may be anything of the file system. */
  findFs(fs: Buffer): FsRecord | undefined {
    const key = fsKey(fs);
    const queued = this.#queuedName((changes) => changes.systems, key);
    if (queued !== undefined) return queued.record ?? undefined;
    const value = this.#store.get("volumes", key);
    return value === undefined ? undefined : decodeFsRecord(fs, value);
  }

  putFs(record: FsRecord): void {
    this.#changeName((changes) => changes.systems, { ...encodeFsRecord(record), record });
  }

  findVolume(fs: Buffer, volume: Buffer): VolumeRecord | undefined {
    const key = volumeKey(fs, volume);
    const queued = this.#queuedName((changes) => changes.volumes, key);
    if (queued !== undefined) return queued.record ?? undefined;
    const record = this.#read("volumes", key, decodeVolumeRecord);
    return record?.volume.equals(volume) ? record : undefined;
  }

  putVolume(record: VolumeRecord): void {
    this.#writer.undone?.putVolume(record);
    this.#changeName((changes) => changes.volumes, { ...encodeVolumeRecord(record), record });
  }

  removeVolume(record: Pick<VolumeRecord, "fs" | "volume">): void {
    const key = volumeKey(record.fs, record.volume);
    this.#writer.undone?.removeName(key);
    this.#changeName((changes) => changes.volumes, { key, value: undefined, record: null });
  }

  findObject(volumeId: number, inode: Buffer): ObjectRecord | undefined {
    const key = objectKey(volumeId, inode);
    const queued = this.#queuedName((changes) => changes.objects, key);
    if (queued !== undefined) return queued.record ?? undefined;
    const record = this.#read("objects", key, decodeObjectRecord);
    return record?.inode.equals(inode) ? record : undefined;
  }

  putObject(record: ObjectRecord): void {
    this.#writer.undone?.putObject(record);
    this.#changeName((changes) => changes.objects, { ...encodeObjectRecord(record), record });
  }

  removeObject(record: Pick<ObjectRecord, "volumeId" | "inode">): void {
    const key = objectKey(record.volumeId, record.inode);
    this.#writer.undone?.removeName(key);
    this.#changeName((changes) => changes.objects, { key, value: undefined, record: null });
  }

  #read<T>(
    table: "volumes" | "objects",
    key: Buffer,
    decode: (key: Buffer, value: Buffer) => T,
  ): T | undefined {
    return readable({ table, key }, this.#onDamaged, () => {
      const value = this.#store.get(table, key);
      return value === undefined ? undefined : decode(key, value);
    });
  }

  #changeName<T>(namesOf: (changes: Changes) => Map<string, NameChange<T>>, change: NameChange<T>): void {
    this.#checkOpen();
    namesOf(this.#writer.group.pending).set(change.key.toString("latin1"), change);
    this.#writer.group.changed();
  }

  #queuedName<T>(
    namesOf: (changes: Changes) => ReadonlyMap<string, NameChange<T>>,
    key: Buffer,
  ): NameChange<T> | undefined {
    this.#checkOpen();
    const pending = namesOf(this.#writer.group.pending);
    const inFlight = this.#writer.group.inFlight && namesOf(this.#writer.group.inFlight);
    if (pending.size === 0 && !inFlight?.size) return undefined;
    const name = key.toString("latin1");
    return pending.get(name) ?? inFlight?.get(name);
  }
}
