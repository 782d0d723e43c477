/**
 * The process whose machine loses its power: `workload.js <plan>`. Opens the cache, works, stops clean, waits, and again,
 * as the plan says; its marks go to the recording disk. Says `ended` when it has nothing more to do.
 */
import { execFile } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import type { OpenCacheOptions } from "../../../engine/cache.js";
import { type Mark, WORKERS } from "../promised/marks.js";
import { DROPS, type Drop, MarkedCache } from "../promised/marked-cache.js";
import { between } from "../support.js";
import { type Bug, plant } from "./bugs.js";
import { LIMITS } from "./limits.js";

export interface Session {
  readonly workMs: number;
  /** Stops clean, and does nothing for so long; else it goes on to its end without a stop. */
  readonly idleMs?: number;
  /** Everything is written to the drive meanwhile, now and then, as a kernel does. */
  readonly writeBack: boolean;
}

export interface Plan {
  readonly directory: string;
  readonly markFile: string;
  readonly onUnclean: string;
  readonly seed: number;
  readonly firstVersion: number;
  readonly sessions: readonly Session[];
  readonly bug?: Bug;
}

const PINS = 12;
const PUT_SHARE = 0.85;
const run = promisify(execFile);

const plan = JSON.parse(process.argv[2] as string) as Plan;
const marks = openSync(plan.markFile, "w");
const { directory, onUnclean, seed, firstVersion } = plan;
const planted = plan.bug === undefined ? {} : plant(plan.bug);
const marked = new MarkedCache({
  mark: (made: Mark) => void writeSync(marks, JSON.stringify(made)),
  seed,
  firstVersion,
  // The plan may name what this program's types do not know yet.
  cache: { directory, ...LIMITS, ...planted, onUnclean } as OpenCacheOptions,
});
const { random } = marked;

async function work(worker: number, isFirst: boolean, ends: () => boolean): Promise<void> {
  if (isFirst && !(await marked.takeOver(worker))) return;
  while (!ends()) {
    const drop = DROPS[between(random, 0, DROPS.length - 1)] as Drop;
    const goesOn = await (random() < PUT_SHARE ? marked.put(worker) : marked.drop(worker, drop));
    if (!goesOn) return;
    await sleep(between(random, 1, 8));
  }
}

async function pin(ends: () => boolean): Promise<void> {
  while (!ends() && (await marked.togglePin(`pin ${between(random, 1, PINS)}`))) {
    await sleep(between(random, 5, 40));
  }
}

async function writeBack(ends: () => boolean): Promise<void> {
  while (!ends()) {
    await sleep(between(random, 50, 250));
    await run("sync", ["-f", directory]);
  }
}

async function session({ workMs, idleMs, writeBack: written }: Session, isFirst: boolean): Promise<void> {
  await marked.open();
  let ended = false;
  const ends = () => ended;
  const writing = written ? writeBack(ends) : Promise.resolve();
  const workers = Array.from({ length: WORKERS }, (_, worker) => work(worker, isFirst, ends));
  const working = Promise.all([...workers, pin(ends)]);
  await sleep(workMs);
  if (idleMs === undefined) return;
  // The others stop in the middle of everything; no write-back helps any stop.
  if (written) {
    ended = true;
    await writing;
    await working;
  }
  await marked.close();
  ended = true;
  await working;
  await sleep(idleMs);
}

process.on("disconnect", () => process.exit(9)); // whoever started us is gone
try {
  for (const [number, each] of plan.sessions.entries()) await session(each, number === 0);
  process.send?.({ said: "ended" });
} catch (error) {
  process.send?.({ said: "failed", error: String(error) });
}
