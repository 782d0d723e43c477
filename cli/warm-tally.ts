/** What came of warming many files. */
import type { WalkEntry } from "../engine/origin/walk.js";
import type { WarmResult } from "../engine/origin/warm.js";
import type { SkipReason } from "../engine/origin/trouble.js";
import { SKIP_REASONS } from "../engine/origin/trouble.js";
import { messageOf } from "../index/core/errors.js";
import { nameText } from "../index/core/names.js";
import { formatBytes, formatCount } from "../index/core/units.js";

/** Failures that are named; the rest are counted. */
const FAILURES_NAMED_MAX = 10;

export interface WarmTally {
  /** Everything that was looked at: the sum of stored, alreadyThere, skipped and failed. */
  files: number;
  stored: number;
  alreadyThere: number;
  skipped: number;
  failed: number;
  /** Files whose bytes were read from the origin. */
  read: number;
  readBytes: number;
  /** Blocks and bytes of all files that can be cached. */
  blocks: number;
  bytes: number;
  storedBlocks: number;
  storedBytes: number;
  skippedBy: Partial<Record<SkipReason, number>>;
  /** The first failures. */
  failures: { path: string; reason: string }[];
}

/** A tally of nothing yet. */
export function newWarmTally(): WarmTally {
  return {
    files: 0,
    stored: 0,
    alreadyThere: 0,
    skipped: 0,
    failed: 0,
    read: 0,
    readBytes: 0,
    blocks: 0,
    bytes: 0,
    storedBlocks: 0,
    storedBytes: 0,
    skippedBy: {},
    failures: [],
  };
}

/** Adds what came of one file. */
export function addWarmResult(tally: WarmTally, path: Buffer, result: WarmResult): void {
  tally.files += 1;
  tally.read += result.readBytes > 0 ? 1 : 0;
  tally.readBytes += result.readBytes;
  tally.storedBlocks += result.storedBlocks;
  tally.storedBytes += result.storedBytes;
  if (result.outcome === "skipped") return skip(tally, result.reason);
  tally.blocks += result.blocks;
  tally.bytes += result.bytes;
  if (result.outcome === "stored") tally.stored += 1;
  else if (result.outcome === "present") tally.alreadyThere += 1;
  else fail(tally, path, messageOf(result.error));
}

/** Adds what a walk passed over or could not read. */
export function addWalkEntry(tally: WarmTally, entry: Exclude<WalkEntry, { kind: "file" }>): void {
  tally.files += 1;
  if (entry.kind === "skipped") skip(tally, entry.reason);
  else fail(tally, entry.path, messageOf(entry.error));
}

function skip(tally: WarmTally, reason: SkipReason): void {
  tally.skipped += 1;
  tally.skippedBy[reason] = (tally.skippedBy[reason] ?? 0) + 1;
}

function fail(tally: WarmTally, path: Buffer, reason: string): void {
  tally.failed += 1;
  if (tally.failures.length < FAILURES_NAMED_MAX) tally.failures.push({ path: nameText(path), reason });
}

/** The counts for people. */
export function warmLines(tally: WarmTally): string[] {
  const counts =
    `${formatCount(tally.read)} files read (${formatBytes(tally.readBytes)}), ${formatCount(tally.stored)} stored, ` +
    `${formatCount(tally.alreadyThere)} already there, ${formatCount(tally.skipped)} skipped, ` +
    `${formatCount(tally.failed)} failed`;
  const reasons = Object.entries(tally.skippedBy) as [SkipReason, number][];
  return [
    counts,
    ...reasons.map(([reason, count]) => `  skipped ${formatCount(count)}: ${SKIP_REASONS[reason]}`),
  ];
}

/** The first failures, and how many more there were. */
export function warmFailureLines(tally: WarmTally): string[] {
  const more = tally.failed - tally.failures.length;
  return [
    // The line of a failure mostly names the file already.
    ...tally.failures.map(({ path, reason }) => (reason.includes(path) ? reason : `${path}: ${reason}`)),
    ...(more > 0 ? [`and ${formatCount(more)} more failures`] : []),
  ];
}
