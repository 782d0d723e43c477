/**
 * What a cache takes in memory, beyond the base of an empty one: `node dist/test/bench/memory.js [slots ...]`. RssAnon of
 * child processes that open a filled cache and work with it; the index's pages are the kernel's and do not count.
 */
import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { openCache } from "../../engine/cache.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { fillDirectory, filledTag, fullLimits } from "./filled.js";
import { median } from "./rounds.js";
import { zeroIo } from "./zero-io.js";

/** Bytes a slot beyond the base that are promised. */
const BAR_BYTES = 64;
const RUNS = 5;
const GETS = 2000;
const PUTS = 1000;
const SETTLE_MS = 3000;
/** Fewer slots than this drown in the few MB by which two processes differ anyway. */
const SLOTS_MIN_FOR_BAR = 100_000;

interface Sample {
  readonly opened: number;
  readonly loaded: number;
}

function anonymousBytes(): number {
  const line = /^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "latin1"));
  return Number(line?.[1]) * 1024;
}

/** The process that is measured. */
async function child(directory: string, slots: number): Promise<void> {
  const cache = await openCache({ directory, ...fullLimits(slots), io: zeroIo });
  const opened = anonymousBytes();
  const page = Buffer.alloc(PAGE_BYTES);
  for (let count = 0; count < GETS; count += 1) {
    await cache.get(filledTag(count));
    await cache.has(filledTag(count));
  }
  for (let count = 0; count < PUTS; count += 1) {
    const tag = { fs: "bench", volume: "new", inode: "file", block: count };
    const put = await cache.put(tag, page);
    if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
  }
  await sleep(SETTLE_MS);
  const loaded = anonymousBytes();
  await cache.close();
  console.log(JSON.stringify({ opened, loaded } satisfies Sample));
}

/** The median over runs, so that one process with an early or a late collection does not count. */
function measure(directory: string, slots: number): Sample {
  const program = [fileURLToPath(import.meta.url), "child", directory, String(slots)];
  const samples = Array.from({ length: RUNS }, () => {
    return JSON.parse(execFileSync(process.execPath, program, { encoding: "utf8" })) as Sample;
  });
  return {
    opened: median(samples.map(({ opened }) => opened)),
    loaded: median(samples.map(({ loaded }) => loaded)),
  };
}

async function main(counts: readonly number[]): Promise<void> {
  let base: Sample | undefined;
  for (const slots of [0, ...counts]) {
    const place = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-memory-"));
    try {
      const directory = path.join(place, "cache");
      await fillDirectory({ directory, blocks: slots, recency: "random" });
      const found = measure(directory, slots);
      base ??= found;
      console.log(lineOf(slots, found, base));
    } finally {
      fs.rmSync(place, { recursive: true });
    }
  }
}

function lineOf(slots: number, found: Sample, base: Sample): string {
  const total = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(1)} MiB`.padStart(10);
  const columns = [`${slots} slots`.padEnd(15), total(found.opened), total(found.loaded)];
  if (slots === 0) return `${columns.join("")}   base: after open, and after some load`;
  const each = [found.opened - base.opened, found.loaded - base.loaded].map((bytes) => bytes / slots);
  const text = each.map((bytes) => `${bytes.toFixed(1)} B`.padStart(9)).join(",");
  const judged = slots < SLOTS_MIN_FOR_BAR ? "too few to tell" : `bar ${BAR_BYTES} B`;
  const over = slots >= SLOTS_MIN_FOR_BAR && each.some((bytes) => bytes > BAR_BYTES);
  return `${columns.join("")}${text} a slot beyond the base; ${judged}${over ? ": MISSED" : ""}`;
}

const [first, directory, slots] = process.argv.slice(2);
if (first === "child" && directory !== undefined) await child(directory, Number(slots));
else {
  const counts = process.argv.slice(2).map(Number);
  await main(counts.length > 0 ? counts : [10_000, 100_000, 1_000_000]);
}
