/** What a selection means in the index: its volumes, its files, and the blocks of these that count. */
import type { Entry } from "../../index/entry.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import type { Selection } from "../../index/core/selector.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { Blocks } from "../blocks.js";

/** A file of the index with its volume. */
export interface SelectedFile {
  readonly volume: VolumeRecord;
  readonly object: ObjectRecord;
}

/** The files of a selection that the index knows. */
export function* selectedFiles(blocks: Blocks, selection: Selection): Generator<SelectedFile> {
  for (const volume of selectedVolumes(blocks, selection)) {
    for (const object of selectedObjects(blocks, volume, selection)) yield { volume, object };
  }
}

function selectedVolumes({ life }: Blocks, { fs, volume }: Selection): Iterable<VolumeRecord> {
  if (fs === undefined) return life.index.volumes();
  if (volume === undefined) return life.index.volumes({ fs });
  const record = life.index.names.findVolume(fs, volume);
  return record === undefined ? [] : [record];
}

function selectedObjects(
  { life }: Blocks,
  volume: VolumeRecord,
  { inode, inodePrefix }: Selection,
): Iterable<ObjectRecord> {
  if (inode !== undefined) {
    const record = life.index.names.findObject(volume.id, inode);
    return record === undefined ? [] : [record];
  }
  return life.index.objectsOf(volume.id, inodePrefix === undefined ? {} : { prefix: inodePrefix });
}

/** The blocks of a file that a read may still find, as they stand now: a walk reads ahead. */
export function* cachedBlocks(
  blocks: Blocks,
  { volume, object }: SelectedFile,
): Generator<{ readonly block: number; readonly entry: Entry } | undefined> {
  const { index, objects } = blocks.life;
  // Whoever is not loaded has what its records say.
  const recorded = Math.max(objects.volumes.stampOf(volume.fs), volume.stamp, object.stamp);
  const ranges = object.ranges ?? [];
  for (const { block } of index.blocksOf(object.id)) {
    const entry = blocks.entryOf(object.id, block);
    const within = ranges.filter(({ firstBlock, endBlock }) => block >= firstBlock && block < endBlock);
    const stamp =
      objects.loadedIn(volume.id, object.inode)?.stampOf(block) ??
      Math.max(recorded, ...within.map((range) => range.stamp));
    yield entry !== undefined && entry.sequence >= stamp ? { block, entry } : undefined;
  }
}

/** Bytes of a block that a read would get from here: its present and its zero pages, cut at its end. */
export function cachedBytesOf(entry: Entry): number {
  let bytes = 0;
  for (let page = 0; page * PAGE_BYTES < entry.validBytes; page += 1) {
    const low = page < 32;
    const bit = 1 << (page % 32);
    const map = low ? entry.presentLow | entry.zeroLow : entry.presentHigh | entry.zeroHigh;
    if ((map & bit) !== 0) bytes += Math.min(PAGE_BYTES, entry.validBytes - page * PAGE_BYTES);
  }
  return bytes;
}
