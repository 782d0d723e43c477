/**
 * Reads files through the cache: what is cached and coherent comes from there, the rest from the origin, and is
 * stored on the way. Trouble with the cache costs time, never a byte.
 */
import type { BypassReason, ByteRange, CookieHandle } from "../api.js";
import type { CacheError } from "../../index/core/errors.js";
import { isCacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { OriginFile } from "./file.js";
import type { OriginSession } from "./session.js";

/** What is asked for at once: a multiple of the block size, below READ_BYTES_MAX. */
const CHUNK_BYTES = 4 * SLOT_BYTES;

export interface ReadReport {
  /** Bytes handed out. */
  bytes: number;
  /** Blocks that came from the cache, and blocks that were read from the origin. */
  hitBlocks: number;
  missBlocks: number;
  storedBlocks: number;
  /** The file changed under way: from there on all came from the origin, and nothing was stored. */
  changed: boolean;
  /** The first trouble that the cache had, if any. */
  bypass?: BypassReason;
  error?: CacheError;
}

export interface ReadOptions {
  /** First byte; a multiple of the block size. 0 unless given. */
  readonly offsetBytes?: bigint;
  /** How many bytes at most; a multiple of the block size too. To the end of the file unless given. */
  readonly lengthBytes?: bigint;
}

/** Takes the next bytes of a file; may keep the buffer. */
export type ChunkSink = (bytes: Buffer) => void | Promise<void>;

/**
 * Reads a file, or a range of it, in order. Each chunk is no older than an fstat made after it was read.
 * @throws {CacheError} E_IO when the origin refuses; what `onChunk` throws. The cache's failures are in the report.
 */
export async function readThrough(
  session: OriginSession,
  file: OriginFile,
  onChunk: ChunkSink,
  options: ReadOptions = {},
): Promise<ReadReport> {
  const report: ReadReport = { bytes: 0, hitBlocks: 0, missBlocks: 0, storedBlocks: 0, changed: false };
  const reading = new Reading(file, report, options);
  if (file.bypass === undefined && file.blocks > 0) {
    // What the sink and the origin throw has to get past the cache's own failures, which end the use of the cache only.
    let failure: { readonly error: unknown } | undefined;
    try {
      await session.withCookie(file, { keep: !file.isRacy }, async (cookie) => {
        try {
          await reading.throughCache(cookie, onChunk);
        } catch (error) {
          failure = { error };
        }
      });
    } catch (error) {
      if (!isCacheError(error)) throw error;
      report.error ??= error;
    }
    if (failure !== undefined) throw failure.error;
  }
  await reading.fromOrigin(onChunk);
  return report;
}

/** One pass over a file: where it is, and what came of it. */
class Reading {
  readonly #file: OriginFile;
  readonly #report: ReadReport;
  #offset: bigint;
  /** End of the range, if one was asked for. */
  readonly #end: bigint | undefined;

  constructor(file: OriginFile, report: ReadReport, options: ReadOptions) {
    this.#file = file;
    this.#report = report;
    this.#offset = options.offsetBytes ?? 0n;
    this.#end = options.lengthBytes === undefined ? undefined : this.#offset + options.lengthBytes;
  }

  /** Reads through the cache up to the end, the first change of the file, or the first failure of the cache. */
  async throughCache(cookie: CookieHandle, onChunk: ChunkSink): Promise<void> {
    const end = smaller(this.#file.sizeBytes, this.#end);
    while (this.#offset < end && !this.#report.changed && this.#report.error === undefined) {
      const length = Number(smaller(end - this.#offset, BigInt(CHUNK_BYTES)));
      const chunk = await this.#chunk(cookie, length);
      if (chunk !== undefined) await this.#handOut(chunk, onChunk);
    }
  }

  /** Reads the rest from the origin alone, to wherever the file ends by now. */
  async fromOrigin(onChunk: ChunkSink): Promise<void> {
    while (this.#end === undefined || this.#offset < this.#end) {
      // At the known end of an unchanged file there is nothing more; a file of the kernel's says 0 and has bytes.
      if (!this.#report.changed && this.#file.blocks > 0 && this.#offset >= this.#file.sizeBytes) return;
      const rest = this.#end === undefined ? BigInt(CHUNK_BYTES) : this.#end - this.#offset;
      const buffer = Buffer.allocUnsafe(Number(smaller(rest, BigInt(CHUNK_BYTES))));
      const length = await this.#file.read(this.#offset, buffer);
      if (length === 0) return;
      this.#report.missBlocks += Math.ceil(length / SLOT_BYTES);
      await this.#handOut(buffer.subarray(0, length), onChunk);
    }
  }

  /** The next bytes; undefined when the file turned out to have changed, or the cache to have failed. */
  async #chunk(cookie: CookieHandle, lengthBytes: number): Promise<Buffer | undefined> {
    const found = await this.#ask(() => cookie.read(this.#offset, lengthBytes));
    if (found === undefined) return undefined;
    // Somebody acquired the file since, and found it shorter; go by our own stat.
    if (found.bytes.length < lengthBytes) this.#report.changed = true;
    if (found.bypass !== undefined) this.#report.bypass ??= found.bypass;
    const fetched: { offsetBytes: bigint; bytes: Buffer }[] = [];
    for (const range of this.#report.changed ? [] : found.missing) {
      const whole = this.#wholeBlocks(range, lengthBytes);
      const bytes = Buffer.allocUnsafe(whole.lengthBytes);
      const length = await this.#file.read(whole.offsetBytes, bytes);
      if (length < bytes.length) this.#report.changed = true;
      bytes.copy(found.bytes, Number(whole.offsetBytes - this.#offset));
      fetched.push({ offsetBytes: whole.offsetBytes, bytes });
    }
    if (this.#report.changed || (await this.#file.hasChanged())) {
      this.#report.changed = true;
      return undefined;
    }
    const missed = fetched.reduce((sum, part) => sum + Math.ceil(part.bytes.length / SLOT_BYTES), 0);
    this.#report.missBlocks += missed;
    this.#report.hitBlocks += Math.ceil(lengthBytes / SLOT_BYTES) - missed;
    if (!this.#file.isRacy) for (const part of fetched) await this.#store(cookie, part);
    return found.bytes;
  }

  async #store(cookie: CookieHandle, part: { offsetBytes: bigint; bytes: Buffer }): Promise<void> {
    const result = await this.#ask(() => cookie.write(part.offsetBytes, part.bytes));
    if (result === undefined) return;
    if (result.bypass !== undefined) this.#report.bypass ??= result.bypass;
    for (const range of result.stored) this.#report.storedBlocks += Math.ceil(range.lengthBytes / SLOT_BYTES);
  }

  /** A call to the cache; its failure is noted and ends the use of the cache. */
  async #ask<Answer>(call: () => Promise<Answer>): Promise<Answer | undefined> {
    try {
      return await call();
    } catch (error) {
      if (!isCacheError(error)) throw error;
      this.#report.error ??= error;
      return undefined;
    }
  }

  /** Only whole blocks can be stored. The chunk begins on a block, and ends on one or with the file or the range. */
  #wholeBlocks(range: ByteRange, chunkBytes: number): { offsetBytes: bigint; lengthBytes: number } {
    const from = Number(range.offsetBytes - this.#offset);
    const first = Math.floor(from / SLOT_BYTES) * SLOT_BYTES;
    const last = Math.ceil((from + range.lengthBytes) / SLOT_BYTES) * SLOT_BYTES;
    return {
      offsetBytes: this.#offset + BigInt(first),
      lengthBytes: Math.min(last, chunkBytes) - first,
    };
  }

  async #handOut(bytes: Buffer, onChunk: ChunkSink): Promise<void> {
    this.#offset += BigInt(bytes.length);
    this.#report.bytes += bytes.length;
    await onChunk(bytes);
  }
}

function smaller(a: bigint, b: bigint | undefined): bigint {
  return b !== undefined && b < a ? b : a;
}
