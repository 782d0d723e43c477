/** Repairs of a cache that is open for nothing else: on the index and the slot table themselves. */
import type { BlockIndex } from "../../index/block-index.js";
import type { DamagedKey } from "../../index/changes.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import { EVERYTHING, reclaimMetadata } from "../metadata-reclaim.js";
import type { ObjectCounters } from "../objects.js";
import type { NamedEntry } from "../slots/intact.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { type AsideState, DONE, type Mender, asideText, entriesOf, metadataOwner } from "./mender.js";

export interface ClosedParts {
  readonly index: BlockIndex;
  readonly table: SlotTable;
  readonly counters: ObjectCounters;
  readonly takeSequence: () => number;
}

export class ClosedMender implements Mender {
  readonly #parts: ClosedParts;

  constructor(parts: ClosedParts) {
    this.#parts = parts;
  }

  dropDamaged(where: DamagedKey): string {
    this.#parts.index.dropDamaged(where);
    return DONE.damaged;
  }

  renewSystem(fs: Buffer): string {
    this.#parts.index.names.putFs({ fs, stamp: this.#parts.takeSequence() });
    return DONE.system;
  }

  dropVolume(record: VolumeRecord): string {
    this.#parts.index.names.removeVolume(record);
    return DONE.volume;
  }

  dropObject(record: ObjectRecord): string {
    const { index, counters } = this.#parts;
    index.names.removeObject(record);
    counters.objects -= 1;
    for (const named of entriesOf(index, record.id)) this.dropEntry(named);
    this.dropMetadata(record.id);
    return DONE.object;
  }

  countObjects(count: number): string {
    this.#parts.counters.objects = count;
    return DONE.objects;
  }

  dropMetadataKey(key: Buffer): string {
    this.#parts.index.metadata.removeKey(key);
    const owner = metadataOwner(key);
    if (owner !== undefined) this.dropMetadata(owner);
    return DONE.metadata;
  }

  dropMetadata(objectId: number): string {
    for (const _ of reclaimMetadata(this.#parts.index, objectId, { stamp: EVERYTHING }));
    return DONE.metadata;
  }

  dropEntry({ objectId, block, entry }: NamedEntry): string {
    const { index, table } = this.#parts;
    index.removeEntry(objectId, block);
    if (table.isTenant(entry.slot, objectId, block)) this.freeSlot(entry.slot);
    return DONE.entry;
  }

  freeSlot(slot: number): string {
    const { table } = this.#parts;
    table.clearTenant(slot);
    table.move(slot, STATE.used, STATE.free);
    return DONE.free;
  }

  setAside(slot: number, state: AsideState): string {
    const { index, table } = this.#parts;
    if (table.stateOf(slot) === STATE.used) {
      const [objectId, block] = [table.objectIdOf(slot), table.blockOf(slot)];
      if (index.slotOf(objectId, block) === slot) index.removeEntry(objectId, block);
      this.freeSlot(slot);
    }
    table.move(slot, table.stateOf(slot), state);
    if (state === STATE.retired) table.setPages(slot, 0);
    return asideText(state);
  }

  recount(slot: number, pages: number): string {
    this.#parts.table.setPages(slot, pages);
    return DONE.recounted;
  }
}
