/**
 * How long the event loop stands still while a large cache culls, and of what each long turn was made:
 * `node dist/test/bench/pauses.js [slots [rounds]]`. Each scenario runs in a process of its own over a copy of one filled
 * directory, slot files being zero-io.ts's; loads with and without culling are interleaved, `rounds` times each, because
 * only their difference is culling's. A turn's own time is its wall time less what the kernel gave to others; asleep within
 * a collection it waits for V8's helper threads, which a busy machine does not run either. Node's flags go on to the
 * scenarios, so that they can be compared.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type OwnedCache, openCache } from "../../engine/cache.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { BLOCKS_A_FILE, fillDirectory, filledTag, fullLimits } from "./filled.js";
import { seeded } from "./rounds.js";
import { NOTED_MS, type Turn, turnText, watchEngine, watched } from "./turns.js";
import { zeroIo } from "./zero-io.js";

const SLOTS = 1_000_000;
const ROUNDS = 5;
const BAR_MS = 10;
const LOAD_MS = 10_000;
const IN_FLIGHT = 8;
/** Turns that are listed, the longest first. */
const LISTED = 6;

interface Load {
  /** Operations done. */
  readonly count: number;
  readonly what: string;
}

type Scenario = (cache: OwnedCache, slots: number) => Promise<Load>;

const NOT_FULL = "hits and puts, not full";
const FULL = "hits and puts, full";

const SCENARIOS: Record<string, Scenario> = {
  nothing: async () => {
    await new Promise<void>((resolve) => setTimeout(resolve, LOAD_MS));
    return { count: 0, what: "operations" };
  },
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
  [NOT_FULL]: (cache, slots) => load(cache, slots),
  [FULL]: (cache, slots) => load(cache, slots),
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

/** What a scenario found, for the sum over rounds. */
interface Found {
  readonly turns: number;
  readonly seconds: number;
  /** Turns whose own time, whose run time, and whose wall time was over the bar. */
  readonly over: number;
  readonly ranOver: number;
  readonly wallOver: number;
}

/** One scenario in this process; what it found is the last line, as JSON. */
async function run(name: string, directory: string, slots: number): Promise<void> {
  const scenario = SCENARIOS[name];
  if (scenario === undefined) throw new Error(`want one of: ${Object.keys(SCENARIOS).join("; ")}`);
  watchEngine();
  const limits = fullLimits(slots);
  const slotsMax = name === NOT_FULL ? 2 * slots : limits.slotsMax;
  const cache = await openCache({ directory, ...limits, slotsMax, io: zeroIo });
  const beganMs = performance.now();
  const { result, turns, turnCount } = await watched(() => scenario(cache, slots));
  const seconds = (performance.now() - beganMs) / 1000;
  const { culled } = await cache.status();
  await cache.close();
  const over = (ms: (turn: Turn) => number, limitMs = BAR_MS): number =>
    turns.filter((turn) => ms(turn) > limitMs).length;
  const [own, ran, wall] = [
    (turn: Turn) => turn.ownMs,
    (turn: Turn) => turn.runMs,
    (turn: Turn) => turn.wallMs,
  ];
  console.log(`${name}: ${result.count} ${result.what} in ${seconds.toFixed(1)} s, ${culled} culled in all`);
  const counts = [NOTED_MS, BAR_MS / 2, BAR_MS].map((ms) => `${ms} ms ${over(own, ms)}`);
  console.log(`  ${turnCount} turns; of their own longer than ${counts.join(", ")}`);
  for (const turn of turns.toSorted((a, b) => b.ownMs - a.ownMs).slice(0, LISTED)) {
    console.log(`    ${turnText(turn)}`);
  }
  const found = { turns: turnCount, seconds, over: over(own), ranOver: over(ran), wallOver: over(wall) };
  console.log(JSON.stringify(found satisfies Found));
}

function spawnScenario(name: string, filled: string, slots: number): Found {
  const directory = `${filled}-copy`;
  fs.cpSync(filled, directory, { recursive: true });
  try {
    const program = [fileURLToPath(import.meta.url), "run", name, directory, String(slots)];
    const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, ...program], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`${name} ended with ${status}: ${stderr}`);
    const lines = stdout.trimEnd().split("\n");
    const last = lines.pop() ?? "";
    console.log(lines.join("\n"));
    return JSON.parse(last) as Found;
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

async function main(slots: number, rounds: number): Promise<void> {
  const place = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-pauses-"));
  try {
    const filled = path.join(place, "filled");
    await fillDirectory({ directory: filled, blocks: slots, recency: "random" });
    const pairs = [NOT_FULL, FULL];
    const found = new Map<string, Found[]>();
    for (let round = 0; round < rounds; round += 1) {
      for (const name of Object.keys(SCENARIOS)) {
        if (round > 0 && !pairs.includes(name)) continue;
        found.set(name, [...(found.get(name) ?? []), spawnScenario(name, filled, slots)]);
      }
    }
    console.log(`\nturns over ${BAR_MS} ms: of their own, by what they ran, by the clock; in how many turns`);
    for (const [name, each] of found) {
      const sum = (of: (one: Found) => number): number => each.reduce((total, one) => total + of(one), 0);
      const [over, ranOver, wallOver] = [
        sum((one) => one.over),
        sum((one) => one.ranOver),
        sum((one) => one.wallOver),
      ];
      const where = `${sum((one) => one.turns)} turns, ${sum((one) => one.seconds).toFixed(0)} s, ${each.length} times`;
      console.log(`${name.padEnd(24)} ${over} ${ranOver} ${wallOver}  of ${where}`);
    }
  } finally {
    fs.rmSync(place, { recursive: true });
  }
}

const [first, ...rest] = process.argv.slice(2);
const [name, directory, slots] = rest;
if (first === "run" && name !== undefined && directory !== undefined)
  await run(name, directory, Number(slots));
else await main(Number(first ?? SLOTS), Number(name ?? ROUNDS));
