/** The owner's side of direct reads: what names mean to a reader, and what readers did. */
import type { NameBytes } from "../../index/core/names.js";
import { pagesOf } from "../../index/core/layout.js";
import type { Blocks } from "../blocks.js";
import type { CookieHandle } from "../api.js";
import { LocalCookie } from "../cookie-handle.js";
import type { Counters } from "../counters.js";
import type { DirectSource, FileResolution, Publication, Resolution, Use } from "../direct-api.js";
import type { ObjectState } from "../object-states.js";
import type { HotSlots } from "../slots/hot.js";
import type { SlotTable } from "../slots/slot-table.js";
import type { Publisher } from "./publisher.js";

/** What it needs of a session. */
export interface DirectParts {
  readonly blocks: Blocks;
  readonly table: SlotTable;
  readonly counters: Counters;
}

export class LocalDirectSource implements DirectSource {
  readonly #publisher: Publisher;
  readonly #parts: DirectParts;
  readonly #hot: HotSlots;

  constructor(publisher: Publisher, parts: DirectParts, hot: HotSlots) {
    this.#publisher = publisher;
    this.#parts = parts;
    this.#hot = hot;
  }

  get publication(): Publication | undefined {
    return this.#publisher.publication;
  }

  republish(): Publication | undefined {
    this.#publisher.repair();
    return this.publication;
  }

  resolve(fs: NameBytes, volume: NameBytes, inode: NameBytes, block?: number): Resolution | undefined {
    const { blocks } = this.#parts;
    const publisher = this.#publisher;
    const object = blocks.life.objects.find(fs, volume, inode);
    if (object === undefined || !object.recorded || publisher.publication === undefined) return undefined;
    if (block !== undefined) publisher.offer(object.id, block);
    return resolutionOf(object, publisher);
  }

  resolveHandle(handle: CookieHandle): FileResolution | undefined {
    const publisher = this.#publisher;
    const object = handle instanceof LocalCookie ? handle.current : undefined;
    if (object === undefined || !object.recorded || publisher.publication === undefined) return undefined;
    return { ...resolutionOf(object, publisher), sizeBytes: object.sizeBytes };
  }

  noteUses(uses: Iterable<Use>): void {
    const { blocks, table, counters } = this.#parts;
    const { objects, ranking } = blocks.life;
    for (const { slot, objectId, block, hits, bytes } of uses) {
      const stands = table.isTenant(slot, objectId, block); // else it was culled since, or replaced
      const volume = stands ? objects.volumes.byId(table.volumeIdOf(slot)) : undefined;
      counters.hitDirect(volume?.tally ?? counters.otherVolumes, hits, bytes);
      if (!stands) continue;
      ranking.touch(slot);
      this.#hot.noteUse(slot, pagesOf(table.validBytesOf(slot)));
    }
  }
}

/** What the names of a file that has a record mean to a direct reader. */
function resolutionOf(object: ObjectState, { instance, notices }: Publisher): Resolution {
  return {
    objectId: object.id,
    volumeId: object.volume.id,
    stamp: object.stampMax,
    ranges: object.ranges.map(({ firstBlock, endBlock, stamp }) => ({ firstBlock, endBlock, stamp })),
    instance,
    notices,
  };
}
