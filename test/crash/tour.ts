/**
 * The child that goes everywhere: does everything that changes a cache once, so that every step is reached, and kills
 * itself at the one that it was told. Says `ready`, takes a TourOrder, and says `toured` with how often each was reached.
 */
import { openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { OpenCacheOptions, OwnedCache } from "../../engine/cache.js";
import { type Step, watchSteps } from "../../index/core/steps.js";
import { Ledger } from "../../index/ledger.js";
import { type Mark, BLOCKS, WORKERS } from "./promised/marks.js";
import { DROPS, MarkedCache } from "./promised/marked-cache.js";
import { SMALL } from "./support.js";

export interface TourOrder {
  readonly directory: string;
  readonly markFile: string;
  readonly onUnclean: string;
  readonly seed: number;
  /** Dies when this step is reached for the so-manieth time. */
  readonly dieAt?: { readonly step: Step; readonly time: number };
}

const RECLAIM_MS = 30;
const SLOTS_FOUND_MS = 50;
const PART_BYTES = 8192;
/** Of each worker; all of its files get some. */
const PUTS = 16;

const counts: Partial<Record<Step, number>> = {};

function watch({ dieAt }: TourOrder): void {
  watchSteps((step) => {
    counts[step] = (counts[step] ?? 0) + 1;
    if (step === dieAt?.step && counts[step] === dieAt.time) process.kill(process.pid, "SIGKILL");
  });
}

async function tour(order: TourOrder): Promise<void> {
  const { directory, onUnclean, seed } = order;
  const marks = openSync(order.markFile, "w");
  const marked = new MarkedCache({
    mark: (made: Mark) => void writeSync(marks, `${JSON.stringify(made)}\n`),
    seed,
    firstVersion: 1,
    // An order may name what this program's types do not know yet.
    cache: { directory, ...SMALL, onUnclean } as OpenCacheOptions,
  });
  watch(order);
  await marked.open(); // of a new directory
  for (let worker = 0; worker < WORKERS; worker += 1) await marked.takeOver(worker);
  await changeMuch(marked);
  await marked.close();
  await marked.open(); // after a clean stop
  await changeMuch(marked);
  await crowd(marked);
  await marked.cache.configure({ capacityBytes: SMALL.capacityBytes / 2, slotsMax: SMALL.slotsMax / 4 });
  await marked.cache.configure(SMALL);
  await marked.wipe();
  await changeMuch(marked);
  await marked.close();
  await marked.open(() => leaveUnclean(directory));
  await sleep(SLOTS_FOUND_MS);
  await changeMuch(marked);
  await marked.close();
}

/** Puts, overwrites, parts, pins, and everything that makes content stale. */
async function changeMuch(marked: MarkedCache): Promise<void> {
  const { cache } = marked;
  const filling = Array.from({ length: WORKERS }, async (_, worker) => {
    for (let count = 0; count < PUTS; count += 1) await marked.put(worker);
  });
  await Promise.all(filling);
  const volume = await cache.acquireVolume("tour", "parts");
  const part = await volume.acquireCookie("file", { sizeBytes: BigInt(3 * PART_BYTES) });
  for (const place of [0, 1])
    await part.write(BigInt(place * PART_BYTES), Buffer.alloc(PART_BYTES, place + 1));
  await volume.relinquish();
  for (const name of ["one", "two", "one"]) await marked.togglePin(name);
  for (const [place, how] of DROPS.entries()) await marked.drop(place % WORKERS, how);
  await dropWhatIsThere(cache);
  await sleep(RECLAIM_MS);
  for (let count = 0; count < BLOCKS; count += 1) await marked.put(2);
}

/** What is dropped by chance may hit blocks that are not there; here something is. */
async function dropWhatIsThere(cache: OwnedCache): Promise<void> {
  const file = { fs: "tour", volume: "dropped", inode: "file" };
  const drops = [
    () => cache.remove({ ...file, block: 0 }),
    () => cache.flush(file),
    () => cache.invalidate(file),
  ];
  for (const drop of drops) {
    await cache.put({ ...file, block: 0 }, Buffer.alloc(PART_BYTES, 3));
    await drop();
  }
}

/** Until blocks are culled for others. */
async function crowd(marked: MarkedCache): Promise<void> {
  marked.mark({ kind: "crowding" });
  for (let block = 0; block < SMALL.slotsMax; block += 1) {
    const tag = { fs: "tour", volume: "crowd", inode: "file", block };
    await marked.cache.put(tag, Buffer.alloc(1 + ((block * 977) % 100_000), block));
  }
}

/** As an owner does that dies. */
async function leaveUnclean(directory: string): Promise<void> {
  const ledger = await Ledger.open({ directory: join(directory, "ledger") });
  await ledger.setMark({ ...ledger.mark, state: "unclean" });
  await ledger.close();
}

process.on("disconnect", () => process.exit(9)); // whoever started us is gone
const first = new Promise((resolve) => process.once("message", resolve));
process.send?.({ said: "ready" });
try {
  await tour((await first) as TourOrder);
  process.send?.({ said: "toured", counts });
} catch (error) {
  process.send?.({ said: "failed", error: error instanceof Error ? error.stack : String(error) });
}
