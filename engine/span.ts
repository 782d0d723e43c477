/** A byte range inside one block. */
import { CacheError } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import type { GetOptions } from "./api.js";

export interface Span {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** The range that a get asks for; what lies beyond the block's end is cut off later. @throws {CacheError} E_ARGUMENT. */
export function checkSpan(options: GetOptions): Span {
  const offsetBytes = options.offsetBytes ?? 0;
  if (!Number.isSafeInteger(offsetBytes) || offsetBytes < 0 || offsetBytes > SLOT_BYTES) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot get at offset ${offsetBytes} of a block: want 0 to ${SLOT_BYTES}`,
    );
  }
  const lengthBytes = options.lengthBytes ?? SLOT_BYTES - offsetBytes;
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > SLOT_BYTES) {
    throw new CacheError("E_ARGUMENT", `Cannot get ${lengthBytes} bytes of a block: want 0 to ${SLOT_BYTES}`);
  }
  const intoMin = Math.min(lengthBytes, SLOT_BYTES - offsetBytes);
  if (options.into !== undefined && options.into.length < intoMin) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot get into ${options.into.length} bytes: want room for ${intoMin}`,
    );
  }
  return { offsetBytes, lengthBytes };
}

/** Where the bytes of an answer go: the start of what the caller gave, which is not wrapped anew if it fits, or fresh memory. */
export function placeFor(into: Buffer | undefined, lengthBytes: number): Buffer {
  if (into === undefined) return Buffer.allocUnsafe(lengthBytes);
  return into.length === lengthBytes ? into : into.subarray(0, lengthBytes);
}
