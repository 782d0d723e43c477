/** Changes that are not committed yet, by kind and key; the latest change of a key counts. No I/O. */
import type { Entry } from "./entry.js";
import type { MetadataRecord } from "./metadata-records.js";
import type { FsRecord, ObjectRecord, VolumeRecord } from "./records.js";

/** A name record that was put, or removed if `value` is undefined. */
export interface NameChange<NameRecord> {
  readonly key: Buffer;
  readonly value: Buffer | undefined;
  readonly record: NameRecord | null;
}

/** Where a record lies that does not read back. */
export interface DamagedKey {
  readonly table: "volumes" | "objects" | "blocks" | "metadata";
  readonly key: Buffer;
}

/** Someone who waits for the commit of a batch. */
export interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class Changes {
  /** By the key's bytes as a Latin-1 string, which sorts as they do. */
  readonly systems = new Map<string, NameChange<FsRecord>>();
  readonly volumes = new Map<string, NameChange<VolumeRecord>>();
  readonly objects = new Map<string, NameChange<ObjectRecord>>();
  /** By object id, then block number; null is a removal. */
  readonly blocks = new Map<number, Map<number, Entry | null>>();
  /** By object id, then by the key's bytes as a Latin-1 string. */
  readonly metadata = new Map<number, Map<string, NameChange<MetadataRecord>>>();
  /** Records that do not read back, by table and key; they go if that is still so. */
  readonly damaged = new Map<string, DamagedKey>();
  waiters: Waiter[] = [];
  #blockCount = 0;
  #metadataCount = 0;
  #metadataBytes = 0;

  get count(): number {
    const names = this.systems.size + this.volumes.size + this.objects.size;
    return names + this.#blockCount + this.#metadataCount + this.damaged.size;
  }

  /** Keys and values of metadata that were put, replaced ones included: a bound. */
  get metadataBytes(): number {
    return this.#metadataBytes;
  }

  entry(objectId: number, block: number): Entry | null | undefined {
    return this.blocks.get(objectId)?.get(block);
  }

  setEntry(objectId: number, block: number, entry: Entry | null): void {
    let blocks = this.blocks.get(objectId);
    if (blocks === undefined) {
      blocks = new Map();
      this.blocks.set(objectId, blocks);
    }
    const before = blocks.size;
    blocks.set(block, entry);
    this.#blockCount += blocks.size - before;
  }

  setMetadata(objectId: number, change: NameChange<MetadataRecord>): void {
    let names = this.metadata.get(objectId);
    if (names === undefined) {
      names = new Map();
      this.metadata.set(objectId, names);
    }
    const before = names.size;
    names.set(change.key.toString("latin1"), change);
    this.#metadataCount += names.size - before;
    this.#metadataBytes += change.key.length + (change.value?.length ?? 0);
  }

  /** Takes over what was changed after this, and who waits for that. */
  absorb(later: Changes): void {
    for (const [key, change] of later.systems) this.systems.set(key, change);
    for (const [key, change] of later.volumes) this.volumes.set(key, change);
    for (const [key, change] of later.objects) this.objects.set(key, change);
    for (const [objectId, blocks] of later.blocks) {
      for (const [block, entry] of blocks) this.setEntry(objectId, block, entry);
    }
    for (const [objectId, names] of later.metadata) {
      for (const change of names.values()) this.setMetadata(objectId, change);
    }
    for (const [name, key] of later.damaged) this.damaged.set(name, key);
    this.waiters.push(...later.waiters);
  }
}
