/** What a cache says of itself. */
import { PAGE_BYTES } from "../index/core/layout.js";
import type { CacheStatus, DriveStatus, HealthStatus, StartReport } from "./api.js";
import type { WriteBudget } from "./cull/write-budget.js";
import type { ScrubStatus, TrustStatus } from "./api-trust.js";
import type { Life } from "./blocks.js";
import type { Counters } from "./counters.js";
import type { Latencies } from "./latencies.js";
import type { Limits } from "./limits.js";
import type { HoldStatus } from "./open-api.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";
import { volumeStatus } from "./volume-tally.js";
import { VERSION } from "./version.js";

export interface StatusParts {
  readonly closing: boolean;
  readonly uptimeMs: number;
  readonly cacheId: Buffer;
  readonly directory: string;
  readonly life: Life;
  readonly invalidation: number;
  readonly limits: Limits;
  readonly drive: DriveStatus;
  readonly health: HealthStatus;
  readonly indexBytes: number;
  readonly table: SlotTable;
  readonly counters: Counters;
  readonly latencies: Latencies;
  readonly pins: number;
  readonly holds: HoldStatus;
  readonly budget: WriteBudget;
  readonly start: StartReport;
  readonly onUnclean: TrustStatus["onUnclean"];
  readonly scrub: ScrubStatus;
}

export function statusOf(parts: StatusParts): CacheStatus {
  const { life, limits, table, counters } = parts;
  const { headroom } = life.room;
  const loaded = life.objects.loaded();
  const cached = { of: (id: number) => table.volumes.of(id), all: table.validBytes };
  return {
    state: parts.closing ? "closing" : "running",
    pid: process.pid,
    version: VERSION,
    uptimeSeconds: Math.floor(parts.uptimeMs / 1000),
    cacheId: parts.cacheId.toString("hex"),
    epoch: life.epoch,
    invalidation: parts.invalidation,
    policy: life.ranking.name,
    directory: parts.directory,
    capacityBytes: limits.capacityBytes,
    usedBytes: table.usedBytes,
    validBytes: table.validBytes,
    indexBytes: parts.indexBytes,
    indexBytesMax: limits.indexBytesMax,
    slots: {
      total: table.existing,
      used: table.countOf(STATE.used),
      // A slot on its way to or from a tenant, or out of a wipe, counts as free, so that the parts add up to the total.
      free: [STATE.free, STATE.filling, STATE.leaving, STATE.wiped].reduce(
        (slots, state) => slots + table.countOf(state),
        0,
      ),
      quarantined: table.countOf(STATE.quarantined),
      unknown: table.countOf(STATE.unknown),
    },
    slotsMax: limits.slotsMax,
    headroom: { slots: headroom.slots, bytes: headroom.pages * PAGE_BYTES },
    drive: parts.drive,
    health: parts.health,
    shares: life.ranking.shares.status(),
    leases: life.leases.counts,
    hits: counters.hits,
    misses: counters.misses,
    puts: counters.puts,
    culled: counters.culled,
    notCulled: life.room.notCulled,
    pins: {
      count: parts.pins,
      bytes: life.ranking.pinned.pinnedBytes,
      bytesMax: limits.pinBytesMax,
    },
    holds: parts.holds,
    writes: parts.budget.status(),
    corrupt: counters.corrupt,
    bypassed: counters.bypassed,
    start: parts.start,
    trust: {
      onUnclean: parts.onUnclean,
      surveying: table.surveying,
      uncheckedBlocks: table.unchecked.slots + (table.surveying ? table.countOf(STATE.unknown) : 0),
      scrub: parts.scrub,
    },
    ...(counters.hitRatio !== undefined && { hitRatio: counters.hitRatio }),
    counters: counters.status(loaded.tally),
    names: {
      objectsKnown: life.objects.counters.objects,
      objectsLoaded: loaded.objects,
      volumesLoaded: loaded.volumes,
    },
    latencies: parts.latencies.status(),
    ...volumeStatus(life.objects.loadedVolumes, counters.otherVolumes, cached),
  };
}
