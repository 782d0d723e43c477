/**
 * One pass over a tree: reads it through the cache, reads it directly, and compares every byte.
 *
 * The two are timed in turns, a batch at a time, so that neither has the machine at a better moment; the comparison
 * is outside both times. Both are read with the same number of files in flight.
 */
import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { FILES_IN_FLIGHT_MAX, forEachConcurrent } from "../../engine/origin/concurrent.js";
import { readThrough } from "../../engine/origin/read.js";
import type { OriginSession } from "../../engine/origin/session.js";
import type { WalkOptions } from "../../engine/origin/walk.js";
import { walkTree } from "../../engine/origin/walk.js";
import type { OriginFile } from "../../engine/origin/file.js";
import { SLOT_BYTES } from "../../index/core/layout.js";

/** A piece of a file; large files are read in several, so that a batch fits into memory. */
export interface Segment {
  readonly path: Buffer;
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

const SEGMENT_BYTES_MAX = 64 * SLOT_BYTES;
const BATCH_BYTES_MAX = 32 * 1024 * 1024;
const BATCH_SEGMENTS_MAX = 2000;
const SIZES_IN_FLIGHT_MAX = 32;
const DIRECT_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export interface PassResult {
  files: number;
  bytes: number;
  blocks: number;
  hitBlocks: number;
  missBlocks: number;
  wrongBytes: number;
  wrongFiles: string[];
  /** Files that changed between the two reads, and were not compared. */
  changed: number;
  /** Files that could not be read any more. */
  failed: number;
  cacheMs: number;
  directMs: number;
}

interface CacheRead {
  readonly bytes: Buffer;
  readonly file: OriginFile;
}

/** Runs a pass. `onBatch` hears how many files and bytes are done. */
export async function runPass(
  session: OriginSession,
  root: Buffer,
  walk: WalkOptions,
  onBatch: (result: PassResult, batch: readonly Segment[]) => void,
): Promise<PassResult> {
  const result: PassResult = {
    files: 0,
    bytes: 0,
    blocks: 0,
    hitBlocks: 0,
    missBlocks: 0,
    wrongBytes: 0,
    wrongFiles: [],
    changed: 0,
    failed: 0,
    cacheMs: 0,
    directMs: 0,
  };
  for await (const batch of batches(session, root, walk)) {
    await runBatch(session, batch, result);
    onBatch(result, batch);
  }
  return result;
}

async function runBatch(
  session: OriginSession,
  batch: readonly Segment[],
  result: PassResult,
): Promise<void> {
  const reads = new Map<Segment, CacheRead>();
  const startedAt = performance.now();
  await forEachConcurrent(batch, FILES_IN_FLIGHT_MAX, async (segment) => {
    const read = await readSegment(session, segment, result).catch(() => undefined);
    if (read === undefined) result.failed += 1;
    else reads.set(segment, read);
  });
  const turnedAt = performance.now();
  const directReads = new Map<Segment, Buffer>();
  await forEachConcurrent(reads.keys(), FILES_IN_FLIGHT_MAX, async (segment) => {
    const bytes = await readDirect(segment, reads.get(segment)?.file).catch(() => undefined);
    if (bytes === undefined) result.changed += 1;
    else directReads.set(segment, bytes);
  });
  result.directMs += performance.now() - turnedAt;
  result.cacheMs += turnedAt - startedAt;
  for (const [segment, direct] of directReads) {
    const cached = reads.get(segment)?.bytes ?? Buffer.alloc(0);
    const wrong = differingBytes(cached, direct);
    result.wrongBytes += wrong;
    if (wrong > 0) result.wrongFiles.push(segment.path.toString());
    result.bytes += direct.length;
    result.blocks += Math.ceil(direct.length / SLOT_BYTES);
    result.files += segment.offsetBytes === 0 ? 1 : 0;
  }
}

async function readSegment(
  session: OriginSession,
  segment: Segment,
  result: PassResult,
): Promise<CacheRead | undefined> {
  const file = await session.origin.open(segment.path);
  if (file.kind === "skipped") return undefined;
  try {
    const chunks: Buffer[] = [];
    const range = { offsetBytes: BigInt(segment.offsetBytes), lengthBytes: BigInt(segment.lengthBytes) };
    const report = await readThrough(session, file, (bytes) => void chunks.push(bytes), range);
    result.hitBlocks += report.hitBlocks;
    result.missBlocks += report.missBlocks;
    return {
      bytes: chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks),
      file,
    };
  } finally {
    await file.close();
  }
}

/** Open, stat, read, close, as any program would; undefined when it is another file than the one the cache was asked for. */
async function readDirect(segment: Segment, expected: OriginFile | undefined): Promise<Buffer | undefined> {
  const handle = await open(segment.path, DIRECT_FLAGS);
  try {
    const bytes = Buffer.allocUnsafe(segment.lengthBytes);
    let done = 0;
    while (done < bytes.length) {
      const { bytesRead } = await handle.read(bytes, done, bytes.length - done, segment.offsetBytes + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    const stamp = await handle.stat({ bigint: true });
    return expected?.isSame(stamp) === true ? bytes.subarray(0, done) : undefined;
  } finally {
    await handle.close();
  }
}

function differingBytes(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return 0;
  let count = Math.abs(a.length - b.length);
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) if (a[i] !== b[i]) count += 1;
  return count;
}

async function* batches(session: OriginSession, root: Buffer, walk: WalkOptions): AsyncGenerator<Segment[]> {
  let batch: Segment[] = [];
  let bytes = 0;
  for await (const segment of segments(session, root, walk)) {
    batch.push(segment);
    bytes += segment.lengthBytes;
    if (bytes >= BATCH_BYTES_MAX || batch.length >= BATCH_SEGMENTS_MAX) {
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

/** Pieces of all files of the tree in the order of the walk, with sizes looked up some files ahead. */
async function* segments(session: OriginSession, root: Buffer, walk: WalkOptions): AsyncGenerator<Segment> {
  const ahead: Promise<{ path: Buffer; size: number }>[] = [];
  const sized = async (path: Buffer): Promise<{ path: Buffer; size: number }> => {
    // What has gone since the listing has no pieces.
    const stats = await lstat(path).catch(() => undefined);
    return { path, size: stats?.isFile() === true ? stats.size : 0 };
  };
  for await (const entry of walkTree(session.origin, [root], walk)) {
    if (entry.kind !== "file") continue;
    ahead.push(sized(entry.path));
    const first = ahead.length >= SIZES_IN_FLIGHT_MAX ? ahead.shift() : undefined;
    if (first !== undefined) yield* split(await first);
  }
  for (const next of ahead) yield* split(await next);
}

function* split({ path, size }: { path: Buffer; size: number }): Generator<Segment> {
  // An empty file is read too, in one piece of no bytes.
  for (let offsetBytes = 0; offsetBytes === 0 || offsetBytes < size; offsetBytes += SEGMENT_BYTES_MAX) {
    yield { path, offsetBytes, lengthBytes: Math.min(SEGMENT_BYTES_MAX, size - offsetBytes) };
  }
}
