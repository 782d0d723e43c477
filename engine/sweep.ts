/**
 * Takes out of the index what nothing is left of: records of files that have neither blocks, metadata nor users, and of
 * volumes that have no files. In an index short of room the metadata of files without blocks and users goes with them:
 * first of files that are not in memory, then, a part at a time, of those that are, the longest unused first. In steps,
 * between which others may change anything.
 */
import type { BlockIndex } from "../index/block-index.js";
import type { ObjectRecord } from "../index/records.js";
import { EVERYTHING, noteReclaim, reclaimMetadata } from "./metadata-reclaim.js";
import type { Objects } from "./objects.js";

/** The part of the files in memory whose metadata may go before the index is looked at again, and how many at least. */
const IDLE_SHARE = 64;
const IDLE_MIN = 16;

export interface SweepParts {
  readonly index: BlockIndex;
  readonly objects: Objects;
  readonly indexPressed: () => boolean;
}

/** @param pressed whether metadata may go too. */
export function* sweep(parts: SweepParts, pressed: boolean): Generator<void> {
  const { index, objects } = parts;
  for (const volume of index.volumes()) {
    for (const record of index.objectsOf(volume.id)) {
      const loaded = objects.loadedIn(volume.id, record.inode);
      // The walk reads ahead: the file may have been retired and stored again since, under another id.
      const stands = (): boolean => index.names.findObject(volume.id, record.inode)?.id === record.id;
      if ((loaded?.users ?? 0) === 0 && !index.hasBlocks(record.id) && stands()) {
        if (!index.metadata.has(record.id)) objects.removeRecord(record);
        else if (pressed && loaded === undefined && parts.indexPressed()) yield* cull(parts, record);
      }
      yield;
    }
    const [first] = index.objectsOf(volume.id);
    if (first === undefined) objects.volumes.removeRecord(volume);
  }
}

/**
 * The same for files in memory that have metadata, until the index has room or a part has gone.
 * @param onExhausted told at the end of a walk through all of them whether there was none.
 */
export function* sweepIdle(parts: SweepParts, onExhausted: (none: boolean) => void): Generator<void> {
  const { index, objects } = parts;
  let left = Math.max(IDLE_MIN, Math.ceil(objects.idleCount / IDLE_SHARE));
  let found = false;
  const candidates = Array.from(objects.idle());
  for (const object of candidates) {
    if (left === 0 || !parts.indexPressed()) return;
    yield; // others may use it or retire it meanwhile
    const { id, volume, inode } = object;
    const stands =
      object.recorded && object.users === 0 && index.names.findObject(volume.id, inode)?.id === id;
    if (!stands || index.hasBlocks(id) || !index.metadata.has(id)) continue;
    left -= 1;
    found = true;
    yield* cull(parts, { id, volumeId: volume.id, inode });
  }
  onExhausted(!found);
}

/** Takes the record of a file out of the index, and with it what it has of metadata. */
function* cull(
  { index, objects }: SweepParts,
  record: Pick<ObjectRecord, "id" | "volumeId" | "inode">,
): Generator<void> {
  objects.removeRecord(record);
  noteReclaim(index, record.id, EVERYTHING);
  yield* reclaimMetadata(index, record.id, { stamp: EVERYTHING });
}
