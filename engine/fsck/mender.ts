/**
 * What a repair may do: entries and records are dropped, slots set free, set aside or retired, sums made to fit. Nothing is ever
 * made up, and nothing of the ledger is touched. Each call says in words what it did, or undefined if it could not.
 */
import fs from "node:fs";
import type { BlockIndex } from "../../index/block-index.js";
import type { DamagedKey } from "../../index/changes.js";
import { errnoOf } from "../../index/core/errors.js";
import { METADATA_HEAD_BYTES, metadataKeyOwner } from "../../index/keys.js";
import { RECLAIM_OBJECT_ID } from "../../index/metadata-records.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import type { AsideState } from "../cull/aside.js";
import type { NamedEntry } from "../slots/intact.js";
import { STATE } from "../slots/slot-table.js";

export type { AsideState } from "../cull/aside.js";
type Done = string | undefined;

export interface Mender {
  /** A record that does not read back goes, if that is still so at the commit. */
  dropDamaged(where: DamagedKey): Done;
  /** All that was stored of a file system so far does not count any more: its record can't say what of it does. */
  renewSystem(fs: Buffer): Done;
  dropVolume(record: VolumeRecord): Done;
  /** The file goes, with its blocks and metadata. */
  dropObject(record: ObjectRecord): Done;
  countObjects(count: number): Done;
  /** A record of metadata goes, and with it what relies on its being there. */
  dropMetadataKey(key: Buffer): Done;
  /** All metadata of a file. */
  dropMetadata(objectId: number): Done;
  /** The entry goes, and with it what its slot holds, if the slot is its own. */
  dropEntry(named: NamedEntry): Done;
  /** A used slot that no entry names is free. */
  freeSlot(slot: number): Done;
  /** A slot that is used, free or quarantined goes out of use; its entry goes first. */
  setAside(slot: number, state: AsideState): Done;
  /** A used or free slot counts as so many pages. */
  recount(slot: number, pages: number): Done;
}

export const DONE = {
  damaged: "the record is dropped",
  system: "nothing that was stored of it so far counts any more",
  volume: "the record is dropped",
  object: "the file is dropped",
  objects: "counted anew",
  metadata: "the metadata is dropped",
  entry: "the entry is dropped",
  free: "the slot is free",
  quarantined: "the slot is quarantined",
  retired: "the number is retired",
  recounted: "counted anew",
  removed: "the file is removed",
} as const;

export function asideText(state: AsideState): string {
  return state === STATE.retired ? DONE.retired : DONE.quarantined;
}

/** Whose metadata a key is of; undefined where it is of no file. */
export function metadataOwner(key: Buffer): number | undefined {
  if (key.length < METADATA_HEAD_BYTES) return undefined;
  const owner = metadataKeyOwner(key);
  return owner === RECLAIM_OBJECT_ID ? undefined : owner;
}

/** Removes a file that lies in the place of a slot's and belongs to none; a directory stays. */
export function removeStray(file: string): Done {
  try {
    fs.unlinkSync(file);
    return DONE.removed;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined; // it stays, and so does the finding
  }
}

/** Blocks of a file, as they stand. */
export function entriesOf(index: BlockIndex, objectId: number): NamedEntry[] {
  return Array.from(index.blocksOf(objectId), ({ block, entry }) => ({ objectId, block, entry }));
}
