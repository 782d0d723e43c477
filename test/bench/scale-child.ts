/**
 * What scale.ts measures, each in a process of its own: `life`, a clean open, some work and a clean close; `die`, which leaves
 * what `verify` then opens; `wipe`;
 * `lookups`, of the indexes of several directories in turn, which are of no use afterwards.
 */
import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { openCache } from "../../engine/cache.js";
import { type OpenState, openState, releaseState } from "../../engine/coherency/open-state.js";
import { silent } from "../../engine/log.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { GROUP_BLOCKS } from "../../index/block-group.js";
import { BLOCKS_A_FILE, filledTag, fullLimits } from "./filled.js";
import { type Contestant, measure, median, seeded, timedSync } from "./rounds.js";
import { ThreadClock, type ThreadTime, ownMs } from "./thread-time.js";
import { zeroIo } from "./zero-io.js";

export interface Timed {
  readonly wallMs: number;
  /** Less what others had the processor for. */
  readonly ownMs: number;
}

export interface LifeSample {
  readonly open: Timed;
  readonly close: Timed;
  /** RssAnon in bytes: after the open, and after some work. */
  readonly openedBytes: number;
  readonly workedBytes: number;
}

export interface VerifySample {
  readonly open: Timed;
}

export interface WipeSample {
  readonly wipe: Timed;
  /** Until the first block is stored after the wipe. */
  readonly put: Timed;
  /** The longest turn of the event loop from the wipe until all slots are in their lists again. */
  readonly turn: Timed;
}

/** Microseconds a lookup, by how many blocks there are. */
export type LookupSample = Readonly<Record<string, { readonly first: number; readonly later: number }>>;

const GETS = 2000;
const PUTS = 1000;
const SPARE_SLOTS = 4 * PUTS;
const SETTLE_MS = 2000;
const ROUNDS = 15;
/** Event turns a round, and lookups in each after the first one, which renews the snapshot. */
const TURNS = 200;
const LOOKUPS_A_TURN = 50;

const clock = new ThreadClock();

function timedOf(time: ThreadTime): Timed {
  return { wallMs: time.wallMs, ownMs: ownMs(time) };
}

async function timed<T>(body: () => Promise<T>): Promise<{ result: T; took: Timed }> {
  const began = clock.now();
  const result = await body();
  return { result, took: timedOf(clock.since(began)) };
}

export function anonymousBytes(): number {
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "latin1"));
  return Number(line?.[1]) * 1024;
}

/** With some slots to spare, so that nothing is culled and every process finds as many blocks. */
function open(directory: string, blocks: number, onUnclean: "wipe" | "verify" = "wipe") {
  const { capacityBytes, slotsMax } = fullLimits(blocks);
  return openCache({ directory, capacityBytes, slotsMax: slotsMax + SPARE_SLOTS, io: zeroIo, onUnclean });
}

/** An owner whose index may be verified ends at once. */
async function die(directory: string, blocks: number): Promise<never> {
  await open(directory, blocks, "verify");
  process.kill(process.pid, "SIGKILL");
  return new Promise(() => undefined);
}

/** The start after such an end, up to which all is as at a clean one. */
async function verify(directory: string, blocks: number): Promise<VerifySample> {
  const { result: cache, took } = await timed(() => open(directory, blocks, "verify"));
  const { start } = await cache.status();
  if (start.action !== "verify") throw new Error(`want it verified, got ${start.reason ?? start.kind}`);
  await cache.close();
  return { open: took };
}

async function life(directory: string, blocks: number): Promise<LifeSample> {
  const { result: cache, took } = await timed(() => open(directory, blocks));
  const { start } = await cache.status();
  if (start.kind !== "clean") throw new Error(`want a clean start, got ${start.reason ?? start.kind}`);
  const openedBytes = anonymousBytes();
  const random = seeded(3);
  const page = Buffer.alloc(PAGE_BYTES);
  for (let count = 0; count < Math.min(GETS, blocks); count += 1) {
    await cache.get(filledTag(random() % blocks));
  }
  for (let count = 0; count < PUTS; count += 1) {
    // Blocks that are there already, so that the next process finds as many.
    const put = await cache.put(filledTag(random() % blocks), page);
    if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
  }
  await sleep(SETTLE_MS);
  const workedBytes = anonymousBytes();
  const { took: close } = await timed(() => cache.close());
  return { open: took, close, openedBytes, workedBytes };
}

async function wipe(directory: string, blocks: number): Promise<WipeSample> {
  const cache = await open(directory, blocks);
  await sleep(SETTLE_MS); // what a start leaves to do
  let [running, longest, before] = [true, { wallMs: 0, ownMs: 0 }, clock.now()];
  const tick = (): void => {
    const took = timedOf(clock.since(before));
    if (took.ownMs > longest.ownMs) longest = took;
    before = clock.now();
    if (running) setImmediate(tick);
  };
  tick();
  await sleep(100); // compiled by now
  longest = { wallMs: 0, ownMs: 0 };
  const { took } = await timed(() => cache.wipe());
  const tag = { fs: "bench", volume: "after", inode: "wipe", block: 0 };
  const { took: put } = await timed(() => cache.put(tag, Buffer.alloc(PAGE_BYTES)));
  await sleep(SETTLE_MS);
  running = false;
  const { slots } = await cache.status();
  if (slots.used !== 1) throw new Error(`want one block after a wipe, got ${slots.used}`);
  await cache.close();
  return { wipe: took, put, turn: longest };
}

async function lookups(filled: ReadonlyArray<readonly [string, number]>): Promise<LookupSample> {
  const states: OpenState[] = [];
  const contestants: Contestant[] = [];
  try {
    for (const [directory, blocks] of filled) {
      const state = await openState({ directory, log: silent });
      states.push(state);
      warm(state, blocks);
      contestants.push(...lookupsOf(state, blocks));
    }
    const found = await measure(contestants, ROUNDS);
    const figure = (name: string): number => found.get(name)?.medianUs ?? Number.NaN;
    return Object.fromEntries(
      filled.map(([, blocks]) => [
        blocks,
        { first: figure(`${blocks} first`), later: figure(`${blocks} later`) },
      ]),
    );
  } finally {
    for (const state of states) await releaseState(state);
  }
}

/** Every record once, so that all of the index is in memory. */
function warm(state: OpenState, blocks: number): void {
  for (let count = 0; count < blocks; count += GROUP_BLOCKS) lookUp(state, count);
}

function lookUp({ index }: OpenState, count: number): void {
  // Files were given their ids one after the other: filled.ts.
  const entry = index.getEntry(Math.floor(count / BLOCKS_A_FILE) + 1, count % BLOCKS_A_FILE);
  if (entry === undefined) throw new Error(`want an entry of block ${count}, got none`);
}

function lookupsOf(state: OpenState, blocks: number): Contestant[] {
  const random = seeded(blocks);
  /** Medians over turns: what the machine gives to others falls into a few of them. */
  const round = async (): Promise<{ first: number; later: number }> => {
    const [firsts, laters]: [number[], number[]] = [[], []];
    for (let count = 0; count < TURNS; count += 1) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      firsts.push(timedSync(1, () => lookUp(state, random() % blocks)));
      laters.push(timedSync(LOOKUPS_A_TURN, () => lookUp(state, random() % blocks)));
    }
    return { first: median(firsts), later: median(laters) };
  };
  let last = { first: Number.NaN, later: Number.NaN };
  return [
    { name: `${blocks} first`, batch: async () => (last = await round()).first },
    { name: `${blocks} later`, batch: async () => last.later }, // of the same round
  ];
}

const [what, ...rest] = process.argv.slice(2);
const [directory = "", blocks = "0"] = rest;
const samples: Readonly<Record<string, () => Promise<unknown>>> = {
  life: () => life(directory, Number(blocks)),
  die: () => die(directory, Number(blocks)),
  verify: () => verify(directory, Number(blocks)),
  wipe: () => wipe(directory, Number(blocks)),
  lookups: () => lookups(JSON.parse(directory) as Array<[string, number]>),
};
const sample = samples[what ?? ""];
if (sample === undefined) throw new Error(`want one of ${Object.keys(samples).join(", ")}`);
console.log(JSON.stringify(await sample()));
