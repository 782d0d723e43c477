/** What callers of handles pass: checked, copied where it is kept. */
import { SCRUB_BYTES_PER_SECOND, SCRUB_BYTES_PER_SECOND_MIN, type ScrubOptions } from "./api-trust.js";
import { CacheError } from "../index/core/errors.js";
import {
  COHERENCY_BYTES_MAX,
  NOTE_BYTES_MAX,
  NOTE_NAME_BYTES_MAX,
  SLOT_BYTES,
} from "../index/core/layout.js";
import { keptBytes, type NameBytes, checkFsName, nameBuffer } from "../index/core/names.js";
import type { NoteRecord } from "../index/ledger-notes.js";
import type { AcquireOutcome } from "./api.js";

export const FILE_BYTES_MAX = 2n ** 63n - 1n;

/** How an acquire finds a volume or file. */
export function outcomeOf(
  state: { recorded: boolean; coherency: Buffer },
  coherency: Buffer | undefined,
): AcquireOutcome {
  if (!state.recorded) return "created";
  return coherency === undefined || coherency.equals(state.coherency) ? "found" : "invalidated";
}

/** A copy. @throws {CacheError} E_ARGUMENT beyond COHERENCY_BYTES_MAX. */
export function coherencyOf(coherency: Uint8Array | undefined): Buffer | undefined {
  if (coherency === undefined) return undefined;
  if (coherency.length > COHERENCY_BYTES_MAX) {
    const message = `Cannot use coherency data: it has ${coherency.length} bytes, want at most ${COHERENCY_BYTES_MAX}`;
    throw new CacheError("E_ARGUMENT", message);
  }
  return keptBytes(coherency);
}

/** @throws {CacheError} E_ARGUMENT beyond 2^63 - 1. */
export function sizeOf(sizeBytes: bigint | undefined): bigint | undefined {
  if (sizeBytes === undefined || (sizeBytes >= 0n && sizeBytes <= FILE_BYTES_MAX)) return sizeBytes;
  throw new CacheError("E_ARGUMENT", `Cannot use a file of ${sizeBytes} bytes: want 0 to 2^63 - 1`);
}

/** A range that may go past any end. @throws {CacheError} E_ARGUMENT. */
export function checkFileRange(offsetBytes: bigint, lengthBytes: bigint): void {
  const fits = offsetBytes >= 0n && lengthBytes >= 0n && offsetBytes + lengthBytes <= FILE_BYTES_MAX;
  if (fits) return;
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot use ${lengthBytes} bytes at ${offsetBytes}: want a range within 0 to 2^63 - 1`,
  );
}

/** @throws {CacheError} E_ARGUMENT. */
export function checkRange(
  action: string,
  offsetBytes: bigint,
  lengthBytes: number,
  lengthMax: number,
): void {
  if (offsetBytes < 0n || offsetBytes > FILE_BYTES_MAX) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot ${action} at ${offsetBytes}: want an offset from 0 to 2^63 - 1`,
    );
  }
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > lengthMax) {
    throw new CacheError("E_ARGUMENT", `Cannot ${action} ${lengthBytes} bytes: want 0 to ${lengthMax}`);
  }
}

/** What one block may hold. @throws {CacheError} E_ARGUMENT. */
export function checkBlockBytes({ length }: Uint8Array): void {
  if (length >= 1 && length <= SLOT_BYTES) return;
  throw new CacheError("E_ARGUMENT", `Cannot put a block of ${length} bytes: want 1 to ${SLOT_BYTES}`);
}

/** How much may be left after a cull. @throws {CacheError} E_ARGUMENT. */
export function checkBytesMax(action: string, bytesMax: number): number {
  if (Number.isSafeInteger(bytesMax) && bytesMax >= 0) return bytesMax;
  throw new CacheError("E_ARGUMENT", `Cannot ${action} to ${bytesMax} bytes: want a whole number, 0 or more`);
}

/** Copies. @throws {CacheError} E_ARGUMENT. */
export function checkNoteName(
  fs: NameBytes,
  name: NameBytes,
): { readonly fs: Buffer; readonly name: Buffer } {
  const names = { fs: Buffer.from(checkFsName(fs)), name: Buffer.from(nameBuffer(name)) };
  const { length } = names.name;
  if (length > 0 && length <= NOTE_NAME_BYTES_MAX) return names;
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot use a note's name of ${length} bytes: want 1 to ${NOTE_NAME_BYTES_MAX}`,
  );
}

/** Copies. @throws {CacheError} E_ARGUMENT. */
export function checkNote(fs: NameBytes, name: NameBytes, value: Uint8Array): NoteRecord {
  const names = checkNoteName(fs, name);
  if (value.length <= NOTE_BYTES_MAX) return { ...names, value: Buffer.from(value) };
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot keep a note of ${value.length} bytes: want at most ${NOTE_BYTES_MAX}`,
  );
}

/** @throws {CacheError} E_ARGUMENT. */
export function checkScrub({
  bytesPerSecond = SCRUB_BYTES_PER_SECOND,
}: ScrubOptions): Required<ScrubOptions> {
  const fits = bytesPerSecond === 0 || bytesPerSecond >= SCRUB_BYTES_PER_SECOND_MIN;
  if (Number.isSafeInteger(bytesPerSecond) && fits) return { bytesPerSecond };
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot scrub at ${bytesPerSecond} bytes a second: want ${SCRUB_BYTES_PER_SECOND_MIN} or more, or 0 to end it`,
  );
}
