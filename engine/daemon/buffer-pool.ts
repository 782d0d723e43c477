/** Buffers for payloads under way: a fresh 256 KiB buffer a request would double what the request costs. */
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";

const CLASS_BYTES = [PAGE_BYTES, 16 * PAGE_BYTES, SLOT_BYTES] as const;
/** Free buffers kept a class: 16.6 MiB of memory at most. */
const FREE_BUFFERS_MAX = 64;

/** Last in, first out, so that the buffer handed out next is the one the processor's cache still holds. */
export class BufferPool {
  readonly #free: Buffer[][] = CLASS_BYTES.map(() => []);

  /** A buffer of at least `bytes` bytes, with old content. Above 256 KiB it is a fresh one. */
  take(bytes: number): Buffer {
    const index = CLASS_BYTES.findIndex((classBytes) => bytes <= classBytes);
    return this.#free[index]?.pop() ?? Buffer.allocUnsafeSlow(CLASS_BYTES[index] ?? bytes);
  }

  /** Takes a buffer back, once, when nobody reads or writes it any more. */
  give(buffer: Buffer): void {
    const free = this.#free[CLASS_BYTES.findIndex((classBytes) => classBytes === buffer.length)];
    if (free !== undefined && free.length < FREE_BUFFERS_MAX) free.push(buffer);
  }
}
