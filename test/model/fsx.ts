/**
 * A file under random writes, reads, holes, sizes and invalidations, beside a plain buffer that tells what its bytes are.
 * A cache may have forgotten anything; what it does return has to be right, and missing ranges whole.
 */
import assert from "node:assert/strict";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, BypassReason, CookieHandle } from "../../engine/api.js";
import { randomOf } from "../support/temp-cache.js";

const FILE_BYTES_MAX = 5 * SLOT_BYTES;
const FILES = 3;

interface Twin {
  readonly inode: string;
  sizeBytes: number;
  readonly bytes: Buffer;
}

export interface FsxOptions {
  readonly seed: number;
  readonly steps: number;
  /** Ends the run early. */
  readonly until?: () => boolean;
  readonly open: () => Promise<BlockCache>;
  /** How many files; FILES unless given. */
  readonly files?: number;
  /** The files have no room in the cache: a write may be refused, or lose its block to another one's. */
  readonly crowded?: boolean;
  /** How many steps lie between two reopenings; never unless given. */
  readonly reopenEvery?: number;
}

/** @returns how many steps were made, and how many bytes were read right and how many were missing. */
export async function fsx(options: FsxOptions): Promise<{ steps: number; right: number; missing: number }> {
  const random = randomOf(options.seed);
  const below = (end: number): number => Math.floor(random() * end);
  const files = options.files ?? FILES;
  const twins = Array.from({ length: files }, (_, number) => newTwin(number, below(FILE_BYTES_MAX)));
  const counts = { steps: 0, right: 0, missing: 0 };
  let cache = await options.open();
  let cookies = await acquire(cache, twins);
  try {
    for (; counts.steps < options.steps && options.until?.() !== true; counts.steps += 1) {
      if (
        options.reopenEvery !== undefined &&
        counts.steps % options.reopenEvery === options.reopenEvery - 1
      ) {
        await cache.close();
        cache = await options.open();
        cookies = await acquire(cache, twins);
      }
      const file = below(files);
      await step({
        cache,
        twin: twins[file] as Twin,
        cookie: cookies[file] as CookieHandle,
        random,
        below,
        counts,
        crowded: options.crowded === true,
      });
    }
    for (const [file, twin] of twins.entries()) {
      await read({ twin, cookie: cookies[file] as CookieHandle, counts }, 0, twin.sizeBytes);
    }
  } catch (error) {
    throw new Error(`FSX_SEED=${options.seed} failed at step ${counts.steps}`, { cause: error });
  } finally {
    await cache.close();
  }
  return counts;
}

function newTwin(number: number, sizeBytes: number): Twin {
  return { inode: `file ${number}`, sizeBytes, bytes: Buffer.alloc(FILE_BYTES_MAX) };
}

async function acquire(cache: BlockCache, twins: readonly Twin[]): Promise<CookieHandle[]> {
  const volume = await cache.acquireVolume("fsx", "volume");
  return Promise.all(
    twins.map(({ inode, sizeBytes }) => volume.acquireCookie(inode, { sizeBytes: BigInt(sizeBytes) })),
  );
}

interface Step {
  readonly cache: BlockCache;
  readonly twin: Twin;
  readonly cookie: CookieHandle;
  readonly random: () => number;
  readonly below: (end: number) => number;
  readonly counts: { right: number; missing: number };
  readonly crowded: boolean;
}

async function step(at: Step): Promise<void> {
  const { cache, twin, cookie, random, below } = at;
  const from = below(twin.sizeBytes + 1);
  const longest = random() < 0.5 ? 3 * PAGE_BYTES : 2 * SLOT_BYTES;
  const to = Math.min(twin.sizeBytes, from + below(longest));
  // Programs like round numbers.
  const aligned = random() < 0.3 ? Math.floor(from / PAGE_BYTES) * PAGE_BYTES : from;
  const kind = random();
  if (kind < 0.4) await write(at, aligned, to);
  else if (kind < 0.7) await read(at, aligned, to);
  else if (kind < 0.8) await hole(at, aligned, to);
  else if (kind < 0.9) await resize(at, random() < 0.5 ? to : below(FILE_BYTES_MAX));
  else if (kind < 0.94) {
    // The origin's file changed under the cache.
    change(at, aligned, to);
    await cookie.invalidateRange(BigInt(aligned), BigInt(to - aligned));
  } else if (kind < 0.96) {
    change(at, 0, twin.sizeBytes);
    await cache.invalidate({ fs: "fsx", volume: "volume", inode: twin.inode });
  } else await together(at);
}

async function write({ twin, cookie, below, crowded }: Step, from: number, to: number): Promise<void> {
  if (from >= to) return;
  fill(twin.bytes, from, to, below);
  const { stored, bypass } = await cookie.write(BigInt(from), twin.bytes.subarray(from, to));
  expectBypass(bypass, crowded);
  let bytes = 0;
  for (const { offsetBytes, lengthBytes } of stored) {
    assert.ok(offsetBytes >= BigInt(from) && offsetBytes + BigInt(lengthBytes) <= BigInt(to));
    bytes += lengthBytes;
  }
  // At most a page at either end may be left out.
  assert.ok(bypass !== undefined || bytes > to - from - 2 * PAGE_BYTES, `${bytes} of ${to - from} stored`);
  // What was left out is not known to the cache: it must not answer with what was there before.
  await forget(cookie, outside(from, to, stored));
}

function expectBypass(bypass: BypassReason | undefined, crowded: boolean): void {
  if (!crowded || (bypass !== "stale" && bypass !== "no-space")) assert.equal(bypass, undefined);
}

async function hole({ twin, cookie }: Step, from: number, to: number): Promise<void> {
  if (from >= to) return;
  twin.bytes.fill(0, from, to);
  const { stored } = await cookie.zero(BigInt(from), to - from);
  await forget(cookie, outside(from, to, stored));
}

async function resize({ twin, cookie, below }: Step, sizeBytes: number): Promise<void> {
  // What a file gains may be anything: somebody else may have written it.
  if (sizeBytes > twin.sizeBytes) fill(twin.bytes, twin.sizeBytes, sizeBytes, below);
  twin.sizeBytes = sizeBytes;
  await cookie.resize(BigInt(sizeBytes));
}

function change({ twin, below }: Step, from: number, to: number): void {
  if (from < to) fill(twin.bytes, from, to, below);
}

/** Writes of neighbouring parts of one block at the same time, and a read beside them. */
async function together({ twin, cookie, below, counts, crowded }: Step): Promise<void> {
  const start = Math.floor(below(twin.sizeBytes + 1) / SLOT_BYTES) * SLOT_BYTES;
  const parts = Array.from({ length: 8 }, (_, part) => start + part * 4 * PAGE_BYTES).filter(
    (from) => from + 4 * PAGE_BYTES <= twin.sizeBytes,
  );
  const left = await Promise.all(
    parts.map(async (from) => {
      const to = from + 4 * PAGE_BYTES;
      fill(twin.bytes, from, to, below);
      const { stored, bypass } = await cookie.write(BigInt(from), twin.bytes.subarray(from, to));
      expectBypass(bypass, crowded);
      return outside(from, to, stored);
    }),
  );
  await forget(cookie, left.flat());
  await read({ twin, cookie, counts }, start, Math.min(twin.sizeBytes, start + SLOT_BYTES));
}

async function read(
  { twin, cookie, counts }: Pick<Step, "twin" | "cookie" | "counts">,
  from: number,
  to: number,
): Promise<void> {
  if (from > to) return;
  const { bytes, missing, bypass } = await cookie.read(BigInt(from), to - from);
  assert.equal(bypass, undefined);
  assert.equal(bytes.length, to - from);
  const wanted = Buffer.from(twin.bytes.subarray(from, to));
  let end = from;
  for (const { offsetBytes, lengthBytes } of missing) {
    const at = Number(offsetBytes);
    assert.ok(at >= end && (end === from || at > end), "ascending, apart");
    end = at + lengthBytes;
    assert.ok(at === from || at % PAGE_BYTES === 0, "whole pages, but for the ends of what was asked");
    assert.ok(end === to || end % PAGE_BYTES === 0);
    wanted.fill(0, at - from, end - from);
    counts.missing += lengthBytes;
    counts.right -= lengthBytes;
  }
  counts.right += to - from;
  const wrong = bytes.equals(wanted) ? -1 : bytes.findIndex((byte, place) => byte !== wanted[place]);
  assert.equal(wrong, -1, `${twin.inode} differs at ${from + wrong} of ${twin.sizeBytes}`);
}

async function forget(
  cookie: CookieHandle,
  parts: ReadonlyArray<{ from: number; to: number }>,
): Promise<void> {
  for (const { from, to } of parts) await cookie.invalidateRange(BigInt(from), BigInt(to - from));
}

function outside(
  from: number,
  to: number,
  stored: ReadonlyArray<{ offsetBytes: bigint; lengthBytes: number }>,
) {
  const parts: Array<{ from: number; to: number }> = [];
  let at = from;
  for (const range of stored) {
    const start = Number(range.offsetBytes);
    if (start > at) parts.push({ from: at, to: start });
    at = start + range.lengthBytes;
  }
  if (at < to) parts.push({ from: at, to });
  return parts;
}

/** No two fills are alike. */
function fill(bytes: Buffer, from: number, to: number, below: (end: number) => number): void {
  const seed = below(2 ** 31);
  for (let at = from; at < to; at += 1) bytes[at] = (seed >>> (8 * (at % 3))) + at * 31;
}
