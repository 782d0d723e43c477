/** Reads a set in pages, in the order of names, in bounded steps. */
import type { BlockIndex } from "../index/block-index.js";
import type { CacheError } from "../index/core/errors.js";
import { type MetadataRecord, metadataKeyOf } from "../index/metadata-records.js";
import { METADATA_HEAD_BYTES } from "../index/keys.js";
import { ENTRY_LIST_BYTES_MAX } from "./metadata-api.js";
import type { MetadataSet, SetState } from "./metadata-set.js";

/** Records that one page looks at, those of earlier sets included, before it ends as it is. */
const PAGE_RECORDS_MAX = 2048;
const SLICE_RECORDS = 512;

export interface PageOptions<Item> {
  readonly index: BlockIndex;
  readonly objectId: number;
  readonly set: MetadataSet;
  readonly state: SetState;
  readonly after: Buffer | undefined;
  readonly countMax: number;
  /** The item of a record and its bytes; undefined for one that is not listed. */
  readonly itemOf: (record: MetadataRecord) => { item: Item; bytes: number; name: Buffer } | undefined;
  readonly onCorrupt: (error: CacheError) => void;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: Buffer | undefined;
}

/** Records that do not read back are dropped, and spoil the set. */
export function pageOf<Item>(options: PageOptions<Item>): Page<Item> {
  const { index, objectId, set, state, after, countMax } = options;
  const items: Item[] = [];
  let bytes = 0;
  let looked = 0;
  let from = after && metadataKeyOf(objectId, set.itemKind, after);
  let last = after;
  for (;;) {
    const recordsMax = Math.min(SLICE_RECORDS, countMax - items.length + 1);
    const slice = index.metadata.slice({ objectId, kind: set.itemKind, after: from, recordsMax });
    if (slice.error !== undefined) options.onCorrupt(slice.error);
    for (const key of slice.damaged) index.metadata.removeKey(key);
    if (slice.damaged.length > 0) set.spoil();
    for (const record of slice.records) {
      const found = record.sequence < state.sequence ? undefined : options.itemOf(record);
      if (found === undefined) continue;
      bytes += found.bytes;
      if (items.length === countMax || bytes > ENTRY_LIST_BYTES_MAX) return { items, next: last };
      items.push(found.item);
      last = found.name;
    }
    if (slice.next === undefined) return { items, next: undefined };
    from = slice.next;
    last = from.subarray(METADATA_HEAD_BYTES);
    looked += slice.records.length;
    if (looked >= PAGE_RECORDS_MAX) return { items, next: last };
  }
}
