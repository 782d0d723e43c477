/** What changed between two looks at a daemon. Pure. */
import type { CacheStatus, LatencyStatus, VolumeCounts } from "../../engine/cache.js";

export interface VolumeRate {
  readonly fs: string;
  readonly volume: string;
  readonly hits: number;
  readonly misses: number;
  readonly puts: number;
  readonly bytes: number;
  readonly cachedBytes?: number;
}

/** All a second, unless it says otherwise. */
export interface Rates {
  readonly seconds: number;
  readonly hits: number;
  readonly misses: number;
  readonly puts: number;
  readonly bytesHit: number;
  readonly bytesStored: number;
  readonly bytesWritten: number;
  readonly culled: number;
  readonly culledBytes: number;
  readonly inUse: number;
  /** By reason, only those that there were. */
  readonly bypassed: ReadonlyArray<readonly [reason: string, rate: number]>;
  /** 0 to 1 of the time between; absent when nothing was asked. */
  readonly hitRatio?: number;
  /** Busiest first; those that were asked nothing come last. */
  readonly volumes: readonly VolumeRate[];
  readonly times: Readonly<Record<"hit" | "miss" | "put", LatencyStatus>>;
}

export interface Look {
  readonly status: CacheStatus;
  /** Milliseconds, monotonic. */
  readonly atMs: number;
}

/** @returns undefined when the looks cannot be compared: the daemon was started anew in between. */
export function ratesOf(before: Look, now: Look): Rates | undefined {
  const [one, two] = [before.status, now.status];
  const seconds = (now.atMs - before.atMs) / 1000;
  if (one.pid !== two.pid || two.uptimeSeconds < one.uptimeSeconds || seconds <= 0) return undefined;
  const rate = (from: number, to: number): number => Math.max(0, to - from) / seconds;
  const [hits, misses] = [rate(one.hits, two.hits), rate(one.misses, two.misses)];
  const bypassed = Object.entries(two.bypassed)
    .map(
      ([reason, count]) =>
        [reason, rate(one.bypassed[reason as keyof typeof one.bypassed] ?? 0, count)] as const,
    )
    .filter(([, count]) => count > 0)
    .toSorted((a, b) => b[1] - a[1]);
  const times = (name: "hit" | "miss" | "put") => between(one.latencies[name], two.latencies[name]);
  return {
    seconds,
    hits,
    misses,
    puts: rate(one.puts, two.puts),
    bytesHit: rate(one.counters.bytesHit, two.counters.bytesHit),
    bytesStored: rate(one.counters.bytesStored, two.counters.bytesStored),
    bytesWritten: rate(one.writes.slotBytes, two.writes.slotBytes),
    culled: rate(one.culled, two.culled),
    culledBytes: rate(one.counters.culledBytes, two.counters.culledBytes),
    inUse: rate(one.notCulled.inUse, two.notCulled.inUse),
    bypassed,
    ...(hits + misses > 0 && { hitRatio: hits / (hits + misses) }),
    volumes: volumesOf(one, two, rate),
    times: { hit: times("hit"), miss: times("miss"), put: times("put") },
  };
}

function volumesOf(
  one: CacheStatus,
  two: CacheStatus,
  rate: (from: number, to: number) => number,
): VolumeRate[] {
  const NOTHING: VolumeCounts = { hits: 0, misses: 0, puts: 0, bytesHit: 0, bytesStored: 0 };
  const earlier = new Map(one.volumes.map((volume) => [`${volume.fs}\0${volume.volume}`, volume]));
  const rates = two.volumes.map((volume): VolumeRate => {
    // One that was not among the busiest at the last look may have been asked much before it.
    const known = earlier.get(`${volume.fs}\0${volume.volume}`);
    const base = known ?? (one.volumes.length < two.volumes.length ? NOTHING : volume);
    return {
      fs: volume.fs,
      volume: volume.volume,
      hits: rate(base.hits, volume.hits),
      misses: rate(base.misses, volume.misses),
      puts: rate(base.puts, volume.puts),
      bytes: rate(base.bytesHit, volume.bytesHit),
      ...(volume.cachedBytes !== undefined && { cachedBytes: volume.cachedBytes }),
    };
  });
  const busy = ({ hits, misses, puts }: VolumeRate): number => hits + misses + puts;
  return rates.toSorted((a, b) => busy(b) - busy(a));
}

function between(one: LatencyStatus, two: LatencyStatus): LatencyStatus {
  const counts = two.counts.map((count, place) => Math.max(0, count - (one.counts[place] ?? 0)));
  return {
    boundsMs: two.boundsMs,
    counts,
    count: counts.reduce((sum, count) => sum + count, 0),
    sumMs: Math.max(0, two.sumMs - one.sumMs),
  };
}

/** The bound under which this part (0 to 1) of the times lie; undefined when there were none, or it lies above all bounds. */
export function boundOf({ counts, boundsMs, count }: LatencyStatus, part: number): number | undefined {
  let sum = 0;
  for (const [place, here] of counts.entries()) {
    sum += here;
    if (count > 0 && sum >= count * part) return boundsMs[place];
  }
  return undefined;
}
