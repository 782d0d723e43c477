/** What a cache says of itself. */
import { PAGE_BYTES } from "../index/core/layout.js";
import type { CacheStatus, StartReport } from "./api.js";
import type { Session } from "./session.js";
import { STATE, type SlotTable } from "./slots/slot-table.js";
import { volumeStatus } from "./volume-tally.js";
import { VERSION } from "./version.js";

export function statusOf(session: Session, start: StartReport): CacheStatus {
  const { table, counters, limits, onDrive } = session;
  const { state, now, beganMs } = session.options;
  const { life } = session.blocks;
  const { headroom } = life.room;
  const cached = { of: (id: number) => table.volumes.of(id), all: table.validBytes };
  return {
    state: "running",
    pid: process.pid,
    version: VERSION,
    uptimeSeconds: Math.floor((now() - beganMs) / 1000),
    cacheId: state.cacheId.toString("hex"),
    epoch: life.epoch,
    invalidation: session.sequence.lastStamp,
    policy: life.ranking.name,
    directory: state.paths.directory,
    capacityBytes: limits.capacityBytes,
    usedBytes: table.usedBytes,
    validBytes: table.validBytes,
    indexBytes: session.gauge.fileBytes(),
    indexBytesMax: limits.indexBytesMax,
    slots: slotCounts(table),
    slotsMax: limits.slotsMax,
    headroom: { slots: headroom.slots, bytes: headroom.pages * PAGE_BYTES },
    drive: onDrive.drive.status(),
    health: onDrive.health.status(),
    shares: life.ranking.shares.status(),
    leases: life.leases.counts,
    hits: counters.hits,
    misses: counters.misses,
    puts: counters.puts,
    culled: counters.culled,
    notCulled: life.room.notCulled,
    pins: {
      count: session.admin.pins.count,
      bytes: life.ranking.kept.pinned.pinnedBytes,
      bytesMax: limits.pinBytesMax,
    },
    holds: session.openFiles.status,
    writes: session.budget.status(),
    corrupt: counters.corrupt,
    bypassed: counters.bypassed,
    start,
    trust: {
      onUnclean: state.regime === "recoverable" ? "verify" : "wipe",
      surveying: table.surveying,
      uncheckedBlocks: table.unchecked.slots + (table.surveying ? table.countOf(STATE.unknown) : 0),
      scrub: session.checkers.scrub.status,
    },
    ...(counters.hitRatio !== undefined && { hitRatio: counters.hitRatio }),
    counters: counters.status(life.objects.volumes.tally()),
    names: {
      objectsKnown: life.objects.counters.objects,
      objectsLoaded: life.objects.loadedCount,
      volumesLoaded: life.objects.volumes.loadedCount,
    },
    latencies: session.latencies.status(),
    ...volumeStatus(life.objects.volumes.loaded, counters.otherVolumes, cached),
  };
}

function slotCounts(table: SlotTable): CacheStatus["slots"] {
  return {
    total: table.existing,
    used: table.countOf(STATE.used),
    // A slot on its way to or from a tenant, or out of a wipe, counts as free, so that the parts add up to the total.
    free: [STATE.free, STATE.filling, STATE.leaving, STATE.wiped].reduce(
      (slots, state) => slots + table.countOf(state),
      0,
    ),
    quarantined: table.countOf(STATE.quarantined),
    unknown: table.countOf(STATE.unknown),
  };
}
