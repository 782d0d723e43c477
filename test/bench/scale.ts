/**
 * How open, close, wipe, memory, lookups and the index file grow from ten thousand blocks to four million, a cache of 1 TiB:
 * `make bench-scale`, or `node dist/test/bench/scale.js [--json FILE] [blocks ...]`. Index, slot table and checkpoint are the
 * engine's own, filled without data (filled.ts); slot files are zero-io.ts's. Victims lie anywhere, which is the worst case
 * for a start. Every sample comes from a process of its own, rounds go through all sizes in turn, and medians count. Times
 * are wall times less what the kernel gave to others (thread-time.ts); in brackets the wall time.
 */
import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import Table from "cli-table3";
import { fillDirectory } from "./filled.js";
import { median } from "./rounds.js";
import type { LifeSample, LookupSample, Timed, VerifySample, WipeSample } from "./scale-child.js";

const BLOCKS = [10_000, 100_000, 1_000_000, 4_000_000];
const ROUNDS = 3;
const OPEN_MS_MAX = 1000;
const WIPE_MS_MAX = 100;
const SLOT_BYTES_MAX = 64;
const BASE_BYTES_MAX = 100_000_000;
/** A start that verifies takes no longer than a clean one; so much of the difference is chance. */
const VERIFY_RATIO_MAX = 1.25;
/** Times the cost of a lookup in the smallest index. */
const LOOKUP_RATIO_MAX = 2;
const INDEX_BYTES_A_BLOCK_MAX = 140;

/** One size; times in milliseconds, lookups in microseconds, memory in bytes. */
export interface ScaleResult {
  readonly blocks: number;
  readonly fillSeconds: number;
  readonly open: Timed;
  readonly verify: Timed;
  readonly close: Timed;
  readonly wipe: Timed;
  readonly putAfterWipe: Timed;
  readonly longestTurnOfWipe: Timed;
  readonly rssAnonOpened: number;
  readonly rssAnonWorked: number;
  readonly lookupFirst: number;
  readonly lookupLater: number;
  readonly indexBytesABlock: number;
}

interface Filled {
  readonly blocks: number;
  readonly directory: string;
  readonly seconds: number;
  readonly indexBytes: number;
}

async function fill(place: string, blocks: number): Promise<Filled> {
  const directory = path.join(place, String(blocks));
  const beganMs = performance.now();
  await fillDirectory({ directory, blocks, recency: "random" });
  const seconds = (performance.now() - beganMs) / 1000;
  const index = path.join(directory, "index");
  const indexBytes = fs
    .readdirSync(index, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((bytes, entry) => bytes + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
  return { blocks, directory, seconds, indexBytes };
}

const program = fileURLToPath(new URL("scale-child.js", import.meta.url));

function sample<T>(...args: string[]): T {
  return JSON.parse(execFileSync(process.execPath, [program, ...args], { encoding: "utf8" })) as T;
}

/** What spoils the directory has a copy. */
function onCopy<T>(directory: string, body: (copy: string) => T): T {
  const copy = `${directory}-copy`;
  fs.cpSync(directory, copy, { recursive: true });
  try {
    return body(copy);
  } finally {
    fs.rmSync(copy, { recursive: true });
  }
}

function wipeSample({ directory, blocks }: Filled): WipeSample {
  return onCopy(directory, (copy) => sample<WipeSample>("wipe", copy, String(blocks)));
}

function verifySample({ directory, blocks }: Filled): VerifySample {
  return onCopy(directory, (copy) => {
    const { signal, stderr } = spawnSync(process.execPath, [program, "die", copy, String(blocks)], {
      encoding: "utf8",
    });
    if (signal !== "SIGKILL") throw new Error(`the owner was to die: ${stderr}`);
    return sample<VerifySample>("verify", copy, String(blocks));
  });
}

function measure(filled: readonly Filled[]): ScaleResult[] {
  const lives = filled.map((): LifeSample[] => []);
  const verifies = filled.map((): VerifySample[] => []);
  const wipes = filled.map((): WipeSample[] => []);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [place, each] of filled.entries()) {
      lives[place]?.push(sample<LifeSample>("life", each.directory, String(each.blocks)));
      verifies[place]?.push(verifySample(each));
      wipes[place]?.push(wipeSample(each));
    }
  }
  const named = filled.map(({ directory, blocks }) => [directory, blocks]);
  const lookups = sample<LookupSample>("lookups", JSON.stringify(named));
  return filled.map(({ blocks, seconds, indexBytes }, place) => {
    const [ofLife, ofWipe] = [lives[place] ?? [], wipes[place] ?? []];
    const { first = Number.NaN, later = Number.NaN } = lookups[blocks] ?? {};
    return {
      blocks,
      fillSeconds: seconds,
      open: medianOf(ofLife.map(({ open }) => open)),
      verify: medianOf((verifies[place] ?? []).map(({ open }) => open)),
      close: medianOf(ofLife.map(({ close }) => close)),
      wipe: medianOf(ofWipe.map(({ wipe }) => wipe)),
      putAfterWipe: medianOf(ofWipe.map(({ put }) => put)),
      longestTurnOfWipe: medianOf(ofWipe.map(({ turn }) => turn)),
      rssAnonOpened: median(ofLife.map(({ openedBytes }) => openedBytes)),
      rssAnonWorked: median(ofLife.map(({ workedBytes }) => workedBytes)),
      lookupFirst: first,
      lookupLater: later,
      indexBytesABlock: indexBytes / blocks,
    };
  });
}

function medianOf(times: readonly Timed[]): Timed {
  return {
    wallMs: median(times.map(({ wallMs }) => wallMs)),
    ownMs: median(times.map(({ ownMs }) => ownMs)),
  };
}

/** What is promised and was not kept, in words. */
export function missed(results: readonly ScaleResult[]): string[] {
  const base = results[0];
  return results.flatMap((found) => {
    const memoryMax = SLOT_BYTES_MAX * found.blocks + BASE_BYTES_MAX;
    const judged: Array<[string, number, number]> = [
      ["open ms", found.open.ownMs, OPEN_MS_MAX],
      ["verified open, times a clean one,", found.verify.ownMs / found.open.ownMs, VERIFY_RATIO_MAX],
      ["wipe ms", found.wipe.ownMs, WIPE_MS_MAX],
      ["RssAnon", Math.max(found.rssAnonOpened, found.rssAnonWorked), memoryMax],
      ["lookup", found.lookupFirst / (base?.lookupFirst ?? Number.NaN), LOOKUP_RATIO_MAX],
      ["later lookup", found.lookupLater / (base?.lookupLater ?? Number.NaN), LOOKUP_RATIO_MAX],
      ["index bytes a block", found.indexBytesABlock, INDEX_BYTES_A_BLOCK_MAX],
    ];
    return judged
      .filter(([, value, most]) => !(value <= most))
      .map(
        ([name, value, most]) => `${found.blocks} blocks: ${name} ${value.toFixed(1)}, want at most ${most}`,
      );
  });
}

function print(results: readonly ScaleResult[]): void {
  const ms = ({ wallMs, ownMs }: Timed): string => `${ownMs.toFixed(1)} (${wallMs.toFixed(1)})`;
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
  const rows: Array<[string, (found: ScaleResult) => string]> = [
    ["clean open, ms", ({ open }) => ms(open)],
    ["open that verifies, ms", ({ verify }) => ms(verify)],
    ["clean close, ms", ({ close }) => ms(close)],
    ["wipe, ms", ({ wipe }) => ms(wipe)],
    ["first put after it, ms", ({ putAfterWipe }) => ms(putAfterWipe)],
    ["its longest turn, ms", ({ longestTurnOfWipe }) => ms(longestTurnOfWipe)],
    ["RssAnon after open, MB", ({ rssAnonOpened }) => mb(rssAnonOpened)],
    ["RssAnon after work, MB", ({ rssAnonWorked }) => mb(rssAnonWorked)],
    ["lookup, first of a turn, us", ({ lookupFirst }) => lookupFirst.toFixed(2)],
    ["lookup, later, us", ({ lookupLater }) => lookupLater.toFixed(2)],
    ["index, bytes a block", ({ indexBytesABlock }) => indexBytesABlock.toFixed(1)],
    ["fill, s", ({ fillSeconds }) => fillSeconds.toFixed(1)],
  ];
  const table = new Table({
    head: ["blocks", ...results.map(({ blocks }) => String(blocks))],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map(([name, text]) => [name, ...results.map(text)]));
  console.log(String(table));
}

async function main(): Promise<void> {
  const args = process.argv.slice(2);
  const json = args.indexOf("--json");
  const [, file] = json === -1 ? [] : args.splice(json, 2);
  const counts = args.length > 0 ? args.map(Number) : BLOCKS;
  if (
    (json !== -1 && file === undefined) ||
    counts.some((count) => !(Number.isSafeInteger(count) && count > 0))
  ) {
    console.error("scale: want [--json FILE] [blocks ...]");
    process.exit(64);
  }
  const place = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-scale-"));
  try {
    const filled: Filled[] = [];
    for (const blocks of counts) filled.push(await fill(place, blocks));
    const results = measure(filled);
    const { model = "unknown processor" } = os.cpus()[0] ?? {};
    console.log(`Node ${process.version}, ${os.cpus().length} x ${model}; medians of ${ROUNDS} processes`);
    print(results);
    for (const line of missed(results)) console.log(`MISSED: ${line}`);
    if (file !== undefined) fs.writeFileSync(file, `${JSON.stringify(results, undefined, 2)}\n`);
  } finally {
    fs.rmSync(place, { recursive: true });
  }
}

await main();
