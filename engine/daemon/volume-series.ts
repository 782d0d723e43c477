/**
 * Turns the volumes of a status, the busiest and the rest, into counters that never go back. A volume that comes among
 * the busiest is counted under its own name from then on, and under `other` before; so each request is counted under
 * one name and once.
 */
import type { StatusCounts, VolumeCounts, VolumeStatus } from "../api-counts.js";

const FIELDS = ["hits", "misses", "puts", "bytesHit", "bytesStored"] as const;
type Field = (typeof FIELDS)[number];
type Sums = Record<Field, number>;

export interface Series extends Readonly<Sums> {
  readonly fs: string;
  readonly volume: string;
  readonly cachedBytes?: number;
}

interface Named {
  readonly seen: VolumeCounts;
  readonly sums: Sums;
}

/** Where the rest is counted; no volume has an empty fs. */
const OTHER = { fs: "", volume: "other" } as const;

export class VolumeSeries {
  #named = new Map<string, Named>();
  #total = nothing();
  #otherSeen: VolumeCounts = nothing();
  readonly #other = nothing();

  /** The busiest volumes and then `other`, as they stand with this status, which is later than the last one given. */
  update(status: Pick<StatusCounts, "volumes" | "otherVolumes">): Series[] {
    const total = nothing();
    add(total, status.otherVolumes);
    const growth = nothing();
    const named = new Map<string, Named>();
    const series: Series[] = [];
    for (const volume of status.volumes) {
      add(total, volume);
      const key = JSON.stringify([volume.fs, volume.volume]);
      const before = this.#named.get(key);
      const grown = this.#growth(volume, before);
      const sums = { ...(before?.sums ?? nothing()) };
      add(sums, grown);
      add(growth, grown);
      named.set(key, { seen: volume, sums });
      series.push({ ...OTHER, fs: volume.fs, volume: volume.volume, ...sums, ...bytesOf(volume) });
    }
    for (const field of FIELDS) this.#other[field] += total[field] - this.#total[field] - growth[field];
    this.#named = named;
    this.#total = total;
    this.#otherSeen = status.otherVolumes;
    return [...series, { ...OTHER, ...this.#other, ...bytesOf(status.otherVolumes) }];
  }

  /** At least so much was asked of the volume since the last status; what may be older counts as other. */
  #growth(volume: VolumeStatus, before: Named | undefined): Sums {
    const seen = before?.seen;
    const growth = nothing();
    // Counts that went back: the volume left memory and came again, with nothing counted yet.
    const anew = seen !== undefined && FIELDS.some((field) => volume[field] < seen[field]);
    for (const field of FIELDS) {
      const old = anew ? 0 : (seen ?? this.#otherSeen)[field];
      growth[field] = Math.max(0, volume[field] - old);
    }
    return growth;
  }
}

function bytesOf({ cachedBytes }: VolumeCounts): { cachedBytes?: number } {
  return cachedBytes === undefined ? {} : { cachedBytes };
}

function nothing(): Sums {
  return { hits: 0, misses: 0, puts: 0, bytesHit: 0, bytesStored: 0 };
}

function add(sums: Sums, counts: VolumeCounts): void {
  for (const field of FIELDS) sums[field] += counts[field];
}
