/** The metadata records of the index: each reads back and belongs to a file that there is, or is noted to go. */
import type { BlockIndex } from "../../index/block-index.js";
import { isCacheError } from "../../index/core/errors.js";
import { notedReclaims } from "../metadata-reclaim.js";
import type { FindingList } from "./findings.js";

const SLICE_RECORDS = 512;

/** @param nextSequence no record has this number or a higher one, but those of notes. */
export async function checkMetadata(
  index: BlockIndex,
  nextSequence: number,
  findings: FindingList,
): Promise<void> {
  try {
    const known = knownObjects(index);
    let orphan: number | undefined;
    let after: Buffer | undefined;
    do {
      const slice = index.metadata.slice({ recordsMax: SLICE_RECORDS, after });
      for (const key of slice.damaged) {
        findings.add(
          "metadata-corrupt",
          `the metadata record under ${key.toString("hex")} does not read back`,
        );
      }
      for (const { kind, objectId, sequence } of slice.records) {
        if (kind === "reclaim") continue;
        if (sequence >= nextSequence)
          findings.add("metadata-corrupt", `metadata (${kind}) of object ${objectId} has number ${sequence}`);
        if (known.has(objectId) || objectId === orphan) continue;
        orphan = objectId;
        findings.add("metadata-orphan", `there is metadata of object ${objectId}, which no record names`);
      }
      after = slice.next;
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (after !== undefined);
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    findings.add("metadata-corrupt", error.message);
  }
}

/** Files with a record, and those that are noted to go. */
function knownObjects(index: BlockIndex): Set<number> {
  const known = new Set<number>();
  for (const { objectId } of notedReclaims(index)) known.add(objectId);
  for (const volume of index.volumes()) {
    for (const { id } of index.objectsOf(volume.id)) known.add(id);
  }
  return known;
}
