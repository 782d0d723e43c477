/**
 * Removes metadata that does not exist any more. What is to go is noted in the index in the same commit as its cause
 * and struck off when it is gone, so that a stop in between leaves nothing behind for good.
 */
import type { BlockIndex } from "../index/block-index.js";
import { isCacheError } from "../index/core/errors.js";
import { RECLAIM_OBJECT_ID, reclaimName, reclaimedId } from "../index/metadata-records.js";

/** A stamp above every sequence number: all of a file that is gone. */
export const EVERYTHING = Number.MAX_SAFE_INTEGER;

const SLICE_RECORDS = 128;

/** Notes that records of this file with lower sequence numbers are to go. */
export function noteReclaim(index: BlockIndex, objectId: number, stamp: number): void {
  if (!index.metadata.has(objectId)) return;
  const name = reclaimName(objectId);
  index.metadata.put({ kind: "reclaim", objectId: RECLAIM_OBJECT_ID, name, sequence: stamp });
}

/** What was noted and is not struck off. */
export function* notedReclaims(index: BlockIndex): Generator<{ objectId: number; stamp: number }> {
  let after: Buffer | undefined;
  do {
    const options = { objectId: RECLAIM_OBJECT_ID, recordsMax: SLICE_RECORDS, after };
    const { records, next } = index.metadata.slice(options);
    for (const record of records) {
      if (record.kind === "reclaim") yield { objectId: reclaimedId(record.name), stamp: record.sequence };
    }
    after = next;
  } while (after !== undefined);
}

/**
 * Removes records with lower sequence numbers than `stamp`, of one kind or of all; a step for each it looks at. Those that
 * do not read back are left to who reads them, who has to know, unless all is to go.
 */
export function* reclaimMetadata(
  index: BlockIndex,
  objectId: number,
  { stamp, kind }: { stamp: number; kind?: "xattr" | "entry" | undefined },
): Generator<void> {
  let after: Buffer | undefined;
  do {
    const options = { objectId, recordsMax: SLICE_RECORDS, after, ...(kind !== undefined && { kind }) };
    const { records, damaged, next } = index.metadata.slice(options);
    // All of a slice at once: after a step other calls may have changed what it read.
    for (const record of records) {
      if (record.sequence < stamp)
        index.metadata.remove(objectId, record.kind, "name" in record ? record.name : undefined);
    }
    if (stamp === EVERYTHING) for (const key of damaged) index.metadata.removeKey(key);
    for (let step = 0; step < records.length; step += 1) yield;
    after = next;
  } while (after !== undefined);
  if (kind !== undefined) return;
  if (isNotedUpTo(index, objectId, stamp))
    index.metadata.remove(RECLAIM_OBJECT_ID, "reclaim", reclaimName(objectId));
}

/** A note that does not read back says nothing more, so it may be struck off. */
function isNotedUpTo(index: BlockIndex, objectId: number, stamp: number): boolean {
  try {
    const noted = index.metadata.get(RECLAIM_OBJECT_ID, "reclaim", reclaimName(objectId));
    return noted !== undefined && noted.sequence <= stamp;
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    return true;
  }
}
