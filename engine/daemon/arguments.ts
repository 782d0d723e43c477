/** Checks of what a caller hands to a BlockCache, besides the names (index/core/names.ts). */
import { CacheError } from "../../index/core/errors.js";
import { COHERENCY_BYTES_MAX, SLOT_BYTES } from "../../index/core/layout.js";
import { checkFsName, checkName } from "../../index/core/names.js";
import { READ_BYTES_MAX, WRITE_BYTES_MAX, ZERO_BYTES_MAX } from "../api.js";
import type { GetOptions, InvalidateTarget } from "../api.js";
import { FILE_BYTES_MAX } from "./fields.js";

/** A range within a block; it may reach past the block's valid bytes. */
export interface BlockSpan {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
}

/** @throws {CacheError} E_ARGUMENT unless offset and length lie in the block and `into` holds what is asked for. */
export function checkSpan(options: GetOptions | undefined): BlockSpan {
  const offsetBytes = checkInteger("offsetBytes", options?.offsetBytes ?? 0, SLOT_BYTES);
  const asked = checkInteger("lengthBytes", options?.lengthBytes ?? SLOT_BYTES, SLOT_BYTES);
  const lengthBytes = Math.min(asked, SLOT_BYTES - offsetBytes);
  if (options?.into !== undefined && options.into.length < lengthBytes) {
    throw refused("into", `it has ${options.into.length} bytes`, `at least ${lengthBytes}`);
  }
  return { offsetBytes, lengthBytes };
}

/** @throws {CacheError} E_ARGUMENT unless 1 to 256 KiB. */
export function checkBlockPayload(bytes: Uint8Array): void {
  if (bytes.length < 1 || bytes.length > SLOT_BYTES) {
    throw refused("payload", `it has ${bytes.length} bytes`, `1 to ${SLOT_BYTES}`);
  }
}

/** What a cull is to leave at most. @throws {CacheError} E_ARGUMENT unless a safe integer, 0 or more. */
export function checkUsedBytesMax(usedBytesMax: number): number {
  return checkInteger("usedBytesMax", usedBytesMax, Number.MAX_SAFE_INTEGER);
}

/** @throws {CacheError} E_ARGUMENT if longer than COHERENCY_BYTES_MAX. */
export function checkCoherency(coherency: Uint8Array | undefined): void {
  if (coherency !== undefined && coherency.length > COHERENCY_BYTES_MAX) {
    throw refused("coherency", `it has ${coherency.length} bytes`, `at most ${COHERENCY_BYTES_MAX}`);
  }
}

/** @throws {CacheError} E_ARGUMENT unless 0 to 2^63 - 1. */
export function checkFileSize(sizeBytes: bigint | undefined): void {
  if (sizeBytes !== undefined) checkFileOffset("sizeBytes", sizeBytes);
}

/** @throws {CacheError} E_ARGUMENT unless the offset lies below 2^63 and there are at most READ_BYTES_MAX bytes. */
export function checkRead(offsetBytes: bigint, lengthBytes: number): void {
  checkFileOffset("offsetBytes", offsetBytes);
  checkInteger("lengthBytes", lengthBytes, READ_BYTES_MAX);
}

/** @throws {CacheError} E_ARGUMENT unless the offset lies below 2^63 and there are at most WRITE_BYTES_MAX bytes. */
export function checkWrite(offsetBytes: bigint, bytes: Uint8Array): void {
  checkFileOffset("offsetBytes", offsetBytes);
  checkInteger("payload", bytes.length, WRITE_BYTES_MAX);
}

/** @throws {CacheError} E_ARGUMENT unless the offset lies below 2^63 and there are at most ZERO_BYTES_MAX bytes. */
export function checkZero(offsetBytes: bigint, lengthBytes: number): void {
  checkFileOffset("offsetBytes", offsetBytes);
  checkInteger("lengthBytes", lengthBytes, ZERO_BYTES_MAX);
}

/** @throws {CacheError} E_ARGUMENT unless the range lies within 0 to 2^63 - 1. */
export function checkFileRange(offsetBytes: bigint, lengthBytes: bigint): void {
  checkFileOffset("offsetBytes", offsetBytes);
  checkFileOffset("lengthBytes", lengthBytes);
  checkFileOffset("the end of the range", offsetBytes + lengthBytes);
}

/** @throws {CacheError} E_ARGUMENT unless names and range are right and each has the one above it. */
export function checkInvalidate(target: InvalidateTarget): InvalidateTarget {
  const { fs, volume, inode, range } = target;
  checkFsName(fs);
  if (volume !== undefined) checkName("volume", volume);
  if (inode !== undefined) checkName("inode", inode);
  if (range !== undefined) checkFileRange(range.offsetBytes, range.lengthBytes);
  if ((inode === undefined || volume !== undefined) && (range === undefined || inode !== undefined))
    return target;
  throw refused("the target", "a name above it is missing", "a volume with an inode, an inode with a range");
}

function checkFileOffset(name: string, value: bigint): void {
  if (typeof value !== "bigint" || value < 0n || value > FILE_BYTES_MAX) {
    throw refused(name, `it is ${value}`, "a bigint from 0 to 2^63 - 1");
  }
}

/** @throws {CacheError} E_ARGUMENT unless a whole number from 0 to `max`. */
export function checkInteger(name: string, value: number, max: number): number {
  if (!Number.isSafeInteger(value) || value < 0 || value > max) {
    throw refused(name, `it is ${value}`, `a whole number from 0 to ${max}`);
  }
  return value;
}

function refused(name: string, found: string, wanted: string): CacheError {
  return new CacheError("E_ARGUMENT", `Cannot use ${name}: ${found}, want ${wanted}`);
}
