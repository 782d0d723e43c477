/** Stores files in the cache, and tells how much of them is there. */
import type { BypassReason, CookieHandle } from "../api.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import { CacheError, isCacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { nameText } from "../../index/core/names.js";
import type { OriginFile } from "./file.js";
import type { OriginSession, PresenceGroup } from "./session.js";
import type { SkipReason } from "./trouble.js";
import { originError } from "./trouble.js";

/** Blocks that are read and sent in one piece. */
const RUN_BLOCKS_MAX = 4;

export type WarmResult = {
  /** Blocks and bytes of the file. */
  readonly blocks: number;
  readonly bytes: number;
  /** How many of them this call stored. */
  readonly storedBlocks: number;
  readonly storedBytes: number;
  /** Bytes this call read from the origin. */
  readonly readBytes: number;
} & (
  | { readonly outcome: "stored" }
  /** Nothing was missing. */
  | { readonly outcome: "present" }
  | { readonly outcome: "skipped"; readonly reason: SkipReason }
  /** Origin or cache failed, or the cache would not take it. */
  | { readonly outcome: "failed"; readonly error: CacheError }
);

export type CheckResult =
  | {
      readonly outcome: "checked";
      readonly blocks: number;
      readonly cachedBlocks: number;
      readonly bytes: number;
    }
  | {
      readonly outcome: "skipped";
      readonly reason: SkipReason;
      readonly blocks: number;
      readonly bytes: number;
    }
  | { readonly outcome: "failed"; readonly error: CacheError };

interface WarmCounts {
  blocks: number;
  bytes: number;
  storedBlocks: number;
  storedBytes: number;
  readBytes: number;
}

/**
 * Makes a file wholly cached; reads from the origin only the blocks that are not. Never throws for what befalls one
 * file: the outcome says it. A file that changes while it is read is given up, and what was stored of it before
 * belongs to coherency data that no later look-up will match.
 */
export async function warmFile(session: OriginSession, path: Buffer): Promise<WarmResult> {
  const counts: WarmCounts = { blocks: 0, bytes: 0, storedBlocks: 0, storedBytes: 0, readBytes: 0 };
  try {
    const file = await session.origin.open(path);
    if (file.kind === "skipped") return { ...counts, outcome: "skipped", reason: file.reason };
    try {
      counts.blocks = file.blocks;
      counts.bytes = Number(file.sizeBytes);
      const end = await warmOpened(session, file, counts);
      return { ...counts, ...end };
    } finally {
      await file.close();
    }
  } catch (error) {
    return { ...counts, outcome: "failed", error: originError("warm", path, error) };
  }
}

type WarmEnd = { outcome: "stored" } | { outcome: "present" } | { outcome: "skipped"; reason: SkipReason };

async function warmOpened(session: OriginSession, file: OriginFile, counts: WarmCounts): Promise<WarmEnd> {
  if (file.bypass !== undefined) return { outcome: "skipped", reason: file.bypass };
  if (file.blocks === 0) return { outcome: "skipped", reason: "empty" };
  if (file.isRacy) return { outcome: "skipped", reason: "racy" };
  return await session.withCookie(file, { keep: true }, async (cookie) => {
    for await (const group of session.presence(file, cookie)) {
      for (const run of missingRuns(group)) {
        const trouble = await storeRun(file, cookie, run, counts);
        if (trouble !== undefined) return trouble;
      }
    }
    return counts.storedBlocks > 0 ? { outcome: "stored" } : { outcome: "present" };
  });
}

async function storeRun(
  file: OriginFile,
  cookie: CookieHandle,
  run: BlockRun,
  counts: WarmCounts,
): Promise<WarmEnd | undefined> {
  const offsetBytes = BigInt(run.first) * BigInt(SLOT_BYTES);
  const rest = file.sizeBytes - offsetBytes;
  // A fresh buffer: after a write that timed out the client may still be sending the old one.
  const bytes = Buffer.allocUnsafe(Math.min(run.count * SLOT_BYTES, Number(rest)));
  const read = await file.read(offsetBytes, bytes);
  counts.readBytes += read;
  if (read < bytes.length || (await file.hasChanged())) return { outcome: "skipped", reason: "changed" };
  const result = await cookie.write(offsetBytes, bytes);
  for (const range of result.stored) {
    counts.storedBlocks += Math.ceil(range.lengthBytes / SLOT_BYTES);
    counts.storedBytes += range.lengthBytes;
  }
  if (result.bypass !== undefined) throw bypassError(file, result.bypass);
  return undefined;
}

function bypassError(file: OriginFile, reason: BypassReason): CacheError {
  const codes: Partial<Record<BypassReason, CacheErrorCode>> = {
    unavailable: "E_UNAVAILABLE",
    timeout: "E_TIMEOUT",
    "io-error": "E_IO",
    closing: "E_CLOSED",
    stale: "E_STALE",
  };
  return new CacheError(
    codes[reason] ?? "E_NO_SPACE",
    `Cannot store ${nameText(file.path)}: bypass, ${reason}`,
  );
}

interface BlockRun {
  readonly first: number;
  readonly count: number;
}

/** Neighbouring blocks that are absent, in runs of at most RUN_BLOCKS_MAX. */
function* missingRuns({ first, present }: PresenceGroup): Generator<BlockRun> {
  for (let at = 0; at < present.length; at += 1) {
    if (present[at] === true) continue;
    let count = 1;
    while (count < RUN_BLOCKS_MAX && present[at + count] === false) count += 1;
    yield { first: first + at, count };
    at += count - 1;
  }
}

/** Tells how many blocks of a file are cached; reads none of them, and stores nothing. */
export async function checkFile(session: OriginSession, path: Buffer): Promise<CheckResult> {
  try {
    const file = await session.origin.open(path);
    if (file.kind === "skipped") return { outcome: "skipped", reason: file.reason, blocks: 0, bytes: 0 };
    try {
      const { blocks } = file;
      const bytes = Number(file.sizeBytes);
      if (file.bypass !== undefined) return { outcome: "skipped", reason: file.bypass, blocks, bytes };
      if (blocks === 0) return { outcome: "checked", blocks, bytes, cachedBlocks: 0 };
      const cachedBlocks = await session.withCookie(file, { keep: false }, async (cookie) => {
        let count = 0;
        for await (const { present } of session.presence(file, cookie))
          count += present.filter(Boolean).length;
        return count;
      });
      return { outcome: "checked", blocks, bytes, cachedBlocks };
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isCacheError(error, "E_UNAVAILABLE") || isCacheError(error, "E_TIMEOUT")) throw error;
    return { outcome: "failed", error: originError("check", path, error) };
  }
}
