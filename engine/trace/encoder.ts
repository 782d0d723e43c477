/** Makes the bytes of a trace, chunk by chunk. Pure. Format: engine/FORMAT.md "Trace". */
import assert from "node:assert/strict";
import { crc32 } from "@node-rs/crc32";
import {
  BLOCK_BYTES,
  CHUNK_BYTES_MAX,
  CHUNK_HEAD_BYTES,
  HEADER_BYTES,
  KIND_FILE,
  KIND_LOST,
  KIND_VOLUME,
  NEXT_BLOCK,
  SAME_FILE,
  TRACE_MAGIC,
  TRACE_OUTCOMES,
  TRACE_VERSION,
  type TraceOutcome,
  WHOLE_BLOCK,
} from "./format.js";

/** Records of one chunk end when they pass this; with names of 65,535 bytes a chunk stays below CHUNK_BYTES_MAX. */
export const CHUNK_BYTES_WANTED = 64 * 1024;
/** Three names of 65,535 bytes and their numbers. */
const RECORD_BYTES_MAX = 200_000;
const KINDS = new Map<TraceOutcome, number>(TRACE_OUTCOMES.map((outcome, place) => [outcome, place]));

assert(CHUNK_BYTES_WANTED + RECORD_BYTES_MAX < CHUNK_BYTES_MAX);

/** @param startMs when the recording began, in milliseconds since 1970. */
export function traceHeader(startMs: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  TRACE_MAGIC.copy(header);
  header.writeUInt32LE(TRACE_VERSION, 8);
  header.writeBigUInt64LE(BigInt(startMs), 16);
  return header;
}

export class TraceEncoder {
  readonly #bytes = Buffer.alloc(CHUNK_HEAD_BYTES + CHUNK_BYTES_WANTED + RECORD_BYTES_MAX);
  #end = CHUNK_HEAD_BYTES;
  #file = -1;
  #block = -1;
  #micros = 0;

  /** Bytes of the chunk that is being made. */
  get pendingBytes(): number {
    return this.#end === CHUNK_HEAD_BYTES ? 0 : this.#end;
  }

  /** Whether the chunk is to be taken before more comes. */
  get full(): boolean {
    return this.#end >= CHUNK_HEAD_BYTES + CHUNK_BYTES_WANTED;
  }

  /** Numbers of volumes and files count from 0, by the order of these calls. */
  volume(fs: Buffer, volume: Buffer): void {
    this.#bytes[this.#end++] = KIND_VOLUME;
    this.#name(fs);
    this.#name(volume);
  }

  file(volumeNumber: number, inode: Buffer): void {
    this.#bytes[this.#end++] = KIND_FILE;
    this.#number(volumeNumber);
    this.#name(inode);
  }

  /** So many accesses were not recorded here. */
  lost(count: number): void {
    this.#bytes[this.#end++] = KIND_LOST;
    this.#number(count);
  }

  /** The arguments are apart, because this is called for every access. */
  // oxlint-disable-next-line max-params
  access(
    file: number,
    block: number,
    offsetBytes: number,
    lengthBytes: number,
    outcome: TraceOutcome,
    atMicros: number,
  ): void {
    const sameFile = file === this.#file;
    const nextBlock = sameFile && block === this.#block + 1;
    const whole = offsetBytes === 0 && lengthBytes === BLOCK_BYTES;
    const kind = KINDS.get(outcome) as number;
    this.#bytes[this.#end++] =
      kind | (sameFile ? SAME_FILE : 0) | (nextBlock ? NEXT_BLOCK : 0) | (whole ? WHOLE_BLOCK : 0);
    this.#number(atMicros - this.#micros);
    if (!sameFile) this.#number(file);
    if (!nextBlock) this.#number(block);
    if (!whole) {
      this.#number(offsetBytes);
      this.#number(lengthBytes);
    }
    this.#file = file;
    this.#block = block;
    this.#micros = atMicros;
  }

  /** The chunk as it is, or undefined if it is empty; the next one begins. The bytes are the caller's. */
  take(): Buffer | undefined {
    if (this.#end === CHUNK_HEAD_BYTES) return undefined;
    const chunk = Buffer.from(this.#bytes.subarray(0, this.#end));
    const payload = chunk.subarray(CHUNK_HEAD_BYTES);
    chunk.writeUInt32LE(payload.length, 0);
    chunk.writeUInt32LE(crc32(payload), 4);
    this.#end = CHUNK_HEAD_BYTES;
    this.#file = -1;
    this.#block = -1;
    this.#micros = 0;
    return chunk;
  }

  #name(name: Buffer): void {
    this.#number(name.length);
    name.copy(this.#bytes, this.#end);
    this.#end += name.length;
  }

  /** Seven bits a byte, the lowest first; the eighth bit says that more follow. Up to 2^53 - 1. */
  #number(value: number): void {
    let rest = value;
    while (rest >= 0x8000_0000) {
      this.#bytes[this.#end++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      this.#bytes[this.#end++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    this.#bytes[this.#end++] = rest;
  }
}
