/** Reads a trace from a stream of bytes, a chunk at a time. Pure. Format: engine/FORMAT.md "Trace". */
import { crc32 } from "@node-rs/crc32";
import { CacheError } from "../../index/core/errors.js";
import { TraceDecoder } from "./decoder.js";
import {
  CHUNK_BYTES_MAX,
  CHUNK_HEAD_BYTES,
  HEADER_BYTES,
  TRACE_MAGIC,
  TRACE_VERSION,
  type TraceAccess,
} from "./format.js";

/** Whether a file that begins with these bytes (8 are enough) claims to be a trace of ours. */
export function isTrace(head: Uint8Array): boolean {
  return Buffer.from(head.subarray(0, TRACE_MAGIC.length)).equals(TRACE_MAGIC);
}

/**
 * A trace as it comes: iterate over it for arrays of accesses in the order in which they happened, a few thousand at a
 * time, so `for await (const accesses of new TraceReader(createReadStream(file))) for (const access of accesses) …`.
 * It is read once. A tail that was cut off, or never came to the drive, is left out and told by `droppedBytes`.
 * Iterating throws {CacheError}: E_TRACE for what is no trace, E_FORMAT_VERSION for one of a later version.
 */
export class TraceReader implements AsyncIterable<readonly TraceAccess[]> {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #decoder = new TraceDecoder();
  #startMs = 0;
  #accesses = 0;
  #droppedBytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source;
  }

  /** When the recording began, in milliseconds since 1970; known from the first array on. */
  get startMs(): number {
    return this.#startMs;
  }

  /** So far, as are the next three. */
  get accesses(): number {
    return this.#accesses;
  }

  get files(): number {
    return this.#decoder.files;
  }

  /** Accesses that happened and were not recorded: the drive was too slow for them. */
  get lost(): number {
    return this.#decoder.lost;
  }

  /** Known at the end. */
  get droppedBytes(): number {
    return this.#droppedBytes;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly TraceAccess[]> {
    let bytes: Buffer = Buffer.alloc(0);
    let headed = false;
    for await (const part of this.#source) {
      if (this.#droppedBytes > 0) {
        this.#droppedBytes += part.length;
        continue;
      }
      bytes = bytes.length === 0 ? Buffer.from(part) : Buffer.concat([bytes, part]);
      if (!headed) {
        if (bytes.length < HEADER_BYTES) continue;
        this.#readHeader(bytes);
        bytes = bytes.subarray(HEADER_BYTES);
        headed = true;
      }
      for (;;) {
        const payload = payloadOf(bytes);
        if (payload === "more") break;
        if (payload === "damaged") {
          this.#droppedBytes = bytes.length;
          break;
        }
        const accesses = this.#decoder.decode(payload);
        bytes = bytes.subarray(CHUNK_HEAD_BYTES + payload.length);
        this.#accesses += accesses.length;
        yield accesses;
      }
    }
    if (!headed) this.#readHeader(bytes);
    else if (this.#droppedBytes === 0) this.#droppedBytes = bytes.length;
  }

  #readHeader(bytes: Buffer): void {
    if (!isTrace(bytes) || bytes.length < HEADER_BYTES) {
      throw new CacheError("E_TRACE", "Cannot read the trace: it does not begin as one does");
    }
    const version = bytes.readUInt32LE(8);
    if (version !== TRACE_VERSION) {
      const message = `Cannot read the trace: its version is ${version}, want ${TRACE_VERSION}`;
      throw new CacheError("E_FORMAT_VERSION", message);
    }
    this.#startMs = Number(bytes.readBigUInt64LE(16));
  }
}

/** What the chunk at the start of `bytes` holds. `damaged`: what comes after it cannot be found. */
function payloadOf(bytes: Buffer): Buffer | "more" | "damaged" {
  if (bytes.length < CHUNK_HEAD_BYTES) return "more";
  const length = bytes.readUInt32LE(0);
  if (length === 0 || length > CHUNK_BYTES_MAX) return "damaged";
  if (bytes.length < CHUNK_HEAD_BYTES + length) return "more";
  const payload = bytes.subarray(CHUNK_HEAD_BYTES, CHUNK_HEAD_BYTES + length);
  return crc32(payload) === bytes.readUInt32LE(4) ? payload : "damaged";
}
