/** Repairs of a cache in use: by the ways on which its content goes anyway. What somebody has open is left alone. */
import type { DamagedKey } from "../../index/changes.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import type { Blocks } from "../blocks.js";
import type { Counters } from "../counters.js";
import type { Housekeeper } from "../housekeeper.js";
import { EVERYTHING, noteReclaim } from "../metadata-reclaim.js";
import type { ObjectState } from "../object-states.js";
import type { NamedEntry } from "../slots/intact.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { type AsideState, DONE, type Mender, asideText, metadataOwner } from "./mender.js";

export interface OpenParts {
  readonly blocks: Blocks;
  readonly table: SlotTable;
  readonly housekeeper: Housekeeper;
  readonly counters: Counters;
  readonly takeSequence: () => number;
}

export class OpenMender implements Mender {
  readonly #parts: OpenParts;

  constructor(parts: OpenParts) {
    this.#parts = parts;
  }

  dropDamaged(where: DamagedKey): string {
    this.#parts.blocks.life.index.dropDamaged(where);
    return DONE.damaged;
  }

  /** Where it is in memory its record is written anew; else it is read, found damaged, and gets a stamp that covers everything. */
  renewSystem(fs: Buffer): string {
    const { objects } = this.#parts.blocks.life;
    objects.volumes.recordSystem(objects.volumes.system(fs));
    return DONE.system;
  }

  dropVolume(record: VolumeRecord): string | undefined {
    const { objects, index } = this.#parts.blocks.life;
    objects.volumes.removeRecord(record);
    return index.names.findVolume(record.fs, record.volume) === undefined ? DONE.volume : undefined;
  }

  dropObject(record: ObjectRecord): string | undefined {
    const { blocks, housekeeper } = this.#parts;
    const { objects, index } = blocks.life;
    if ((objects.loadedIn(record.volumeId, record.inode)?.users ?? 0) > 0) return undefined;
    objects.removeRecord(record);
    noteReclaim(index, record.id, EVERYTHING);
    housekeeper.reclaimObject(record.id, EVERYTHING);
    return DONE.object;
  }

  countObjects(count: number): string {
    this.#parts.blocks.life.objects.counters.objects = count;
    return DONE.objects;
  }

  /** Nothing can be concluded any more from what is absent: so the sets of the file begin anew. */
  dropMetadataKey(key: Buffer): string {
    const { blocks, housekeeper, takeSequence } = this.#parts;
    const { index } = blocks.life;
    index.metadata.removeKey(key);
    const owner = metadataOwner(key);
    if (owner === undefined) return DONE.metadata;
    for (const [kind, itemKind] of [
      ["xattrs", "xattr"],
      ["directory", "entry"],
    ] as const) {
      index.metadata.remove(owner, kind);
      const loaded = this.#loaded(owner);
      if (loaded !== undefined) loaded.sets[kind] = null;
      housekeeper.reclaimItems(owner, itemKind, takeSequence());
    }
    return DONE.metadata;
  }

  dropMetadata(objectId: number): string {
    this.#parts.housekeeper.reclaimObject(objectId, EVERYTHING);
    return DONE.metadata;
  }

  dropEntry({ objectId, block, entry }: NamedEntry): string {
    this.#parts.counters.corrupt += 1;
    this.#parts.blocks.drop(objectId, block, entry);
    return DONE.entry;
  }

  freeSlot(slot: number): string {
    this.#parts.blocks.life.room.leave(slot);
    return DONE.free;
  }

  setAside(slot: number, state: AsideState): string {
    const { blocks, table } = this.#parts;
    const { room } = blocks.life;
    if (table.stateOf(slot) === STATE.used) {
      blocks.dropTenant(slot);
      room.leave(slot);
    }
    room.setAside(slot, state);
    return asideText(state);
  }

  recount(slot: number, pages: number): string {
    this.#parts.blocks.life.room.aside.recount(slot, pages);
    return DONE.recounted;
  }

  #loaded(objectId: number): ObjectState | undefined {
    for (const volume of this.#parts.blocks.life.objects.volumes.loaded) {
      for (const object of volume.objects.values()) if (object.id === objectId) return object;
    }
    return undefined;
  }
}
