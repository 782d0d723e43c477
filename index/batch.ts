/** Turns a batch of changes into the writes of one commit. */
import type { Arena } from "./arena.js";
import { isCacheError } from "./core/errors.js";
import { changeGroup, groupEntryCount, groupFirstBlock } from "./block-group.js";
import type { Changes } from "./changes.js";
import type { Entry } from "./entry.js";
import type { Store, Write } from "./environment.js";
import { blockKey } from "./keys.js";

export const INDEX_TABLES = ["identity", "volumes", "objects", "blocks", "metadata"] as const;
export type IndexTable = (typeof INDEX_TABLES)[number];

export interface Batch {
  readonly writes: ReadonlyArray<Write<IndexTable>>;
  /** How many more entries there are once it is committed; negative for fewer. */
  readonly entryCountDelta: number;
}

/**
 * The writes of one commit. Block records are read to be changed, so what was committed last must be visible, and
 * nothing else may commit meanwhile. The block records lie in `arena`, which must stay as it is until the commit has ended.
 */
export function batchOf(store: Store<IndexTable>, changes: Changes, arena: Arena): Batch {
  const take = (lengthBytes: number): Buffer => arena.take(lengthBytes);
  const writes: Array<Write<IndexTable>> = [];
  let entryCountDelta = 0;
  for (const { table, key } of changes.damaged.values()) {
    if (look(store, table, key) === "damaged") writes.push({ table, key });
  }
  for (const { key, value } of changes.systems.values()) writes.push({ table: "volumes", key, value });
  for (const { key, value } of changes.volumes.values()) writes.push({ table: "volumes", key, value });
  for (const { key, value } of changes.objects.values()) writes.push({ table: "objects", key, value });
  for (const names of changes.metadata.values()) {
    for (const { key, value } of names.values()) writes.push({ table: "metadata", key, value });
  }
  for (const [objectId, blocks] of changes.blocks) {
    for (const [firstBlock, group] of groupsOf(blocks)) {
      const key = blockKey(objectId, firstBlock);
      const found = look(store, "blocks", key);
      // One that does not read back is replaced: its other blocks become misses, and the commit need not fail.
      const old = found === "damaged" ? undefined : found;
      const value = changeGroup(old, group, take);
      if (found === undefined && value === undefined) continue;
      entryCountDelta += (value ? groupEntryCount(value) : 0) - (old ? groupEntryCount(old) : 0);
      writes.push({ table: "blocks", key, value });
    }
  }
  return { writes, entryCountDelta };
}

function groupsOf(blocks: ReadonlyMap<number, Entry | null>): Map<number, Map<number, Entry | null>> {
  const groups = new Map<number, Map<number, Entry | null>>();
  for (const [block, entry] of blocks) {
    const firstBlock = groupFirstBlock(block);
    const group = groups.get(firstBlock);
    if (group === undefined) groups.set(firstBlock, new Map([[block, entry]]));
    else group.set(block, entry);
  }
  return groups;
}

function look(store: Store<IndexTable>, table: IndexTable, key: Buffer): Uint8Array | "damaged" | undefined {
  try {
    const record = store.peek(table, key);
    if (record !== undefined && table === "blocks") groupEntryCount(record);
    return record;
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return "damaged";
    throw error;
  }
}
