/**
 * Frames: a prefix of 12 bytes, a header, a payload. Pure: bytes in, frames out.
 * Format: engine/PROTOCOL.md "Frames".
 */
import { CacheError } from "../../index/core/errors.js";
import { HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX } from "./limits.js";

/** The first three bytes of every frame, then the version of the frame layout. */
export const FRAME_MAGIC = Buffer.from("TCF\u0001", "latin1");
export const PREFIX_BYTES = 12;

const HEADER_LENGTH_AT = 4;
const PAYLOAD_LENGTH_AT = 8;
const VERSION_AT = 3;
/** Fewer bytes than this are cheaper copied with others than read by a system call of their own. */
const STRAIGHT_BYTES_MIN = 16 * 1024;

/** Prefix and header of a frame, with room for `joined`, a payload that goes out in the same buffer. */
export function encodeFrame(header: Uint8Array, payloadBytes: number, joined?: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(PREFIX_BYTES + header.length + (joined?.length ?? 0));
  writePrefix(frame, 0, header.length, payloadBytes);
  frame.set(header, PREFIX_BYTES);
  if (joined !== undefined) frame.set(joined, PREFIX_BYTES + header.length);
  return frame;
}

/** The first 12 bytes of a frame, from `at` on. */
export function writePrefix(target: Buffer, at: number, headerBytes: number, payloadBytes: number): void {
  for (let index = 0; index < FRAME_MAGIC.length; index += 1)
    target[at + index] = FRAME_MAGIC[index] as number;
  target.writeUInt32LE(headerBytes, at + HEADER_LENGTH_AT);
  target.writeUInt32LE(payloadBytes, at + PAYLOAD_LENGTH_AT);
}

/** Who receives what a FrameParser finds. */
export interface FrameSink {
  /**
   * A header is complete. Its bytes may be a view that is valid during the call only.
   * @returns where the payload goes, from its start, or undefined to drop it.
   */
  onHeader(header: Buffer, payloadBytes: number): Uint8Array | undefined;
  /** The frame is complete. Returning false stops the parser until resume(). */
  onFrame(): boolean;
}

/**
 * Cuts a stream of bytes into frames, however it is chunked; a payload byte is copied once, to its place, or not at all
 * where the stream is read to the place that the parser names.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #phase: "prefix" | "header" | "payload" = "prefix";
  #filled = 0;
  #headerBytes = 0;
  #payloadBytes = 0;
  #header: Buffer<ArrayBuffer> | undefined;
  #target: Uint8Array | undefined;
  #stopped = false;
  #rest: Buffer | undefined;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** True between two frames, with nothing kept for later. */
  get idle(): boolean {
    return this.#phase === "prefix" && this.#filled === 0 && this.#rest === undefined;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  /** Whether bytes are kept that came before a stop. */
  get holdsMore(): boolean {
    return this.#rest !== undefined;
  }

  /** Where the next bytes of the stream may be read to, for `took`; undefined where they are to be pushed. */
  place(): Uint8Array | undefined {
    const target = this.#target;
    if (target === undefined || this.#payloadBytes - this.#filled < STRAIGHT_BYTES_MIN) return undefined;
    return target.subarray(this.#filled, this.#payloadBytes);
  }

  /** The next `count` bytes of the stream lie where place() said. */
  took(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#payloadBytes) this.#end();
  }

  /**
   * Takes the next bytes of the stream. What is not used before a stop is copied.
   * @throws {CacheError} E_FRAME malformed or too large, E_PROTOCOL_VERSION another frame layout; nothing can follow.
   */
  push(chunk: Buffer): void {
    if (this.#stopped) {
      this.#rest = this.#rest === undefined ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
      return;
    }
    let at = 0;
    while (at < chunk.length) {
      at += this.#take(chunk, at);
      if (this.#stopped) {
        if (at < chunk.length) this.#rest = Buffer.from(chunk.subarray(at));
        return;
      }
    }
  }

  /** Goes on after a stop, with what was kept. @throws {CacheError} as push. */
  resume(): void {
    this.#stopped = false;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.push(rest);
  }

  /** The place given for the payload under way is not written any more; its remaining bytes are dropped. */
  dropPayload(): void {
    this.#target = undefined;
  }

  #take(chunk: Buffer, at: number): number {
    if (this.#phase === "prefix") return this.#takePrefix(chunk, at);
    return this.#phase === "header" ? this.#takeHeader(chunk, at) : this.#takePayload(chunk, at);
  }

  #takePrefix(chunk: Buffer, at: number): number {
    const taken = Math.min(PREFIX_BYTES - this.#filled, chunk.length - at);
    const prefix = this.#prefix;
    for (let index = 0; index < taken; index += 1) prefix[this.#filled + index] = chunk[at + index] as number;
    this.#filled += taken;
    checkMagic(prefix, Math.min(this.#filled, FRAME_MAGIC.length));
    if (this.#filled < PREFIX_BYTES) return taken;
    this.#headerBytes = prefix.readUInt32LE(HEADER_LENGTH_AT);
    this.#payloadBytes = prefix.readUInt32LE(PAYLOAD_LENGTH_AT);
    checkLengths(this.#headerBytes, this.#payloadBytes);
    this.#phase = "header";
    this.#filled = 0;
    return taken;
  }

  #takeHeader(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#headerBytes - this.#filled, chunk.length - at);
    let header: Buffer;
    if (taken === this.#headerBytes) {
      header = chunk.subarray(at, at + taken);
    } else {
      header = this.#header ??= Buffer.allocUnsafe(this.#headerBytes);
      chunk.copy(header, this.#filled, at, at + taken);
    }
    this.#filled += taken;
    if (this.#filled < this.#headerBytes) return taken;
    this.#header = undefined;
    this.#phase = "payload";
    this.#filled = 0;
    this.#target = this.#sink.onHeader(header, this.#payloadBytes);
    if (this.#payloadBytes === 0) this.#end();
    return taken;
  }

  #takePayload(chunk: Buffer, at: number): number {
    const taken = Math.min(this.#payloadBytes - this.#filled, chunk.length - at);
    this.#target?.set(chunk.subarray(at, at + taken), this.#filled);
    this.#filled += taken;
    if (this.#filled === this.#payloadBytes) this.#end();
    return taken;
  }

  #end(): void {
    this.#phase = "prefix";
    this.#filled = 0;
    this.#target = undefined;
    this.#stopped = !this.#sink.onFrame();
  }
}

function checkMagic(prefix: Buffer, filled: number): void {
  if (!beginsRight(prefix, Math.min(filled, VERSION_AT))) {
    throw new CacheError(
      "E_FRAME",
      `Cannot read a frame: it begins with ${prefix.toString("hex", 0, filled)}, want ${FRAME_MAGIC.toString("hex")}`,
    );
  }
  if (filled > VERSION_AT && prefix[VERSION_AT] !== FRAME_MAGIC[VERSION_AT]) {
    throw new CacheError(
      "E_PROTOCOL_VERSION",
      `Cannot read a frame: its layout has version ${prefix[VERSION_AT]}, want ${FRAME_MAGIC[VERSION_AT]}`,
    );
  }
}

function beginsRight(prefix: Buffer, wanted: number): boolean {
  for (let index = 0; index < wanted; index += 1) if (prefix[index] !== FRAME_MAGIC[index]) return false;
  return true;
}

function checkLengths(headerBytes: number, payloadBytes: number): void {
  if (headerBytes === 0 || headerBytes > HEADER_BYTES_MAX) {
    throw new CacheError(
      "E_FRAME",
      `Cannot read a frame: its header has ${headerBytes} bytes, want 1 to ${HEADER_BYTES_MAX}`,
    );
  }
  if (payloadBytes > PAYLOAD_BYTES_MAX) {
    throw new CacheError(
      "E_FRAME",
      `Cannot read a frame: its payload has ${payloadBytes} bytes, want at most ${PAYLOAD_BYTES_MAX}`,
    );
  }
}
