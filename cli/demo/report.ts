/** What the demo found, as a table and as JSON. */
import Table from "cli-table3";
import type { CacheStatus } from "../../engine/cache.js";
import { FILES_IN_FLIGHT_MAX } from "../../engine/origin/concurrent.js";
import type { TreeSize } from "../../engine/origin/measure.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import type { WarmTally } from "../warm-tally.js";
import type { DelayedResult } from "./delayed.js";
import { REQUEST_DELAY_MS } from "./delayed.js";
import type { PassResult } from "./pass.js";

/** Below this the second pass counts as failed. */
export const HIT_RATIO_MIN = 0.99;
const MIB = 1024 * 1024;

export interface DemoFindings {
  readonly root: string;
  readonly taken: TreeSize;
  readonly warm: WarmTally;
  readonly passes: readonly [PassResult, PassResult];
  readonly delayed: DelayedResult;
  readonly before: CacheStatus;
  readonly after: CacheStatus;
}

/** Hits among the blocks asked for; 1 when none was. */
export function hitRatio({ hitBlocks, missBlocks }: PassResult): number {
  const asked = hitBlocks + missBlocks;
  return asked === 0 ? 1 : hitBlocks / asked;
}

/** Whether the demo showed what it set out to show. */
export function isGood({ passes }: DemoFindings): boolean {
  const [first, second] = passes;
  return first.wrongBytes + second.wrongBytes === 0 && hitRatio(second) >= HIT_RATIO_MIN;
}

/** The same figures as the table, by name. Throughputs are bytes a second. */
export function findingsJson(findings: DemoFindings): Record<string, unknown> {
  const { passes, delayed, before, after, warm } = findings;
  const [first, second] = passes;
  return {
    good: isGood(findings),
    root: findings.root,
    files: second.files,
    bytes: second.bytes,
    blocks: second.blocks,
    warm,
    hitRatios: passes.map(hitRatio),
    culledBlocks: after.culled - before.culled,
    wrongBytes: first.wrongBytes + second.wrongBytes,
    wrongFiles: [...first.wrongFiles, ...second.wrongFiles],
    changedFiles: first.changed + second.changed,
    failedFiles: first.failed + second.failed,
    bytesPerSecond: {
      originDirect: rate(second.bytes, second.directMs),
      originDelayed: rate(delayed.bytes, delayed.ms),
      cache: rate(second.bytes, second.cacheMs),
    },
    delayMsPerRequest: REQUEST_DELAY_MS,
    delayedSampleRequests: delayed.requests,
    usedBytes: after.usedBytes,
    capacityBytes: after.capacityBytes,
  };
}

/** The table that the demo ends with, and what has to be known to read it. */
export function findingsLines(findings: DemoFindings): string[] {
  const { passes, delayed, before, after } = findings;
  const [first, second] = passes;
  const lines = [
    table([
      ["files", formatCount(second.files)],
      ["bytes", `${formatCount(second.bytes)} (${formatBytes(second.bytes)})`],
      ["blocks", formatCount(second.blocks)],
      ["hits, first pass", percent(hitRatio(first))],
      ["hits, second pass", percent(hitRatio(second))],
      ["culled blocks", formatCount(after.culled - before.culled)],
      ["wrong bytes", formatCount(first.wrongBytes + second.wrongBytes)],
      ["origin, read directly", speed(second.bytes, second.directMs, second.files)],
      [`origin, ${REQUEST_DELAY_MS} ms a request`, speed(delayed.bytes, delayed.ms)],
      ["cache, through the daemon", speed(second.bytes, second.cacheMs, second.files)],
    ]),
    `The origin is read from the kernel's page cache, ${REQUEST_DELAY_MS} ms a request are what a network may add: ` +
      `measured on a sample of ${formatCount(delayed.requests)} blocks, each read after a real wait.`,
    `All with ${FILES_IN_FLIGHT_MAX} files in flight, opening and closing included. The cache also asks the origin for each file's stat.`,
  ];
  const changed = first.changed + second.changed;
  if (changed > 0)
    lines.push(`${formatCount(changed)} times a file changed while it was read; it was not compared.`);
  const failed = first.failed + second.failed;
  if (failed > 0) lines.push(`${formatCount(failed)} times a file could not be read.`);
  for (const path of [...first.wrongFiles, ...second.wrongFiles].slice(0, 10)) lines.push(`wrong: ${path}`);
  return lines;
}

function table(rows: [string, string][]): string {
  const betweenRows = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const drawn = new Table({
    chars: betweenRows,
    style: { head: [], border: [] },
    colAligns: ["left", "right"],
  });
  drawn.push(...rows);
  return drawn.toString();
}

function percent(ratio: number): string {
  // Never "100.00 %" for what is not all.
  return `${(Math.floor(ratio * 10_000) / 100).toFixed(2)} %`;
}

function rate(bytes: number, ms: number): number {
  return ms === 0 ? 0 : Math.round((bytes / ms) * 1000);
}

function speed(bytes: number, ms: number, files?: number): string {
  const mib = `${formatCount(Math.round(rate(bytes, ms) / MIB))} MiB/s`;
  return files === undefined ? mib : `${mib}, ${formatCount(rate(files, ms))} files/s`;
}
