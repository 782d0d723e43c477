/** What the metrics listener tells: a status, the server's figures and the process's, under names after Prometheus' rules. */
import type { BypassReason, CacheStatus, LatencyName, LatencyStatus } from "../api.js";
import { Exposition, type Values } from "./exposition.js";
import type { ServerFigures } from "./server.js";
import type { Series } from "./volume-series.js";

export interface MetricsInput {
  readonly status: CacheStatus;
  readonly server: ServerFigures;
  readonly volumes: readonly Series[];
  readonly loopLag: LatencyStatus;
}

const OPERATIONS: Readonly<Record<LatencyName, string>> = {
  hit: "get_hit",
  miss: "get_miss",
  put: "put",
  commit: "commit",
  cullSlice: "cull_slice",
};
/** Every reason that a daemon has, so that each begins at 0. */
const NO_BYPASSES: Readonly<Record<Exclude<BypassReason, "timeout" | "unavailable">, number>> = {
  "no-space": 0,
  "drive-full": 0,
  "index-full": 0,
  "io-error": 0,
  "drive-sick": 0,
  "write-budget": 0,
  stale: 0,
  overload: 0,
  closing: 0,
};
const START_SECONDS = Math.floor(Date.now() / 1000 - process.uptime());
const DRIVE_STATES = ["ok", "culling", "stopped"] as const;

/** The whole answer to a scrape. */
export function metricsText(input: MetricsInput): Promise<string> {
  const out = new Exposition();
  identity(out, input.status);
  room(out, input.status);
  traffic(out, input.status);
  endurance(out, input.status);
  names(out, input.status);
  volumes(out, input.volumes);
  server(out, input);
  ownProcess(out);
  return out.text();
}

function identity(out: Exposition, status: CacheStatus): void {
  const { version, cacheId, policy, start } = status;
  out.gauge("tagcache_info", "What runs; always 1", [[{ version, cache_id: cacheId, policy }, 1]]);
  out.gauge("tagcache_uptime_seconds", "Time since the start", status.uptimeSeconds);
  out.gauge("tagcache_epoch", "Raised by every wipe and every unclean start", status.epoch);
  out.gauge("tagcache_recovery_seconds", "How long the start took, how the last owner ended, what was done", [
    [{ kind: start.kind, action: start.action }, start.ms / 1000],
  ]);
}

function room(out: Exposition, status: CacheStatus): void {
  const { slots, headroom, drive, shares } = status;
  const bytes: ReadonlyArray<readonly [name: string, help: string, value: number]> = [
    ["capacity", "What the cache may take in all", status.capacityBytes],
    ["used", "What the slot files occupy", status.usedBytes],
    ["valid", "Data in the slot files", status.validBytes],
    ["index", "Files of index and ledger", status.indexBytes],
    ["index_max", "Share of the capacity that the index may take", status.indexBytesMax],
    ["headroom", "To be kept ready for writers at their present rate", headroom.bytes],
    ["drive_total", "Size of the drive's file system", drive.totalBytes],
    ["drive_available", "Room left on it", drive.availableBytes],
  ];
  for (const [name, help, value] of bytes) out.gauge(`tagcache_${name}_bytes`, help, value);
  const states = ["used", "free", "quarantined", "unknown"] as const;
  out.gauge(
    "tagcache_slots",
    "Slots by state",
    states.map((state) => [{ state }, slots[state]]),
  );
  out.gauge("tagcache_slots_max", "Slots that there may be", status.slotsMax);
  out.gauge("tagcache_headroom_slots", "Slots to be kept ready for writers", headroom.slots);
  out.gauge("tagcache_drive_inodes", "Inodes of the drive's file system; 0 where their number is not fixed", [
    [{ state: "total" }, drive.totalInodes],
    [{ state: "available" }, drive.availableInodes],
  ]);
  out.gauge(
    "tagcache_drive_state",
    "1 for the state that the drive is in",
    DRIVE_STATES.map((state) => [{ state }, drive.state === state ? 1 : 0]),
  );
  out.gauge(
    "tagcache_kept_bytes",
    "What pins, open files and files being stored keep from culling, and the most",
    [
      [{ state: "kept" }, status.holds.keptBytes],
      [{ state: "max" }, status.holds.bytesMax],
    ],
  );
  out.gauge(
    "tagcache_share_used_bytes",
    "Use of a share of the capacity",
    shares.map(({ fs, volume = "", usedBytes }) => [{ fs, volume }, usedBytes]),
  );
}

function endurance(out: Exposition, { writes }: CacheStatus): void {
  const stored = "Bytes written to slots; over those stored it is the write amplification";
  out.counter("tagcache_slot_written_bytes_total", stored, writes.slotBytes);
  out.counter(
    "tagcache_write_rejected_bytes_total",
    "Bytes not written, to spare the drive",
    writes.rejectedBytes,
  );
  out.counter("tagcache_write_rejected_total", "Writes turned away to spare the drive", [
    [{ reason: "first-time" }, writes.firstTime],
    [{ reason: "budget" }, writes.rejected - writes.firstTime],
  ]);
  out.gauge("tagcache_write_budget_bytes", "What may be written; 0 where there is no such budget", [
    [{ per: "second" }, writes.bytesPerSecondMax],
    [{ per: "day" }, writes.bytesPerDayMax],
  ]);
}

function traffic(out: Exposition, status: CacheStatus): void {
  const { counters } = status;
  out.counter("tagcache_requests_total", "Blocks read and stored, by how it ended; see also bypasses", [
    [{ op: "get", result: "hit" }, status.hits],
    [{ op: "get", result: "miss" }, status.misses],
    [{ op: "put", result: "stored" }, status.puts],
  ]);
  out.counter("tagcache_bytes_total", "Bytes that hits returned, puts stored, and culled blocks held", [
    [{ dir: "hit" }, counters.bytesHit],
    [{ dir: "write" }, counters.bytesStored],
    [{ dir: "evict" }, counters.culledBytes],
  ]);
  out.counter(
    "tagcache_bypasses_total",
    "Answers of `go to the origin`, by reason",
    Object.entries({ ...NO_BYPASSES, ...status.bypassed }).map(([reason, count]) => [{ reason }, count]),
  );
  out.counter(
    "tagcache_evictions_total",
    "Blocks that went: culled, or taken back after they were invalidated",
    [
      [{ reason: "cull" }, status.culled],
      [{ reason: "invalidate" }, counters.reclaimed],
    ],
  );
  const sums: ReadonlyArray<readonly [name: string, help: string, values: Values]> = [
    [
      "cull_in_use",
      "Looks at least valuable blocks that could not go, as they were being read",
      status.notCulled.inUse,
    ],
    ["corrupt", "Blocks, entries and records that failed their checks and were dropped", status.corrupt],
    ["direct_hits", "Hits of clients that read slot files themselves", counters.directHits],
    ["reads_aside", "Slot reads on the thread pool, not likely to be in memory", counters.readsAside],
    ["slot_writes", "Slots written", counters.slotWrites],
    [
      "io_errors",
      "Slots that the drive could not read or write",
      [
        [{ op: "read" }, counters.ioErrors.read],
        [{ op: "write" }, counters.ioErrors.write],
      ],
    ],
    [
      "commits",
      "Groups of index changes",
      [
        [{ result: "ok" }, counters.commits],
        [{ result: "failed" }, counters.commitFailures],
      ],
    ],
  ];
  for (const [name, help, values] of sums) out.counter(`tagcache_${name}_total`, help, values);
  out.histogram(
    "tagcache_op_seconds",
    "How long things take; of get_hit and get_miss one in 16 is timed and counted here",
    (Object.keys(OPERATIONS) as LatencyName[]).map((name) => [
      { op: OPERATIONS[name] },
      status.latencies[name],
    ]),
  );
}

function names(out: Exposition, { counters, names }: CacheStatus): void {
  const outcomes = ["found", "created", "invalidated"] as const;
  for (const kind of ["volume", "cookie"] as const) {
    const acquires = counters[`${kind}Acquires`];
    out.counter(
      `tagcache_${kind}_acquires_total`,
      `Handles given out for a ${kind}, by how it was found`,
      outcomes.map((outcome) => [{ outcome }, acquires[outcome]]),
    );
  }
  const { invalidations, relinquishes } = counters;
  out.counter("tagcache_invalidations_total", "Calls that invalidated content", [
    [{ of: "volume" }, invalidations.volumes],
    [{ of: "cookie" }, invalidations.cookies],
  ]);
  out.counter("tagcache_relinquishes_total", "Handles given up", [
    [{ of: "volume" }, relinquishes.volumes],
    [{ of: "cookie" }, relinquishes.cookies],
  ]);
  out.counter("tagcache_retired_total", "Files dropped with their handle", relinquishes.retired);
  out.counter("tagcache_updates_total", "Coherency data or sizes set by handles", counters.updates);
  out.gauge("tagcache_objects", "Files with a record in the index, and files in memory", [
    [{ state: "known" }, names.objectsKnown],
    [{ state: "loaded" }, names.objectsLoaded],
  ]);
  out.gauge("tagcache_volumes_loaded", "Volumes in memory", names.volumesLoaded);
}

function volumes(out: Exposition, series: readonly Series[]): void {
  const of = (value: (one: Series) => number): Values =>
    series.map((one) => [{ fs: one.fs, volume: one.volume }, value(one)]);
  const busiest =
    "of the 20 busiest volumes, the rest under volume other; each counts from when it came among them";
  const name = (what: string): string => `tagcache_volume_${what}_total`;
  out.counter(
    name("hits"),
    `Hits ${busiest}`,
    of((one) => one.hits),
  );
  out.counter(
    name("misses"),
    `Misses ${busiest}`,
    of((one) => one.misses),
  );
  out.counter(
    name("puts"),
    `Blocks stored ${busiest}`,
    of((one) => one.puts),
  );
  out.counter(
    name("hit_bytes"),
    `Bytes that hits returned ${busiest}`,
    of((one) => one.bytesHit),
  );
  out.counter(
    name("stored_bytes"),
    `Bytes stored ${busiest}`,
    of((one) => one.bytesStored),
  );
  out.gauge(
    "tagcache_volume_used_bytes",
    "Data cached of the 20 busiest volumes and of the rest; absent while it is counted after a start",
    series.flatMap(({ fs, volume, cachedBytes }) =>
      cachedBytes === undefined ? [] : [[{ fs, volume }, cachedBytes] as const],
    ),
  );
}

function server(out: Exposition, { server, loopLag }: MetricsInput): void {
  out.gauge("tagcache_connections", "Clients on the socket", server.connections);
  out.counter("tagcache_connections_total", "Connections taken and refused since the start", [
    [{ result: "accepted" }, server.accepted],
    [{ result: "refused" }, server.refused],
  ]);
  out.gauge("tagcache_handles", "Handles that clients hold", server.handles);
  out.gauge("tagcache_inflight_requests", "Requests whose replies have not left", server.inFlight.requests);
  out.gauge("tagcache_inflight_bytes", "What they and their replies weigh", server.inFlight.bytes);
  out.counter(
    "tagcache_socket_requests_total",
    "Requests on the socket, by operation and status of the reply",
    [...server.requests].map(({ operation, status, count }) => [{ op: operation, status }, count]),
  );
  out.histogram("tagcache_eventloop_lag_seconds", "How late a timer of 20 ms fires", [[{}, loopLag]]);
}

function ownProcess(out: Exposition): void {
  const { user, system } = process.cpuUsage();
  out.counter("process_cpu_seconds_total", "Processor time of the daemon", (user + system) / 1e6);
  out.gauge("process_resident_memory_bytes", "Memory of the daemon", process.memoryUsage.rss());
  out.gauge("process_start_time_seconds", "When the daemon started, in seconds since 1970", START_SECONDS);
}
