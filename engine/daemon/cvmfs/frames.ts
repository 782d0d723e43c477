/**
 * Frames of the CVMFS plugin protocol: byte 0 is the version, 1, with 0x80 set if data follows; then three bytes, little
 * endian, the length of all that comes; with data two bytes, the length of the message; then message and data.
 */
import { CacheError } from "../../../index/core/errors.js";
import type { BufferPool } from "../buffer-pool.js";
import { MESSAGE_BYTES_MAX, OBJECT_PART_BYTES } from "./limits.js";

export const WIRE_VERSION = 1;
const DATA_FOLLOWS = 0x80;
export const HEAD_BYTES = 4;
export const SIZE_BYTES = 2;
/** Data up to this size is copied behind its message: one buffer is written faster than two. */
const JOINED_BYTES_MAX = 8192;
const LENGTH_BYTES_MAX = 2 ** 24 - 1;

export interface Frame {
  /** Valid until the handler returns. */
  readonly message: Buffer;
  readonly dataBytes: number;
  /** Of the pool, at least `dataBytes` long, and the handler's from now on; absent without data, or if there was too much. */
  readonly data?: Buffer;
}

/** A frame in one or two buffers. */
export function encodeFrame(message: Buffer, data?: Buffer): Buffer[] {
  if (data === undefined || data.length === 0) {
    const frame = Buffer.allocUnsafe(HEAD_BYTES + message.length);
    frame[0] = WIRE_VERSION;
    frame.writeUIntLE(message.length, 1, 3);
    message.copy(frame, HEAD_BYTES);
    return [frame];
  }
  const lengthBytes = SIZE_BYTES + message.length + data.length;
  const joined = data.length <= JOINED_BYTES_MAX;
  const head = Buffer.allocUnsafe(HEAD_BYTES + SIZE_BYTES + message.length + (joined ? data.length : 0));
  head[0] = WIRE_VERSION | DATA_FOLLOWS;
  head.writeUIntLE(Math.min(lengthBytes, LENGTH_BYTES_MAX), 1, 3);
  head.writeUInt16LE(message.length, HEAD_BYTES);
  message.copy(head, HEAD_BYTES + SIZE_BYTES);
  if (!joined) return [head, data];
  data.copy(head, HEAD_BYTES + SIZE_BYTES + message.length);
  return [head];
}

type Part = "head" | "size" | "message" | "data";

/** Takes bytes as they come, in pieces of any size. */
export class FrameReader {
  readonly #pool: BufferPool;
  readonly #onFrame: (frame: Frame) => boolean;
  /** What came and was not looked at, because the handler wanted no more. */
  #rest: Buffer | undefined;
  #stopped = false;
  #part: Part = "head";
  /** The part under way, if it did not come in one piece. */
  readonly #small = Buffer.allocUnsafeSlow(MESSAGE_BYTES_MAX);
  #filled = 0;
  #wanted = HEAD_BYTES;
  #lengthBytes = 0;
  #withData = false;
  #message: Buffer = Buffer.alloc(0);
  #data: Buffer | undefined;
  #dataBytes = 0;

  /** @param onFrame told of each frame; with false it wants no more before resume(). */
  constructor(pool: BufferPool, onFrame: (frame: Frame) => boolean) {
    this.#pool = pool;
    this.#onFrame = onFrame;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Whether nothing of a frame has come. */
  get idle(): boolean {
    return this.#part === "head" && this.#filled === 0 && this.#rest === undefined;
  }

  /** @throws {CacheError} E_FRAME: the connection is of no use any more. */
  push(chunk: Buffer): void {
    let rest = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = undefined;
    while (rest.length > 0) {
      if (this.#stopped) {
        this.#rest = rest;
        return;
      }
      rest = this.#part === "data" ? this.#takeData(rest) : this.#takeSmall(rest);
    }
  }

  /** @throws {CacheError} E_FRAME. */
  resume(): void {
    this.#stopped = false;
    this.push(Buffer.alloc(0));
    const rest = this.#rest as Buffer | undefined;
    if (rest === undefined) return;
    this.#rest = undefined;
    this.push(rest);
  }

  /** Gives memory back that a frame under way has. */
  close(): void {
    if (this.#data !== undefined) this.#pool.give(this.#data);
    this.#data = undefined;
  }

  /** Head, size or message: in place if all of it is here. @returns what is left. */
  #takeSmall(chunk: Buffer): Buffer {
    const take = Math.min(chunk.length, this.#wanted - this.#filled);
    const whole = this.#filled === 0 && take === this.#wanted;
    if (!whole) chunk.copy(this.#small, this.#filled, 0, take);
    this.#filled += take;
    if (this.#filled === this.#wanted) {
      const bytes = whole ? chunk.subarray(0, take) : this.#small.subarray(0, this.#wanted);
      this.#filled = 0;
      this.#onPart(bytes);
    }
    return chunk.subarray(take);
  }

  #onPart(bytes: Buffer): void {
    if (this.#part === "head") this.#onHead(bytes);
    else if (this.#part === "size") this.#onSize(bytes.readUInt16LE(0));
    else if (!this.#withData) this.#deliver(bytes);
    else {
      this.#message = Buffer.from(bytes); // it has to stay while data comes
      this.#part = "data";
      if (this.#dataBytes <= OBJECT_PART_BYTES) this.#data = this.#pool.take(this.#dataBytes);
    }
  }

  #onHead(head: Buffer): void {
    const version = (head[0] as number) & ~DATA_FOLLOWS;
    if (version !== WIRE_VERSION) throw broken(`wire version ${version}, want ${WIRE_VERSION}`);
    this.#withData = ((head[0] as number) & DATA_FOLLOWS) !== 0;
    this.#lengthBytes = head.readUIntLE(1, 3);
    if (this.#lengthBytes === 0) throw broken("a length of 0, want more");
    if (this.#withData) this.#expect("size", SIZE_BYTES);
    else this.#expectMessage(this.#lengthBytes);
  }

  #onSize(messageBytes: number): void {
    this.#dataBytes = this.#lengthBytes - SIZE_BYTES - messageBytes;
    if (this.#dataBytes <= 0)
      throw broken(`a message of ${messageBytes} bytes and data in ${this.#lengthBytes}`);
    this.#expectMessage(messageBytes);
  }

  #expectMessage(messageBytes: number): void {
    if (messageBytes === 0 || messageBytes > MESSAGE_BYTES_MAX)
      throw broken(`a message of ${messageBytes} bytes, want 1 to ${MESSAGE_BYTES_MAX}`);
    this.#expect("message", messageBytes);
  }

  #expect(part: Part, wanted: number): void {
    this.#part = part;
    this.#wanted = wanted;
  }

  #takeData(chunk: Buffer): Buffer {
    const take = Math.min(chunk.length, this.#dataBytes - this.#filled);
    if (this.#data !== undefined) chunk.copy(this.#data, this.#filled, 0, take);
    this.#filled += take;
    if (this.#filled === this.#dataBytes) {
      this.#filled = 0;
      this.#deliver(this.#message);
    }
    return chunk.subarray(take);
  }

  #deliver(message: Buffer): void {
    const data = this.#data;
    const dataBytes = this.#withData ? this.#dataBytes : 0;
    this.#data = undefined;
    this.#expect("head", HEAD_BYTES);
    this.#stopped = !this.#onFrame({ message, dataBytes, ...(data !== undefined && { data }) });
  }
}

function broken(found: string): CacheError {
  return new CacheError("E_FRAME", `Cannot read a frame: it has ${found}`);
}
