/** What a cache may take: capacity, slots, and the index's share of it. Checked here, promised everywhere else. */
import { CacheError } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import type { DriveSpace } from "./cull/drive.js";

export const SLOTS_MIN = 16;
export const CAPACITY_BYTES_MIN = SLOTS_MIN * SLOT_BYTES;
/** Default capacity: the smaller of this and a fifth of what is free. */
const DEFAULT_BYTES_MAX = 10 * 1024 ** 3;
const DEFAULT_SHARE = 0.2;
/** One slot for so many bytes of capacity, unless told otherwise: OpenAFS's rule. */
export const BYTES_A_SLOT = 32 * 1024;
/** The index and the ledger may take this share of the capacity: a full cache of 32 KiB files needs a third of it. */
const INDEX_SHARE = 1 / 32;
const INDEX_BYTES_MIN = 1024 * 1024;
/** Slot numbers take 4 bytes; the bound leaves room for retired ones. */
const SLOTS_MAX = 2 ** 31;

export interface CacheLimits {
  readonly capacityBytes: number;
  readonly slotsMax: number;
  readonly indexBytesMax: number;
  /** What is left for slot files. */
  readonly slotBytesMax: number;
}

/**
 * @param ownBytes what the cache itself occupies already: it counts as free for the default.
 * @param indexBytesNow what index and ledger occupy already: LMDB files don't shrink, so their share is at least that.
 * @throws {CacheError} E_CONFIG with what is wrong and what is wanted.
 */
export function limitsOf(
  options: { readonly capacityBytes?: number; readonly slotsMax?: number },
  drive: DriveSpace,
  ownBytes: number,
  indexBytesNow = 0,
): CacheLimits {
  const capacityBytes = options.capacityBytes ?? defaultCapacity(drive, ownBytes);
  if (!Number.isSafeInteger(capacityBytes) || capacityBytes < CAPACITY_BYTES_MIN) {
    const wanted = `at least ${SLOTS_MIN} slots of 256 KiB, ${CAPACITY_BYTES_MIN} bytes`;
    throw new CacheError("E_CONFIG", `Cannot use a capacity of ${capacityBytes} bytes: want ${wanted}`);
  }
  if (capacityBytes > drive.totalBytes) {
    const message = `Cannot use a capacity of ${capacityBytes} bytes: the drive has ${drive.totalBytes}`;
    throw new CacheError("E_CONFIG", message);
  }
  const slotsMax = options.slotsMax ?? Math.min(SLOTS_MAX, Math.floor(capacityBytes / BYTES_A_SLOT));
  if (!Number.isSafeInteger(slotsMax) || slotsMax < SLOTS_MIN || slotsMax > SLOTS_MAX) {
    throw new CacheError("E_CONFIG", `Cannot use ${slotsMax} slots: want ${SLOTS_MIN} to ${SLOTS_MAX}`);
  }
  const indexBytesMax = Math.max(INDEX_BYTES_MIN, Math.floor(capacityBytes * INDEX_SHARE), indexBytesNow);
  return { capacityBytes, slotsMax, indexBytesMax, slotBytesMax: capacityBytes - indexBytesMax };
}

/** The smaller of 10 GiB and a fifth of what is free, but never below the minimum. */
export function defaultCapacity(drive: DriveSpace, ownBytes: number): number {
  const share = Math.floor((drive.availableBytes + ownBytes) * DEFAULT_SHARE);
  return Math.max(CAPACITY_BYTES_MIN, Math.min(DEFAULT_BYTES_MAX, share));
}
