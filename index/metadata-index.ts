/** Metadata of objects in the index, with what is queued laid over what is committed. Part of BlockIndex. */
import { isCacheError } from "./core/errors.js";
import type { CacheError } from "./core/errors.js";
import type { NameChange } from "./changes.js";
import type { GroupCommit } from "./group-commit.js";
import { metadataKeyOwner, metadataRange } from "./keys.js";
import type { KeyRange } from "./keys.js";
import {
  METADATA_KINDS,
  type MetadataKind,
  type MetadataRecord,
  decodeMetadata,
  encodeMetadata,
  metadataKeyOf,
} from "./metadata-records.js";
import type { Layers } from "./scan.js";

export interface SliceOptions {
  /** Of one object, or of all. */
  readonly objectId?: number;
  /** Of this kind only; needs an object. */
  readonly kind?: MetadataKind;
  /** Keys behind this one. */
  readonly after?: Buffer | undefined;
  readonly recordsMax: number;
}

/** Records in the order of their keys, as of the moment of the call. */
export interface Slice {
  readonly records: readonly MetadataRecord[];
  /** Keys of records that do not read back, and why the first does not. */
  readonly damaged: readonly Buffer[];
  readonly error?: CacheError;
  /** Where the next slice begins; undefined when this was the last. */
  readonly next: Buffer | undefined;
}

export class MetadataIndex {
  readonly #layers: Layers;
  readonly #commits: GroupCommit;
  /** False while there has been no metadata of anything; unknown before the first look. */
  #used: boolean | undefined;

  constructor(layers: Layers, commits: GroupCommit) {
    this.#layers = layers;
    this.#commits = commits;
  }

  /** Keys and values that wait for their commit, at most. */
  get queuedBytes(): number {
    return this.#commits.pending.metadataBytes + (this.#commits.inFlight?.metadataBytes ?? 0);
  }

  /** @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
  get(objectId: number, kind: MetadataKind, name?: Buffer): MetadataRecord | undefined {
    const key = metadataKeyOf(objectId, kind, name);
    const { store, layers } = this.#layers();
    for (let place = layers.length - 1; place >= 0; place -= 1) {
      const names = layers[place]?.metadata.get(objectId);
      const change = names?.get(textOf(key));
      if (change !== undefined) return change.record ?? undefined;
    }
    const value = store.peek("metadata", key);
    return value === undefined ? undefined : decodeMetadata(key, value);
  }

  put(record: MetadataRecord): void {
    this.#change(record.objectId, { ...encodeMetadata(record), record });
  }

  remove(objectId: number, kind: MetadataKind, name?: Buffer): void {
    this.removeKey(metadataKeyOf(objectId, kind, name));
  }

  /** Removes the record under a key that a slice gave. */
  removeKey(key: Buffer): void {
    this.#change(metadataKeyOwner(key), { key, value: undefined, record: null });
  }

  /** Whether there is any record of an object, be it stale or damaged. */
  has(objectId: number): boolean {
    this.#used ??= this.#layers().store.scan("metadata", {}, 1).length > 0;
    if (!this.#used) return false; // those who cache blocks alone are spared the search
    for (let after: Buffer | undefined; ;) {
      const { records, damaged, next } = this.slice({ objectId, recordsMax: 1, after });
      if (records.length + damaged.length > 0) return true;
      if (next === undefined) return false;
      after = next; // what was committed is being removed
    }
  }

  /** Up to `recordsMax` committed records, with what is queued among them. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
  slice({ objectId, kind, after, recordsMax }: SliceOptions): Slice {
    const { store, layers } = this.#layers();
    const range: Partial<KeyRange> =
      objectId === undefined ? {} : metadataRange(objectId, kind && METADATA_KINDS[kind]);
    const committed = store.scan("metadata", range, recordsMax, after);
    const next = committed.length < recordsMax ? undefined : committed.at(-1)?.key;
    const records: MetadataRecord[] = [];
    const keys: Buffer[] = [];
    const damaged: Buffer[] = [];
    let failure: CacheError | undefined;
    for (const { key, value } of committed) {
      try {
        records.push(decodeMetadata(key, value));
        keys.push(key);
      } catch (error) {
        if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
        failure ??= error;
        damaged.push(key);
      }
    }
    const error = failure !== undefined && { error: failure };
    const changes = changesIn(layers, objectId, { range, after, next });
    if (changes.length === 0) return { records, damaged, next, ...error };
    const found = new Map<string, MetadataRecord | null>();
    for (const [place, record] of records.entries()) found.set(textOf(keys[place] as Buffer), record);
    for (const { key, record } of changes) found.set(textOf(key), record);
    const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, record]) => record);
    return {
      records: sorted.filter((record) => record !== null),
      damaged: damaged.filter((key) => !found.has(textOf(key))),
      next,
      ...error,
    };
  }

  #change(objectId: number, change: NameChange<MetadataRecord>): void {
    this.#layers(); // throws once closed
    if (change.record !== null) this.#used = true;
    this.#commits.pending.setMetadata(objectId, change);
    this.#commits.changed();
  }
}

/** Sorts as the bytes do. */
function textOf(key: Buffer): string {
  return key.toString("latin1");
}

/** Queued changes of the keys that a slice covers; later ones come later. */
function changesIn(
  layers: ReturnType<Layers>["layers"],
  objectId: number | undefined,
  { range, after, next }: { range: Partial<KeyRange>; after: Buffer | undefined; next: Buffer | undefined },
): Array<NameChange<MetadataRecord>> {
  const start = range.start === undefined ? "" : textOf(range.start);
  const end = range.end && textOf(range.end);
  const afterName = after && textOf(after);
  const lastName = next && textOf(next);
  const changes: Array<NameChange<MetadataRecord>> = [];
  for (const layer of layers) {
    for (const id of objectId === undefined ? layer.metadata.keys() : [objectId]) {
      for (const [name, change] of layer.metadata.get(id) ?? []) {
        const isBefore = name < start || (afterName !== undefined && name <= afterName);
        const isPast = (end !== undefined && name >= end) || (lastName !== undefined && name > lastName);
        if (!isBefore && !isPast) changes.push(change);
      }
    }
  }
  return changes;
}
