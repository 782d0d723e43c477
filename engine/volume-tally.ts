/** What is counted for each volume, and which volumes a status names. */
import { createHash } from "node:crypto";
import { nameText } from "../index/core/names.js";
import { VOLUMES_MAX, type VolumeCounts, type VolumeStatus } from "./api-counts.js";

/** Characters of a name that a status shows; a name may have 65,535 bytes, and a reply has to hold them all. */
export const SHOWN_NAME_MAX = 128;
const DIGEST_DIGITS = 16;
/** The first half of a character outside the basic plane, cut in two. */
const HALF_CHARACTER = /[\ud800-\udbff]$/;

/** Numbers that only grow. */
export class VolumeTally {
  hits = 0;
  misses = 0;
  puts = 0;
  bytesHit = 0;
  bytesStored = 0;

  get requests(): number {
    return this.hits + this.misses + this.puts;
  }

  add(other: VolumeTally): void {
    this.hits += other.hits;
    this.misses += other.misses;
    this.puts += other.puts;
    this.bytesHit += other.bytesHit;
    this.bytesStored += other.bytesStored;
  }

  counts(cachedBytes?: number): VolumeCounts {
    const { hits, misses, puts, bytesHit, bytesStored } = this;
    return { hits, misses, puts, bytesHit, bytesStored, ...(cachedBytes !== undefined && { cachedBytes }) };
  }
}

interface CountedVolume {
  readonly id: number;
  readonly fs: Buffer;
  readonly volume: Buffer;
  readonly tally: VolumeTally;
}

/** Cached bytes of a volume, or of all of them; undefined while that is not known. */
export interface CachedBytes {
  of(volumeId: number): number | undefined;
  readonly all: number;
}

/** The busiest of `loaded`, and the sum of the rest and of `gone`. */
export function volumeStatus(
  loaded: Iterable<CountedVolume>,
  gone: VolumeTally,
  cached: CachedBytes,
): { volumes: VolumeStatus[]; otherVolumes: VolumeCounts } {
  const other = new VolumeTally();
  other.add(gone);
  const busiest: CountedVolume[] = [];
  for (const volume of loaded) {
    const { requests } = volume.tally;
    if (requests === 0) continue;
    let place = busiest.length;
    while (place > 0 && (busiest[place - 1] as CountedVolume).tally.requests < requests) place -= 1;
    busiest.splice(place, 0, volume);
    if (busiest.length > VOLUMES_MAX) other.add((busiest.pop() as CountedVolume).tally);
  }
  let namedBytes: number | undefined = 0;
  const volumes = busiest.map(({ id, fs, volume, tally }) => {
    const bytes = cached.of(id);
    namedBytes = namedBytes === undefined || bytes === undefined ? undefined : namedBytes + bytes;
    return { fs: shownName(fs), volume: shownName(volume), ...tally.counts(bytes) };
  });
  const known = namedBytes !== undefined && cached.of(0) !== undefined;
  return { volumes, otherVolumes: other.counts(known ? cached.all - (namedBytes ?? 0) : undefined) };
}

/** As nameText writes it, cut where it is long: a part of its digest then keeps it apart from others. */
export function shownName(name: Buffer): string {
  // No character of a name takes less than a byte, so what is cut off here would not be shown.
  const text =
    name.length > SHOWN_NAME_MAX * 4 ? nameText(name.subarray(0, SHOWN_NAME_MAX * 4)) : nameText(name);
  if (text.length <= SHOWN_NAME_MAX) return text;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, DIGEST_DIGITS);
  return `${text.slice(0, SHOWN_NAME_MAX - DIGEST_DIGITS - 1).replace(HALF_CHARACTER, "")}…${digest}`;
}
