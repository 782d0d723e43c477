/** Takes victims: their entries are dropped, and their slots leave. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Leaving } from "./leaving.js";
import type { RoomParts } from "./room-parts.js";
import { reached } from "../../index/core/steps.js";

/** Victims a slice; between slices other work has its turn. */
export const SLICE_VICTIMS_MAX = 64;
/** A slice ends after so long, too, looked at every few victims. */
const SLICE_MS_MAX = 2;
const VICTIMS_A_LOOK = 8;
/** How long an eviction waits for blocks that are being read. */
const READERS_WAIT_MS = 1000;
const READERS_RETRY_MS = 5;

export class Evictor {
  readonly #parts: RoomParts;
  readonly #leaving: Leaving;
  /** Looks at blocks that were being read. */
  inUse = 0;
  /** Looks for a victim that found none where some blocks are pinned. */
  pinned = 0;

  constructor(parts: RoomParts, leaving: Leaving) {
    this.#parts = parts;
    this.#leaving = leaving;
  }

  /** Whether any block may leave. */
  get possible(): boolean {
    return this.#parts.ranking.victim(this.#mayLeave) !== undefined;
  }

  /** Takes the least valuable blocks while `wanted`. @returns how many. */
  evict(victimsMax: number, wanted: () => boolean, onVictim?: (slot: number) => void): number {
    const { now } = this.#parts;
    const endMs = now() + SLICE_MS_MAX;
    let victims = 0;
    while (victims < victimsMax && wanted()) {
      if (victims % VICTIMS_A_LOOK === VICTIMS_A_LOOK - 1 && now() > endMs) break;
      const slot = this.#parts.ranking.victim(this.#mayLeave);
      if (slot === undefined) {
        if (this.#parts.ranking.kept.pinned.pinnedSlots > 0) this.pinned += 1;
        break;
      }
      this.#take(slot);
      onVictim?.(slot);
      victims += 1;
    }
    return victims;
  }

  /** Takes the least valuable blocks, slice by slice, while `wanted` and any may go; their slots are free then. @returns how many. */
  async evictWhile(wanted: () => boolean): Promise<number> {
    const { now, onSlice } = this.#parts;
    let blocks = 0;
    for (let waitedMs = 0; wanted() && waitedMs < READERS_WAIT_MS;) {
      const beganMs = now();
      const victims = this.evict(SLICE_VICTIMS_MAX, wanted);
      blocks += victims;
      await this.#leaving.released();
      if (victims > 0) onSlice(beganMs);
      else if (!this.#leaving.anyRead) break;
      else {
        waitedMs += READERS_RETRY_MS;
        await sleep(READERS_RETRY_MS);
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return blocks;
  }

  /** Makes shares fit their maxima, with so many pages more in one of them, in this turn. @returns how many blocks went. */
  fitShares(victimsMax: number, share?: number, pages = 0): number {
    let victims = 0;
    for (; victims < victimsMax; victims += 1) {
      const slot = this.#parts.ranking.overVictim(this.#mayLeave, share, pages);
      if (slot === undefined) break;
      this.#take(slot);
    }
    return victims;
  }

  readonly #mayLeave = (slot: number): boolean => {
    if (!this.#leaving.isRead(slot)) return true;
    this.inUse += 1;
    return false;
  };

  #take(slot: number): void {
    const { ranking, table, dropEntry, onCulled } = this.#parts;
    dropEntry(slot);
    reached("cull: name dropped");
    onCulled(slot);
    ranking.evict(slot);
    table.clearTenant(slot);
    this.#leaving.add(slot);
  }
}
