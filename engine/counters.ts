/** What happened in this session, for status. */
import { isCacheError } from "../index/core/errors.js";
import type { CacheCounters } from "./api-counts.js";
import type { AcquireOutcome, Bypass, BypassReason } from "./api.js";
import { VolumeTally } from "./volume-tally.js";

export class Counters {
  hits = 0;
  misses = 0;
  directHits = 0;
  puts = 0;
  culled = 0;
  corrupt = 0;
  readsAside = 0;
  slotWrites = 0;
  readErrors = 0;
  writeErrors = 0;
  volumesInvalidated = 0;
  cookiesInvalidated = 0;
  volumesRelinquished = 0;
  cookiesRelinquished = 0;
  retired = 0;
  updates = 0;
  commits = 0;
  commitFailures = 0;
  culledBytes = 0;
  reclaimed = 0;
  readonly volumeAcquires: Record<AcquireOutcome, number> = { found: 0, created: 0, invalidated: 0 };
  readonly cookieAcquires: Record<AcquireOutcome, number> = { found: 0, created: 0, invalidated: 0 };
  /** Volumes that are not in memory. */
  readonly otherVolumes = new VolumeTally();
  readonly #bypassed = new Map<BypassReason, number>();

  get bypassed(): Partial<Record<BypassReason, number>> {
    return Object.fromEntries(this.#bypassed);
  }

  /** The answer to a call about content that met trouble with the index. Any other error is thrown. */
  async excuse(error: unknown): Promise<Bypass> {
    if (!isCacheError(error, "E_IO")) throw error;
    await new Promise<void>((resolve) => setImmediate(resolve)); // as Gate.refuse
    return this.bypass("io-error");
  }

  /** Counts a bypass and makes the answer. */
  bypass(reason: BypassReason): Bypass {
    this.#bypassed.set(reason, (this.#bypassed.get(reason) ?? 0) + 1);
    return { kind: "bypass", reason };
  }

  hit(volume: VolumeTally, bytes: number): void {
    this.hits += 1;
    volume.hits += 1;
    volume.bytesHit += bytes;
  }

  /** Hits of a reader in another process, told afterwards. */
  hitDirect(volume: VolumeTally, hits: number, bytes: number): void {
    this.hits += hits;
    this.directHits += hits;
    volume.hits += hits;
    volume.bytesHit += bytes;
  }

  missed(volume: VolumeTally): void {
    this.misses += 1;
    volume.misses += 1;
  }

  /** What was counted as a miss ended as something else. */
  uncountMiss(volume: VolumeTally): void {
    this.misses -= 1;
    volume.misses -= 1;
  }

  stored(volume: VolumeTally, bytes: number): void {
    this.puts += 1;
    volume.puts += 1;
    volume.bytesStored += bytes;
  }

  get hitRatio(): number | undefined {
    const asked = this.hits + this.misses;
    return asked === 0 ? undefined : this.hits / asked;
  }

  /** @param all what was asked of all volumes: hits are too quick to count bytes twice. */
  status(all: VolumeTally): CacheCounters {
    return {
      bytesHit: all.bytesHit,
      bytesStored: all.bytesStored,
      directHits: this.directHits,
      readsAside: this.readsAside,
      slotWrites: this.slotWrites,
      ioErrors: { read: this.readErrors, write: this.writeErrors },
      volumeAcquires: { ...this.volumeAcquires },
      cookieAcquires: { ...this.cookieAcquires },
      invalidations: { volumes: this.volumesInvalidated, cookies: this.cookiesInvalidated },
      relinquishes: {
        volumes: this.volumesRelinquished,
        cookies: this.cookiesRelinquished,
        retired: this.retired,
      },
      updates: this.updates,
      commits: this.commits,
      commitFailures: this.commitFailures,
      culledBytes: this.culledBytes,
      reclaimed: this.reclaimed,
    };
  }
}
