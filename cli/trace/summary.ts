/** What a recording holds, added up. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { type TraceAccess, isRead } from "../../engine/trace/format.js";
import { TraceReader } from "../../engine/trace/reader.js";
import { messageOf } from "../../index/core/errors.js";
import { CliError, inputStatusOf } from "../exit-codes.js";

export interface TraceSummary {
  readonly path: string;
  /** When it began, milliseconds since 1970, and how long it lasted to its last access. */
  readonly startedMs: number;
  readonly lastsMs: number;
  readonly accesses: number;
  readonly reads: number;
  readonly hits: number;
  readonly misses: number;
  readonly writes: number;
  readonly refused: number;
  readonly files: number;
  readonly blocks: number;
  readonly lost: number;
  /** At its end, of a chunk that is not whole. */
  readonly droppedBytes: number;
}

/** @throws {CliError} 66 for a file that cannot be read; {CacheError} E_TRACE, E_FORMAT_VERSION. */
export async function summaryOf(path: string): Promise<TraceSummary> {
  const reader = await openTrace(path);
  const counts = { hit: 0, miss: 0, bypass: 0, stored: 0, refused: 0 };
  const blocks = new Map<number, Set<number>>();
  let last: TraceAccess | undefined;
  let reads = 0;
  for await (const accesses of reader) {
    for (const access of accesses) {
      counts[access.outcome] += 1;
      if (isRead(access.outcome)) reads += 1;
      const seen = blocks.get(access.file.number);
      if (seen === undefined) blocks.set(access.file.number, new Set([access.block]));
      else seen.add(access.block);
    }
    last = accesses.at(-1) ?? last;
  }
  const { startMs, accesses, files, lost, droppedBytes } = reader;
  return {
    path,
    startedMs: startMs,
    lastsMs: (last?.atMicros ?? 0) / 1000,
    accesses,
    reads,
    hits: counts.hit,
    misses: counts.miss,
    writes: accesses - reads,
    refused: counts.refused,
    files,
    blocks: [...blocks.values()].reduce((sum, { size }) => sum + size, 0),
    lost,
    droppedBytes,
  };
}

/** Opens a recording to be read once. @throws {CliError} 66. */
export async function openTrace(path: string): Promise<TraceReader> {
  try {
    // A directory can be opened, and only not be read.
    const handle = await open(path);
    const isDirectory = (await handle.stat()).isDirectory();
    await handle.close();
    if (isDirectory) throw Object.assign(new Error("EISDIR: it is a directory"), { code: "EISDIR" });
  } catch (error) {
    throw new CliError(inputStatusOf(error), `Cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  return new TraceReader(createReadStream(path));
}
