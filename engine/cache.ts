/**
 * tagcache's public face: opens a cache in this process, and everything a caller needs to name. The daemon, the tools
 * and other programs use this file and nothing below it.
 */
import fs from "node:fs";
import path from "node:path";
import { CacheError } from "../index/core/errors.js";
import type { OwnedCache } from "./api.js";
import { monotonicMs } from "./clock.js";
import { markClean } from "./coherency/close-state.js";
import { removeOldIndexes } from "./coherency/index-place.js";
import { type OnUnclean, type OpenState, openState, releaseState } from "./coherency/open-state.js";
import { readSignature } from "./coherency/signature.js";
import { driveSpace } from "./cull/drive.js";
import { BYTES_A_SLOT, type LimitOptions, type Limits, indexTooLarge, limitsOf } from "./limits.js";
import { LocalCache } from "./local-cache.js";
import { DEFAULT_POLICY, type PolicyName, checkPolicyName } from "./policy-names.js";
import { type LogFunction, silent } from "./log.js";
import type { SlotIo } from "./slots/io.js";
import { SlotFiles } from "./slots/slot-files.js";
import { STATE } from "./slots/slot-table.js";
import { WriteBack } from "./slots/write-back.js";

export type * from "./api.js";
export { READ_BYTES_MAX, WRITE_BYTES_MAX, ZERO_BYTES_MAX } from "./api.js";
export { VOLUMES_MAX } from "./api-counts.js";
export {
  ATTRIBUTES_BYTES_MAX,
  ENTRIES_MAX,
  ENTRY_HEAD_BYTES,
  ENTRY_LIST_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  FILE_TYPES,
  NEGATIVE_MS_MAX,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
  XATTR_NAME_BYTES_MAX,
} from "./metadata-api.js";
export { LIST_ENTRIES_MAX, LIST_NAME_BYTES_MAX, PINS_MAX, PIN_NAME_BYTES_MAX } from "./admin-api.js";
export { CacheError, type CacheErrorCode, ERROR_CODES, isCacheError } from "../index/core/errors.js";
export { BLOCK_NUMBERS_MAX, SLOT_BYTES } from "../index/core/layout.js";
export { nameText, parseNameText } from "../index/core/names.js";
export { driveSpace, type DriveSpace } from "./cull/drive.js";
export {
  LEASES_MAX,
  LEASE_MS,
  LEASE_MS_MAX,
  LEASE_WAITERS_MAX,
  LEASE_WAIT_MS,
  LEASE_WAIT_MS_MAX,
} from "./lease-api.js";
export { CAPACITY_BYTES_MIN, SLOTS_MIN, defaultCapacity, limitsOf } from "./limits.js";
export type { OnUnclean } from "./coherency/open-state.js";
export type { LogFunction, LogLevel } from "./log.js";
export { NOTES_MAX, NOTE_BYTES_MAX, NOTE_NAME_BYTES_MAX } from "./open-api.js";
export { DEFAULT_POLICY, POLICY_NAMES, type PolicyName, isPolicyName } from "./policy-names.js";
export { VERSION } from "./version.js";

export interface OpenCacheOptions extends LimitOptions {
  /** Made if missing. A local directory of its own: anything else in it, or a remote file system, is refused. */
  readonly directory: string;
  /** Where the ledger lies; `<directory>/ledger` unless given. */
  readonly stateDirectory?: string;
  /** Says which block goes next; "lru" unless given. */
  readonly policy?: PolicyName;
  /** Whether a sample of the traffic is watched, so that `tuneAdvice` knows something; true unless given. */
  readonly advice?: boolean;
  /**
   * What to do after an unclean end: forget everything, which it is unless given; or keep it, and use what passes its checks.
   * To be verified, the index has to be written for it: what replaces or removes something then waits for the drive.
   */
  readonly onUnclean?: OnUnclean;
  readonly log?: LogFunction;
  /** Wipe at start, for this reason, whatever the last owner left. */
  readonly wipeReason?: string;
  /**
   * Publishes where blocks lie, so that other processes that may read the directory can read blocks themselves (clients of
   * a daemon do): takes a thousandth of the capacity, and some microseconds of each change. Off unless given.
   */
  readonly publish?: boolean;
  /** A group that may read slot files and what is published, and so every block; nobody but the owner unless given. */
  readonly groupId?: number;
  /** For tests: stands between the cache and its slot files. */
  readonly io?: SlotIo;
  /** For tests: a monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/**
 * Opens the cache in a directory and owns it until close. What was stored before the last clean stop is there again;
 * after any other end the cache starts empty.
 * @throws {CacheError} E_BUSY with the owner's pid; E_NOT_OURS, E_DIRECTORY, E_CONFIG, E_FORMAT_VERSION,
 * E_LEDGER_CORRUPT, E_PLATFORM, E_IO. Nothing is changed then in a directory that is not ours.
 */
export async function openCache(options: OpenCacheOptions): Promise<OwnedCache> {
  const log = options.log ?? silent;
  const now = options.now ?? monotonicMs;
  const beganMs = now();
  const policy = checkPolicyName(options.policy ?? DEFAULT_POLICY);
  const nothing = { ownBytes: 0, indexBytes: 0 };
  limitsOf(options, driveSpace(nearestExisting(options.directory)), nothing); // before anything is touched
  let state = await openState({ ...options, log });
  try {
    let limits = limitsFor(options, state);
    if (indexTooLarge(limits)) {
      await releaseState(state);
      const wipeReason = "the index is too large for the capacity";
      state = await openState({ ...options, log, wipeReason });
      limits = limitsFor(options, state);
    }
    const { io, publish, groupId, advice = true } = options;
    const asked = {
      ...(io && { io }),
      ...(publish !== undefined && { publish }),
      ...(groupId !== undefined && { groupId }),
    };
    return await LocalCache.open({ state, limits, policy, advice, log, now, beganMs, ...asked });
  } catch (error) {
    await releaseState(state);
    throw error;
  }
}

/**
 * Wipes a cache that nobody owns: everything cached is forgotten, at the same cost for any amount; slot files stay, the
 * ledger's records too.
 * @throws {CacheError} as openCache; E_BUSY while somebody owns it; E_NOT_OURS where there is no cache.
 */
export async function wipeDirectory(
  options: Pick<OpenCacheOptions, "directory" | "stateDirectory" | "log">,
): Promise<{ epoch: number }> {
  const { directory, log = silent } = options;
  if (!fs.existsSync(directory) || readSignature(directory) === undefined) {
    throw new CacheError("E_NOT_OURS", `Cannot wipe ${directory}: there is no cache in it`);
  }
  const state = await openState({ ...options, log, wipeReason: "asked for" });
  const { table, index, epoch, objectCounters, order, nextSequence } = state;
  const files = new SlotFiles({ root: state.paths.slots, descriptorsMax: 1 });
  const writeBack = new WriteBack({ files, now: monotonicMs, onError: () => {} }); // nothing was written
  try {
    await removeOldIndexes(state.paths, epoch, log);
    await markClean({ state, index, epoch, objectCounters, order, table, files, writeBack, nextSequence });
    return { epoch };
  } finally {
    await releaseState(state);
  }
}

function limitsFor(options: LimitOptions, state: OpenState): Limits {
  const standing = { ownBytes: ownBytes(state), indexBytes: indexBytes(state) };
  return limitsOf(options, driveSpace(state.paths.directory), standing);
}

function indexBytes(state: OpenState): number {
  return state.index.stats().fileBytes + state.ledger.fileBytes();
}

/** What the cache itself holds of the drive; slots not looked at yet count as middling. */
function ownBytes(state: OpenState): number {
  return state.table.usedBytes + indexBytes(state) + state.table.countOf(STATE.unknown) * BYTES_A_SLOT;
}

function nearestExisting(directory: string): string {
  let place = path.resolve(directory);
  while (!fs.existsSync(place)) place = path.dirname(place);
  return place;
}
