/** The metadata records of the index: each reads back and belongs to a file that there is, or is noted to go. */
import { notedReclaims } from "../metadata-reclaim.js";
import { type Check, found } from "./ground.js";
import { IdSet } from "./id-set.js";
import type { Names } from "./names.js";

const SLICE_RECORDS = 256;
/** Files that are looked at again; more of them wait for the next check. */
const SUSPECTS_MAX = 10_000;

export async function checkMetadata(check: Check, { objects, nextObjectId }: Names): Promise<void> {
  const { course, counts, ground } = check;
  const { index, next } = ground;
  course.begin("metadata");
  const noted = notedObjects(check);
  const suspects = new Set<number>();
  let after: Buffer | undefined;
  do {
    const slice = index.metadata.slice({ recordsMax: SLICE_RECORDS, after });
    for (const key of slice.damaged)
      found(
        check,
        "metadata-corrupt",
        `the metadata record under ${key.toString("hex")} does not read back`,
        undefined,
        (mender) => mender.dropMetadataKey(key),
      );
    for (const { kind, objectId, sequence } of slice.records) {
      counts.metadata += 1;
      if (kind === "reclaim") continue;
      if (sequence >= next().sequence)
        found(
          check,
          "metadata-corrupt",
          `metadata (${kind}) of object ${objectId} has number ${sequence}`,
          undefined,
          (mender) => mender.dropMetadata(objectId),
        );
      const isNew = objectId >= nextObjectId && objectId < next().objectId;
      const isKnown = isNew || objects.has(objectId) || noted.has(objectId);
      if (!isKnown && suspects.size < SUSPECTS_MAX) suspects.add(objectId);
    }
    after = slice.next;
    await course.step();
  } while (after !== undefined);
  await checkSuspects(check, suspects);
}

/** A file may have got its name, or its note to go, after the walks had passed it. */
async function checkSuspects(check: Check, suspects: ReadonlySet<number>): Promise<void> {
  if (suspects.size === 0) return;
  const { index } = check.ground;
  const objects = new IdSet();
  for (const { id } of index.walks.objects()) {
    objects.add(id);
    await check.course.step();
  }
  const noted = notedObjects(check);
  for (const objectId of suspects) {
    if (objects.has(objectId) || noted.has(objectId) || !index.metadata.has(objectId)) continue;
    found(
      check,
      "metadata-orphan",
      `there is metadata of object ${objectId}, which no record names`,
      undefined,
      (mender) => mender.dropMetadata(objectId),
    );
  }
}

/** Files whose metadata is noted to go. */
function notedObjects({ ground }: Check): IdSet {
  const noted = new IdSet();
  for (const { objectId } of notedReclaims(ground.index)) noted.add(objectId);
  return noted;
}
