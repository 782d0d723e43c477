/** What the cache in memory counts: block calls only, and volumes by their names. */
import type { StatusCounts, Tag } from "../../engine/api.js";
import { Histogram } from "../../engine/histogram.js";
import { nameBuffer, nameText } from "../../index/core/names.js";
import { volumeKey } from "./memory-parts.js";

interface Tally {
  readonly fs: string;
  readonly volume: string;
  hits: number;
  misses: number;
  puts: number;
  bytesHit: number;
  bytesStored: number;
}

const NOTHING = { hits: 0, misses: 0, puts: 0, bytesHit: 0, bytesStored: 0 };
const OUTCOMES = { found: 0, created: 0, invalidated: 0 };

export class MemoryCounts {
  readonly #volumes = new Map<string, Tally>();

  hit(tag: Tag, bytes: number): void {
    const tally = this.#of(tag);
    tally.hits += 1;
    tally.bytesHit += bytes;
  }

  missed(tag: Tag, count = 1): void {
    this.#of(tag).misses += count;
  }

  stored(tag: Tag, bytes: number): void {
    const tally = this.#of(tag);
    tally.puts += 1;
    tally.bytesStored += bytes;
  }

  status(objects: number, volumes: number): StatusCounts & { hits: number; misses: number; puts: number } {
    const named = [...this.#volumes.values()];
    const sum = (of: (tally: Tally) => number): number =>
      named.reduce((total, tally) => total + of(tally), 0);
    const [hits, misses, puts] = [sum((t) => t.hits), sum((t) => t.misses), sum((t) => t.puts)];
    const none = new Histogram().status();
    const busy = (tally: Tally): number => tally.hits + tally.misses + tally.puts;
    return {
      hits,
      misses,
      puts,
      ...(hits + misses > 0 && { hitRatio: hits / (hits + misses) }),
      counters: {
        bytesHit: sum((t) => t.bytesHit),
        bytesStored: sum((t) => t.bytesStored),
        directHits: 0,
        readsAside: 0,
        slotWrites: puts,
        ioErrors: { read: 0, write: 0 },
        volumeAcquires: OUTCOMES,
        cookieAcquires: OUTCOMES,
        invalidations: { volumes: 0, cookies: 0 },
        relinquishes: { volumes: 0, cookies: 0, retired: 0 },
        updates: 0,
        commits: 0,
        commitFailures: 0,
        culledBytes: 0,
        reclaimed: 0,
      },
      names: { objectsKnown: objects, objectsLoaded: objects, volumesLoaded: volumes },
      latencies: { hit: none, miss: none, put: none, commit: none, cullSlice: none },
      volumes: named.sort((a, b) => busy(b) - busy(a)).slice(0, 20),
      otherVolumes: NOTHING,
    };
  }

  #of({ fs, volume }: Tag): Tally {
    const key = volumeKey(fs, volume);
    const found = this.#volumes.get(key);
    if (found !== undefined) return found;
    const made = { fs: nameText(nameBuffer(fs)), volume: nameText(nameBuffer(volume)), ...NOTHING };
    this.#volumes.set(key, made);
    return made;
  }
}
