/**
 * Ordered walks over what is committed with what is queued laid over it. A walk reads in slices, so that it may be left
 * and resumed in a later event turn without holding a snapshot: each slice is as of the moment it was read, and no key
 * comes twice.
 */
import { GROUP_BLOCKS, readGroup } from "./block-group.js";
import type { IndexTable } from "./batch.js";
import type { Changes, DamagedKey, NameChange } from "./changes.js";
import { type CacheError, isCacheError } from "./core/errors.js";
import type { Entry } from "./entry.js";
import type { Store } from "./environment.js";
import { decodeBlockKey, objectBlocksRange } from "./keys.js";
import type { KeyRange } from "./keys.js";

/** Records read at a time. */
export const SLICE_RECORDS = 128;

export interface IndexedBlock {
  objectId: number;
  block: number;
  entry: Entry;
}

/**
 * What a walk reads: called for each slice, since queued changes move on; later layers win. Throws once closed. Records that
 * do not read back are told to `onDamaged` and passed over.
 */
export type Layers = () => {
  store: Store<IndexTable>;
  layers: readonly Changes[];
  onDamaged: OnDamaged;
};

export type OnDamaged = (where: DamagedKey, error: CacheError) => void;

/** Blocks by (object id, block), of one object or of all. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
export function* walkBlocks(layersNow: Layers, objectId?: number): Generator<IndexedBlock> {
  const range = objectId === undefined ? {} : objectBlocksRange(objectId);
  let after: Buffer | undefined;
  // The first key that no slice has covered yet.
  let from = { objectId: objectId ?? 0, block: 0 };
  // The first slice is one record, for those who only want to know whether there is any; then they grow.
  for (let sliceRecords = 1; ; sliceRecords = Math.min(SLICE_RECORDS, 4 * sliceRecords)) {
    const { store, layers, onDamaged } = layersNow();
    const records = store.scan("blocks", range, sliceRecords, after);
    const found: IndexedBlock[] = [];
    for (const { key, value } of records) {
      const group = readable({ table: "blocks", key }, onDamaged, () => {
        const at = decodeBlockKey(key);
        return readGroup(value, at.block).map((one) => ({ objectId: at.objectId, ...one }));
      });
      for (const one of group ?? []) if (covers(from, one)) found.push(one);
    }
    const isLast = records.length < sliceRecords;
    // To the end of the last group: what is queued for it now may be in its record when the next slice begins.
    const lastKey = isLast ? undefined : records.at(-1)?.key;
    const end = lastKey && lastBlockOf(lastKey);
    yield* overlaid(
      found,
      layers,
      objectId,
      (at) => covers(from, at) && (end === undefined || covers(at, end)),
    );
    if (isLast || end === undefined) return;
    after = lastKey;
    from = { objectId: end.objectId, block: end.block + 1 };
  }
}

/** Whether an object has any block; where nothing is queued for it no entry is decoded. */
export function hasBlocks(layersNow: Layers, objectId: number): boolean {
  const { store, layers } = layersNow();
  if (layers.some((layer) => layer.blocks.has(objectId))) {
    for (const _ of walkBlocks(layersNow, objectId)) return true;
    return false;
  }
  return store.scan("blocks", objectBlocksRange(objectId), 1).length > 0; // a record is never empty
}

function overlaid(
  found: IndexedBlock[],
  layers: readonly Changes[],
  objectId: number | undefined,
  isInSlice: (at: { objectId: number; block: number }) => boolean,
): IndexedBlock[] {
  let blocks = found;
  for (const layer of layers) {
    if (layer.blocks.size === 0) continue;
    blocks = blocks.filter((at) => layer.entry(at.objectId, at.block) === undefined);
    const objects = objectId === undefined ? layer.blocks.keys() : [objectId];
    for (const changed of objects) {
      for (const [block, entry] of layer.blocks.get(changed) ?? []) {
        if (entry !== null && isInSlice({ objectId: changed, block }))
          blocks.push({ objectId: changed, block, entry });
      }
    }
    blocks.sort((a, b) => a.objectId - b.objectId || a.block - b.block);
  }
  return blocks;
}

function lastBlockOf(key: Buffer): { objectId: number; block: number } {
  const { objectId, block } = decodeBlockKey(key);
  return { objectId, block: block + GROUP_BLOCKS - 1 };
}

/** True unless `at` lies before `from`. */
function covers(from: { objectId: number; block: number }, at: { objectId: number; block: number }): boolean {
  return at.objectId > from.objectId || (at.objectId === from.objectId && at.block >= from.block);
}

/** Name records by key. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
export function* walkNames<NameRecord>(
  layersNow: Layers,
  table: "volumes" | "objects",
  range: Partial<KeyRange>,
  options: {
    changesOf: (layer: Changes) => ReadonlyMap<string, NameChange<NameRecord>>;
    decode: (key: Buffer, value: Buffer) => NameRecord | undefined;
    /** Begins behind this key. */
    after?: Buffer | undefined;
  },
): Generator<NameRecord> {
  const start = range.start?.toString("latin1") ?? "";
  const end = range.end?.toString("latin1");
  let { after } = options;
  for (;;) {
    const { store, layers, onDamaged } = layersNow();
    const records = store.scan(table, range, SLICE_RECORDS, after);
    const isLast = records.length < SLICE_RECORDS;
    const lastKey = records.at(-1)?.key;
    const found = new Map<string, NameRecord>();
    for (const { key, value } of records) {
      const record = readable({ table, key }, onDamaged, () => options.decode(key, value));
      if (record !== undefined) found.set(key.toString("latin1"), record);
    }
    const afterName = after?.toString("latin1");
    const lastName = isLast ? undefined : lastKey?.toString("latin1");
    for (const layer of layers) {
      for (const [name, { record }] of options.changesOf(layer)) {
        const isBefore = afterName === undefined ? name < start : name <= afterName;
        const isPast = (end !== undefined && name >= end) || (lastName !== undefined && name > lastName);
        if (isBefore || isPast) continue;
        if (record === null) found.delete(name);
        else found.set(name, record);
      }
    }
    const sorted = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [, record] of sorted) yield record;
    if (isLast) return;
    after = lastKey;
  }
}

/** What `read` gives, or undefined if that does not read back, which `onDamaged` is told. */
export function readable<T>(
  where: DamagedKey,
  onDamaged: OnDamaged,
  read: () => T | undefined,
): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    onDamaged(where, error);
    return undefined;
  }
}
