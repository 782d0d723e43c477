/**
 * Writes frames to a socket: the small ones of a turn leave in one buffer and one system call; a large payload is not
 * copied and leaves at once, so that the other side takes it while the next one is made.
 */
import type { Socket } from "node:net";
import { PREFIX_BYTES, encodeFrame, writePrefix } from "./frames.js";
import { writeHeader } from "./header-writer.js";
import { encodeHeader } from "./headers.js";
import type { Header } from "./headers.js";
import { JOINED_PAYLOAD_BYTES_MAX } from "./limits.js";

/** One buffer of frames. */
const BATCH_BYTES = 64 * 1024;
/** Free ones that are kept for all sockets of the process. */
const BATCHES_KEPT_MAX = 16;
/** A frame is begun in a batch only if a usual header and a joined payload find room. */
const FRAME_ROOM_BYTES = PREFIX_BYTES + 512 + JOINED_PAYLOAD_BYTES_MAX;

/** Called once the kernel has taken a frame, or with the error for which it did not. */
export type OnSent = (error?: Error | null) => void;

const NOTHING: readonly Uint8Array[] = [];
const free: Buffer[] = [];

export class FrameWriter {
  readonly #socket: Socket;
  #batch: Buffer | undefined;
  #filled = 0;
  /** Whom to tell of the frames in the batch. */
  #waiting: OnSent[] = [];
  #flushes = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Sends a frame; its payload, in parts, must not change before `onSent`. @returns the bytes of header and payload. */
  send(
    id: number | bigint,
    header: Header,
    payload: readonly Uint8Array[] = NOTHING,
    onSent?: OnSent,
  ): number {
    const payloadBytes = sumOf(payload);
    const joined = payloadBytes <= JOINED_PAYLOAD_BYTES_MAX;
    let headerBytes = this.#append(id, header, payloadBytes, joined ? payload : NOTHING);
    if (headerBytes === 0) {
      this.flush();
      const packed = encodeHeader({ id, ...header });
      headerBytes = packed.length;
      const parts = joined ? payload : NOTHING;
      this.#write([encodeFrame(packed, payloadBytes), ...parts], joined ? onSent : undefined);
    } else if (joined && onSent !== undefined) this.#waiting.push(onSent);
    if (joined) {
      if (!this.#flushes) {
        this.#flushes = true;
        process.nextTick(() => this.flush());
      }
      return headerBytes + payloadBytes;
    }
    this.#socket.cork();
    this.flush();
    this.#write(payload, onSent);
    this.#socket.uncork();
    return headerBytes + payloadBytes;
  }

  /** Hands to the kernel what was gathered. */
  flush(): void {
    this.#flushes = false;
    const batch = this.#batch;
    if (batch === undefined || this.#filled === 0) return;
    const waiting = this.#waiting;
    this.#batch = undefined;
    this.#waiting = [];
    this.#socket.write(batch.subarray(0, this.#filled), (error) => {
      // After a failed write the memory is left to the collector: nothing proves that the kernel is done with it.
      if (!error && free.length < BATCHES_KEPT_MAX) free.push(batch);
      for (const onSent of waiting) onSent(error);
    });
  }

  /** @returns the header's bytes; 0 if the frame finds no room in a batch, or has no usual header: nothing of it is in one then. */
  #append(id: number | bigint, header: Header, payloadBytes: number, joined: readonly Uint8Array[]): number {
    if (this.#batch !== undefined && BATCH_BYTES - this.#filled < FRAME_ROOM_BYTES) this.flush();
    if (this.#batch === undefined) {
      this.#batch = free.pop() ?? Buffer.allocUnsafeSlow(BATCH_BYTES);
      this.#filled = 0;
    }
    const batch = this.#batch;
    const start = this.#filled + PREFIX_BYTES;
    let end = writeHeader(batch, start, id, header);
    if (end === undefined || end + sumOf(joined) > BATCH_BYTES) return 0;
    const headerBytes = end - start;
    writePrefix(batch, this.#filled, headerBytes, payloadBytes);
    for (const part of joined) {
      batch.set(part, end);
      end += part.length;
    }
    this.#filled = end;
    return headerBytes;
  }

  #write(parts: readonly Uint8Array[], onSent: OnSent | undefined): void {
    for (const [index, part] of parts.entries()) {
      this.#socket.write(part, index === parts.length - 1 ? onSent : undefined);
    }
  }
}

function sumOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
