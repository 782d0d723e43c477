/** What watching the traffic costs a hit on 4 KiB: two caches of the same content, one with advice and one without. */
import fs from "node:fs";
import { type GetResult, type OwnedCache, SLOT_BYTES, openCache } from "../../engine/cache.js";
import { PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { type Result, compare } from "./result.js";
import { type Note, measure, seeded, timedEach } from "./rounds.js";
import { benchTag } from "./stores/tagcache.js";
import { benchDirectory } from "./working-set.js";

/** 64 MiB. */
const BLOCKS = 256;
const CAPACITY_BYTES = 128 * 1024 * 1024;
const BATCH = 2048;
const ROUNDS = 101;

export async function adviceOnHit(): Promise<Result> {
  const places = [benchDirectory(), benchDirectory()];
  const caches = await Promise.all(
    places.map((directory, at) => openCache({ directory, capacityBytes: CAPACITY_BYTES, advice: at === 0 })),
  );
  try {
    for (const cache of caches) await fill(cache);
    const [on, off] = caches.map(batchOf) as [Batch, Batch];
    const contestants = [
      { name: "on", batch: on },
      { name: "off", batch: off },
    ];
    const comparison = {
      name: "advice-on-hit",
      ours: "on",
      floor: "off",
      against: "without advice",
      bar: 1.03,
    };
    return compare(await measure(contestants, ROUNDS), comparison);
  } finally {
    for (const cache of caches) await cache.close();
    for (const place of places) fs.rmSync(place, { recursive: true });
  }
}

async function fill(cache: OwnedCache): Promise<void> {
  const bytes = Buffer.alloc(SLOT_BYTES, 7);
  for (let index = 0; index < BLOCKS; index += 1) {
    const put = await cache.put(benchTag(index), bytes);
    if (put.kind !== "stored") throw new Error(`Cannot fill the cache: ${put.reason}`);
  }
}

type Batch = (note?: Note) => Promise<number>;

/** A batch of hits in random order, the same for both. */
function batchOf(cache: OwnedCache): Batch {
  const random = seeded(5);
  const into = Buffer.allocUnsafeSlow(PAGE_BYTES);
  const tags = Array.from({ length: BLOCKS }, (_, index) => benchTag(index));
  const get = () => {
    const offsetBytes = (random() % SLOT_PAGES) * PAGE_BYTES;
    const options = { offsetBytes, lengthBytes: PAGE_BYTES, into };
    return cache.get(tags[random() % BLOCKS] as (typeof tags)[number], options);
  };
  const check = ({ kind }: GetResult): void => {
    if (kind !== "hit") throw new Error(`want a hit, got ${kind}`);
  };
  return (note) => timedEach(BATCH, get, check, note);
}
