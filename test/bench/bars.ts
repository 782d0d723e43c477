/** The ratios that are promised, from what was timed; those that need what is not there are left out. */
import { SLOT_BYTES } from "../../engine/cache.js";
import type { Bench } from "./bench.js";
import { Clients } from "./clients.js";
import { adviceOnHit } from "./advice.js";
import { putWhileCulling } from "./culling.js";
import { hitsInFlight, pageHits, wholeHits } from "./hits.js";
import { libraryPuts, storePuts } from "./puts.js";
import { type Comparison, type Result, type Timings, compare, rounded } from "./result.js";
import { median } from "./rounds.js";

/** What was timed, for the bars and for the tables beside them. */
export interface Measured {
  readonly wholeHits: Timings;
  readonly pageHits: Timings;
  readonly inFlight: { readonly whole: Timings; readonly pages: Timings };
  readonly puts: Timings;
  readonly results: readonly Result[];
}

const IN_FLIGHT_STORES: ReadonlySet<string> = new Set(["socket", "redis", "memcached"]);
const READERS = 8;
const READER_ROUNDS = 7;
const READER_MS = 300;
const MIB = 1024 ** 2;

const FLOOR = "the raw read and the CRC-32 of what has to be checked";
const HITS: readonly Comparison[] = [
  { name: "library-hit-256k", ours: "library", floor: "floor", raw: "raw", against: FLOOR, bar: 1.2 },
  { name: "direct-hit-256k", ours: "direct", floor: "floor", raw: "raw", against: FLOOR, bar: 1.3 },
  {
    name: "direct-hit-256k-unverified",
    ours: "direct-unverified",
    floor: "raw",
    against: "the raw read",
    bar: 1.25,
  },
  {
    name: "redis-256k-over-direct",
    ours: "redis",
    floor: "direct",
    against: "our direct hit",
    bar: 4,
    atLeast: true,
  },
  {
    name: "cacache-over-direct",
    ours: "cacache",
    floor: "direct",
    against: "our direct hit",
    bar: 15,
    atLeast: true,
  },
];
const PAGE_FLOOR = "the raw read and the CRC-32 of 4 KiB";
const PAGES: readonly Comparison[] = [
  { name: "library-hit-4k", ours: "library", floor: "floor", raw: "raw", against: FLOOR, bar: 2.5 },
  { name: "library-hit-4k-page", ours: "library", floor: "page-floor", raw: "raw", against: PAGE_FLOOR },
  { name: "direct-hit-4k", ours: "direct", floor: "floor", raw: "raw", against: FLOOR, bar: 3 },
  { name: "direct-hit-4k-page", ours: "direct", floor: "page-floor", raw: "raw", against: PAGE_FLOOR },
  {
    name: "redis-4k-over-direct",
    ours: "redis",
    floor: "direct",
    against: "our direct hit",
    bar: 4,
    atLeast: true,
  },
  {
    name: "sqlite-4k-over-direct",
    ours: "sqlite",
    floor: "direct",
    against: "our direct hit",
    bar: 3,
    atLeast: true,
  },
];
const LIBRARY_PUTS: readonly Comparison[] = [
  {
    name: "library-put-256k",
    ours: "put",
    floor: "floor",
    raw: "raw",
    against: "overwrite and CRC-32",
    bar: 1.4,
  },
];
const SOCKET_WHOLE: readonly Comparison[] = [
  { name: "socket-get-256k-1", ours: "socket-1", floor: "redis-1", against: "Redis get", bar: 1.25 },
  {
    name: "socket-get-256k-8",
    ours: "socket-8",
    floor: "redis-8",
    against: "Redis get, 8 in flight",
    bar: 1,
  },
];
const SOCKET_PAGES: readonly Comparison[] = [
  { name: "socket-get-4k-1", ours: "socket-1", floor: "redis-1", against: "Redis range" },
  {
    name: "socket-get-4k-32",
    ours: "socket-32",
    floor: "redis-32",
    against: "Redis range, 32 in flight",
    bar: 1.5,
  },
];
const SOCKET_PUTS: readonly Comparison[] = [
  { name: "socket-put-256k", ours: "socket-1", floor: "redis-1", against: "Redis set", bar: 1 },
  { name: "socket-put-256k-8", ours: "socket-8", floor: "redis-8", against: "Redis set, 8 in flight" },
];

/** Measures all that the bars are made of. @param step told what comes next. */
export async function measureBars(bench: Bench, step: (what: string) => void): Promise<Measured> {
  step("hits of 256 KiB");
  const whole = await wholeHits(bench);
  step("hits of 4 KiB");
  const pages = await pageHits(bench);
  step("hits in flight");
  const inFlight = await hitsInFlight(bench.stores.filter(({ name }) => IN_FLIGHT_STORES.has(name)));
  step("direct readers");
  const readers = await directReaders(bench);
  step("puts");
  const library = await libraryPuts(bench.set);
  const puts = await storePuts(bench);
  step("puts while culling");
  const culling = await putWhileCulling(bench.set);
  step("hits with advice and without");
  const advice = await adviceOnHit();
  const results = [
    ...all(whole, HITS),
    ...all(pages, PAGES),
    ...all(library, LIBRARY_PUTS),
    ...all(inFlight.whole, SOCKET_WHOLE),
    ...all(inFlight.pages, SOCKET_PAGES),
    ...all(puts, SOCKET_PUTS),
    readers,
    ...culling,
    advice,
  ];
  return { wholeHits: whole, pageHits: pages, inFlight, puts, results };
}

function all(times: Timings, comparisons: readonly Comparison[]): Result[] {
  return comparisons
    .filter(({ ours, floor }) => times.has(ours) && times.has(floor))
    .map((comparison) => compare(times, comparison));
}

/** Throughput of processes that read hits of 256 KiB themselves, against as many that read raw files and check them. */
async function directReaders({ places }: Bench): Promise<Result> {
  const place = (name: "direct" | "raw-checked") => places.get(name) ?? { directory: "" };
  const direct = await Clients.start("direct", place("direct"), READERS);
  const raw = await Clients.start("raw-checked", place("raw-checked"), READERS);
  const speeds: Array<{ ours: number; theirs: number }> = [];
  try {
    for (let round = -1; round < READER_ROUNDS; round += 1) {
      const task = { workload: "whole", ms: READER_MS } as const;
      const [ours, theirs] = [await direct.run(READERS, task), await raw.run(READERS, task)];
      if (round >= 0) speeds.push({ ours: ours.operationsPerSecond, theirs: theirs.operationsPerSecond });
    }
  } finally {
    await direct.stop();
    await raw.stop();
  }
  const speed = (values: readonly number[]): number => (median(values) * SLOT_BYTES) / MIB;
  const [value, floor] = [speed(speeds.map(({ ours }) => ours)), speed(speeds.map(({ theirs }) => theirs))];
  return {
    name: "direct-readers-8",
    unit: "MiB/s",
    value: rounded(value),
    floor: rounded(floor),
    against: "8 raw readers with CRC-32",
    ratio: rounded(value / floor),
    bar: 0.7,
    atLeast: true,
  };
}
