/**
 * How long the event loop stands still while a large cache culls: `node dist/test/bench/pauses.js [slots]`. Each scenario
 * runs in a process of its own over a copy of one filled directory, slot files being zero-io.ts's. To see what a pause is
 * made of: `node --cpu-prof dist/test/bench/pauses.js run SCENARIO DIRECTORY SLOTS`. In brackets stands the wall time, of
 * which the machine may have given a part to others.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { PerformanceObserver, monitorEventLoopDelay } from "node:perf_hooks";
import { fileURLToPath } from "node:url";
import { type OwnedCache, openCache } from "../../engine/cache.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { BLOCKS_A_FILE, fillDirectory, filledTag, fullLimits } from "./filled.js";
import { seeded } from "./rounds.js";
import { zeroIo } from "./zero-io.js";

const SLOTS = 1_000_000;
const BAR_MS = 10;
const LOAD_MS = 10_000;
const IN_FLIGHT = 8;
/** Pauses that are listed, the longest first. */
const LISTED = 8;
const NOTED_MS = 2;

interface Pause {
  /** When it began, in microseconds of the clock that --cpu-prof uses. */
  readonly atUs: number;
  readonly ms: number;
  /** What of it was work of this process at most: the rest of the time the machine was busy with something else. */
  readonly ownMs: number;
}

interface Load {
  /** Operations done. */
  readonly count: number;
  readonly what: string;
}

type Scenario = (cache: OwnedCache, slots: number) => Promise<Load>;

/** Two come first for comparison: what the machine does by itself, and the load without culling. */
const SCENARIOS: Record<string, Scenario> = {
  nothing: async () => {
    await new Promise<void>((resolve) => setTimeout(resolve, LOAD_MS));
    return { count: 0, what: "operations" };
  },
  "hits and puts, not full": (cache, slots) => load(cache, slots),
  "hits and puts, full": (cache, slots) => load(cache, slots),
  "cull half": async (cache) => {
    const { usedBytes } = await cache.status();
    const report = await cache.cull({ usedBytesMax: Math.floor(usedBytes / 2) });
    return { count: report.blocks, what: "culled" };
  },
  "configure half": async (cache, slots) => {
    const { capacityBytes, slotsMax } = fullLimits(slots);
    await cache.configure({ capacityBytes: capacityBytes / 2, slotsMax: slotsMax / 2 });
    return { count: (await cache.status()).culled, what: "culled" };
  },
};

/** Puts of new blocks and as many hits, 8 in flight, for a while. */
async function load(cache: OwnedCache, slots: number): Promise<Load> {
  const page = Buffer.alloc(PAGE_BYTES);
  const random = seeded(2);
  const endMs = performance.now() + LOAD_MS;
  let next = 0;
  const work = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const count = next;
      next += 1;
      const inode = `new-${Math.floor(count / BLOCKS_A_FILE)}`;
      const put = await cache.put({ fs: "bench", volume: "new", inode, block: count % BLOCKS_A_FILE }, page);
      if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
      await cache.get(filledTag(random() % slots));
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return { count: next, what: "puts" };
}

/** Runs the body beside a loop that never rests, and notes each turn that took long. */
async function watched<T>(body: () => Promise<T>): Promise<{ result: T; pauses: Pause[]; turns: number }> {
  const pauses: Pause[] = [];
  const cpuUs = (): number => {
    const { user, system } = process.cpuUsage();
    return user + system;
  };
  let [turns, running, beforeNs, beforeUs] = [0, true, process.hrtime.bigint(), cpuUs()];
  const tick = (): void => {
    const [nowNs, nowUs] = [process.hrtime.bigint(), cpuUs()];
    const ms = Number(nowNs - beforeNs) / 1e6;
    const ownMs = Math.min(ms, (nowUs - beforeUs) / 1000);
    if (ms > NOTED_MS) pauses.push({ atUs: Number(beforeNs / 1000n), ms, ownMs });
    [beforeNs, beforeUs] = [nowNs, nowUs];
    turns += 1;
    if (running) setImmediate(tick);
  };
  setImmediate(tick);
  try {
    return { result: await body(), pauses, turns };
  } finally {
    running = false;
  }
}

/** One scenario in this process. */
async function run(name: string, directory: string, slots: number): Promise<void> {
  const limits = fullLimits(slots);
  const slotsMax = name.includes("not full") ? 2 * slots : limits.slotsMax;
  const cache = await openCache({ directory, ...limits, slotsMax, io: zeroIo });
  const collections: number[] = [];
  const observer = new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) collections.push(duration);
  });
  observer.observe({ entryTypes: ["gc"] });
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const beganMs = performance.now();
  const { result, pauses, turns } = await watched(() => scenarioOf(name)(cache, slots));
  const seconds = (performance.now() - beganMs) / 1000;
  delay.disable();
  await new Promise<void>((resolve) => setTimeout(resolve, 10)); // the observer hears later
  observer.disconnect();
  const { culled } = await cache.status();
  await cache.close();
  const over = (limit: number): string => {
    const [ours, all] = [pauses.filter(({ ownMs }) => ownMs > limit), pauses.filter(({ ms }) => ms > limit)];
    return `${limit} ms ${ours.length} (${all.length})`;
  };
  const longest = pauses.toSorted((a, b) => b.ownMs - a.ownMs).slice(0, LISTED);
  const list = longest.map(({ atUs, ms, ownMs }) => `${ownMs.toFixed(1)} (${ms.toFixed(1)}) ms @${atUs}`);
  console.log(`${name}: ${result.count} ${result.what} in ${seconds.toFixed(1)} s, ${culled} culled in all`);
  console.log(`  ${turns} turns; longer than ${[NOTED_MS, BAR_MS / 2, BAR_MS].map(over).join(", ")}`);
  console.log(`  longest: ${list.join(", ")}`);
  const [delayMs, gcMs] = [delay.max / 1e6, Math.max(0, ...collections)];
  console.log(
    `  monitorEventLoopDelay max ${delayMs.toFixed(1)} ms; longest collection ${gcMs.toFixed(1)} ms`,
  );
}

function scenarioOf(name: string): Scenario {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`want one of: ${Object.keys(SCENARIOS).join("; ")}`);
  return scenario;
}

async function main(slots: number): Promise<void> {
  const place = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-pauses-"));
  try {
    const filled = path.join(place, "filled");
    await fillDirectory({ directory: filled, blocks: slots, recency: "random" });
    for (const name of Object.keys(SCENARIOS)) {
      const directory = path.join(place, "copy");
      fs.cpSync(filled, directory, { recursive: true });
      const program = [fileURLToPath(import.meta.url), "run", name, directory, String(slots)];
      const { status } = spawnSync(process.execPath, program, { stdio: "inherit" });
      if (status !== 0) throw new Error(`${name} ended with ${status}`);
      fs.rmSync(directory, { recursive: true });
    }
  } finally {
    fs.rmSync(place, { recursive: true });
  }
}

const [first, name, directory, slots] = process.argv.slice(2);
if (first === "run" && name !== undefined && directory !== undefined)
  await run(name, directory, Number(slots));
else await main(Number(first ?? SLOTS));
