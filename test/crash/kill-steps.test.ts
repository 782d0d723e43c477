/**
 * SIGKILL during a start, a wipe and a stop: at moments spread over their length, and right before single file calls.
 * Whatever the moment, the next start works: it has everything (clean) or nothing (wiped), never anything wrong.
 */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { openCache } from "../../engine/cache.js";
import { Ledger } from "../../index/ledger.js";
import { roundsOf, tellDone } from "../support/effort.js";
import { type Child, type Nursery, withChildren } from "./children.js";
import {
  SMALL,
  type Stored,
  between,
  expectHits,
  expectInOrder,
  expectMisses,
  putSome,
  say,
  seedOfRun,
  seededRandom,
  spin,
  withCache,
  withDirectory,
} from "./support.js";
import type { Order, Task } from "./worker.js";

const killSteps = suite("kills during start, wipe and stop");
const EFFORT = roundsOf(1);
const DELAYS = EFFORT > 1 ? 3 * EFFORT : 1;
const CALLS_TRIED = EFFORT > 1 ? 2 * EFFORT : 1;
/** Some kills come later than the thing lasted the first time, since it may last longer the next. */
const LENGTH_FACTOR = 1.5;
/** Every so-manieth file call of the first start in a directory; the first of them by chance. */
const FIRST_START_STRIDE = EFFORT > 1 ? Math.ceil(8 / EFFORT) : 32;

interface Scene {
  readonly name: string;
  readonly task: Task;
  /** What the killed child finds. */
  readonly before: "clean" | "unclean";
  /** What it says when it is through, and what must stand if it was. */
  readonly done: "opened" | "wiped" | "closed";
  /** Kills at moments of time; the others are at file calls. */
  readonly delays: number;
}

const scenes: readonly Scene[] = [
  { name: "a start after a clean stop", task: "open", before: "clean", done: "opened", delays: DELAYS },
  { name: "a start after an unclean end", task: "open", before: "unclean", done: "opened", delays: DELAYS },
  { name: "a wipe of an open cache", task: "wipe", before: "clean", done: "wiped", delays: DELAYS },
  { name: "a wipe of a directory", task: "wipeDirectory", before: "clean", done: "wiped", delays: DELAYS },
  { name: "a wipe after an unclean end", task: "wipeDirectory", before: "unclean", done: "wiped", delays: 0 },
  { name: "a stop", task: "close", before: "clean", done: "closed", delays: DELAYS },
];

interface Run {
  readonly nursery: Nursery;
  readonly directory: string;
  readonly random: () => number;
  readonly scene: Scene;
  /** What a clean start has to have: stored and clean before the child came. */
  stored: Stored[];
}

/** Brings the directory, which was left clean, into the state that the scene begins with. */
async function setUp({ directory, scene }: Run): Promise<void> {
  if (scene.before === "clean") return;
  const ledger = await Ledger.open({ directory: join(directory, "ledger") });
  await ledger.setMark({ ...ledger.mark, state: "unclean" });
  await ledger.close();
}

/** Starts the thing. */
async function begin(run: Run, child: Child, dieAtCall?: number): Promise<void> {
  const { directory, scene } = run;
  const order = { task: scene.task, directory, seed: 1, ...SMALL, ...(dieAtCall && { dieAtCall }) };
  child.tell(order satisfies Order);
  if (scene.task !== "wipe" && scene.task !== "close") return;
  await child.says("opened");
  child.tell("go");
}

/** The start after the kill; leaves other blocks stored, clean. @returns how it was. */
async function expectRight(run: Run, through: boolean): Promise<string> {
  const { directory, random, scene, stored: before } = run;
  const started = await openCache({ directory, ...SMALL });
  const { kind, action } = (await started.status()).start;
  if (scene.done === "closed" && through) assert.equal(kind, "clean", "a stop that was through is not clean");
  if (kind === "clean") {
    assert.equal(action, "none");
    // A wipe of a directory that got as far as its mark is clean too, and empty.
    const first = before[0] as Stored;
    const wiped = scene.done === "wiped" && (await started.get(first.tag)).kind === "miss";
    if (wiped) await expectMisses(started, tagsOf(before));
    else await expectHits(started, before);
    assert.ok(wiped || !through || scene.done !== "wiped", "a wipe that was through left content");
  } else {
    assert.deepEqual([kind, action], ["unclean", "wipe"]);
    await expectMisses(started, tagsOf(before));
  }
  const after = await putSome(started, random, { fs: `after ${random()}`, count: 12 });
  assert.equal(after.length, 12);
  await expectHits(started, after);
  await started.close();
  await expectInOrder(directory);
  run.stored = after;
  return kind;
}

function fill(directory: string, random: () => number): Promise<Stored[]> {
  return withCache({ directory, ...SMALL }, (cache) => putSome(cache, random, { fs: "before", count: 12 }));
}

function tagsOf(stored: readonly Stored[]) {
  return stored.map(({ tag }) => tag);
}

/** How long the scene takes and how many file calls it makes, when nobody is killed. */
async function measure(run: Run): Promise<{ ms: number; calls: number }> {
  await setUp(run);
  const child = await run.nursery.take();
  const beganMs = performance.now();
  await begin(run, child);
  const goneMs = run.scene.task === "wipe" || run.scene.task === "close" ? performance.now() : beganMs;
  const { calls } = await child.says(run.scene.done);
  const ms = performance.now() - goneMs;
  await child.kill();
  await expectRight(run, true);
  return { ms, calls: Number(calls) };
}

async function killAfter(run: Run, delayMs: number): Promise<string> {
  await setUp(run);
  const child = await run.nursery.take();
  await begin(run, child);
  if (delayMs > 3) await sleep(delayMs - 3);
  else await new Promise<void>((resolve) => setImmediate(resolve)); // the message goes out
  spin(Math.min(delayMs, 2));
  await child.kill();
  return expectRight(run, child.hasSaid(run.scene.done));
}

async function killAtCall(run: Run, call: number): Promise<string> {
  await setUp(run);
  const child = await run.nursery.take();
  await begin(run, child, call);
  const through = await child.getsTo(run.scene.done);
  await child.kill();
  return expectRight(run, through);
}

function countKinds(kinds: readonly string[]): string {
  const clean = kinds.filter((kind) => kind === "clean").length;
  return `${clean} clean, ${kinds.length - clean} wiped`;
}

for (const scene of scenes) {
  killSteps(`starts after a kill during ${scene.name}`, async () => {
    const seed = seedOfRun();
    const random = seededRandom(seed);
    await withDirectory(async (directory) => {
      await withChildren("./worker", async (nursery) => {
        const stored = await fill(directory, random);
        const run: Run = { nursery, directory, random, scene, stored };
        const { ms, calls } = await measure(run);
        const kinds: string[] = [];
        for (let step = 0; step < scene.delays; step += 1) {
          kinds.push(await killAfter(run, (ms * LENGTH_FACTOR * (step + random())) / DELAYS));
        }
        const first = between(random, 1, Math.max(1, Math.floor(calls / CALLS_TRIED)));
        for (let call = first; call <= calls; call += Math.max(1, Math.ceil(calls / CALLS_TRIED))) {
          kinds.push(await killAtCall(run, call));
        }
        tellDone(kinds.length, "kills during start, wipe and stop");
        say(`  ${scene.name}: ${ms.toFixed(0)} ms, ${calls} calls; ${countKinds(kinds)}; CRASH_SEED=${seed}`);
      });
    });
  });
}

killSteps("is clean when it is killed in the moment in which close resolves", async () => {
  await withDirectory(async (directory) => {
    await withChildren("./worker", async (nursery) => {
      for (let round = 0; round < 2; round += 1) {
        const scene = scenes.at(-1) as Scene;
        const stored = await fill(directory, seededRandom(round));
        const run: Run = { nursery, directory, random: seededRandom(round), scene, stored };
        const child = await nursery.take();
        child.tell({ task: "close", directory, seed: 1, ...SMALL, dieWhenDone: true } satisfies Order);
        await child.says("opened");
        child.tell("go");
        assert.equal(await child.exit(), null);
        assert.equal(await expectRight(run, true), "clean");
      }
    });
  });
});

killSteps("goes on after a start that was killed while it made a new ledger or a new cache", async () => {
  const seed = seedOfRun();
  const random = seededRandom(seed);
  say(`  CRASH_SEED=${seed}`);
  await withDirectory(async (parent) => {
    await withChildren("./worker", async (nursery) => {
      for (const lost of ["everything", "the ledger"]) {
        const firstCall = between(random, 1, FIRST_START_STRIDE);
        for (let call = firstCall; ; call += FIRST_START_STRIDE) {
          const directory = `${parent}/${lost}-${call}`;
          if (lost === "the ledger") {
            await fill(directory, random);
            rmSync(`${directory}/ledger`, { recursive: true });
          }
          const child = await nursery.take();
          child.tell({ task: "open", directory, seed: 1, ...SMALL, dieAtCall: call } satisfies Order);
          const through = await child.getsTo("opened");
          await child.kill();
          await withCache({ directory, ...SMALL }, async (cache) => {
            const put = await putSome(cache, random, { fs: "after", count: 3 });
            await expectHits(cache, put);
          });
          await expectInOrder(directory);
          if (through) break;
        }
      }
    });
  });
});

killSteps.run();
