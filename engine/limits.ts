/**
 * What a cache may take: capacity, slots, the index's share, the drive's free space, shares of file systems and volumes.
 * Checked here together, promised everywhere else.
 */
import { CacheError } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import { type NameBytes, checkFsName, checkName, nameText } from "../index/core/names.js";
import { formatBytes } from "../index/core/units.js";
import type { DriveSpace } from "./cull/drive.js";
import type { WriteLimits } from "./cull/write-budget.js";

export const SLOTS_MIN = 16;
export const CAPACITY_BYTES_MIN = SLOTS_MIN * SLOT_BYTES;
/** Default capacity: the smaller of this and a fifth of what is free. */
const DEFAULT_BYTES_MAX = 10 * 1024 ** 3;
const DEFAULT_SHARE = 0.2;
/** One slot for so many bytes of capacity, unless told otherwise: OpenAFS's rule. */
export const BYTES_A_SLOT = 32 * 1024;
/** Index and ledger may take this share of the capacity: a full cache of 32 KiB files needs a third of it. */
export const INDEX_PERCENT = 100 / 32;
const INDEX_PERCENT_MAX = 50;
const INDEX_BYTES_MIN = 1024 * 1024;
/** Blocks that pins keep from culling may take this share of the capacity, unless told otherwise. */
export const PIN_PERCENT = 50;
/** Writers need something that can be culled. Neither may pins take more than this share of what is left for slots. */
export const PIN_PERCENT_MAX = 90;
/** Open files and pins may keep this share of what is left for slots, and of their number, from culling together. */
export const HOLD_PERCENT_MAX = 90;
/** A smaller write budget would not take one page. */
const WRITE_BYTES_MIN = 4096;
/** Slot numbers take 4 bytes; the bound leaves room for retired ones. */
const SLOTS_MAX = 2 ** 31;
/** Every victim is chosen among the shares, so they are few. */
export const SHARES_MAX = 64;

/** Percent of the drive's bytes (b) and inodes (f) that are available, by cachefilesd's names. */
export interface Thresholds {
  /** Culling for the drive's sake ends above this. */
  readonly brun: number;
  /** It begins below this. */
  readonly bcull: number;
  /** Nothing new is allocated below this. */
  readonly bstop: number;
  readonly frun: number;
  readonly fcull: number;
  readonly fstop: number;
}

/** cachefilesd's defaults, but for *stop*: 1 % is little on a drive that others share. */
export const THRESHOLDS: Thresholds = { brun: 7, bcull: 5, bstop: 3, frun: 7, fcull: 5, fstop: 3 };

/** What a file system, or one volume of it, is to have of the capacity at least and at most. */
export interface ShareRule {
  readonly fs: NameBytes;
  /** All volumes of the file system unless given. */
  readonly volume?: NameBytes;
  /** Of the capacity. What is below it is culled only when nothing else is left. */
  readonly minPercent?: number;
  /** Of the capacity. What would pass it drops the least valuable blocks of the same share first. */
  readonly maxPercent?: number;
}

export interface LimitOptions extends Partial<Thresholds> {
  /** Everything the cache occupies: slots, index, ledger. The smaller of 10 GiB and a fifth of what is free unless given. */
  readonly capacityBytes?: number;
  /** How many slots at most; one for 32 KiB of capacity unless given. */
  readonly slotsMax?: number;
  /** Percent of the capacity for index and ledger; 3.125 unless given, and never less than 1 MiB. */
  readonly indexPercent?: number;
  readonly shares?: readonly ShareRule[];
  /** Percent of the capacity, and of the slots, that pins keep from culling at most: 0 to 90; 50 unless given. */
  readonly pinPercent?: number;
  /**
   * Bytes a second that may be written to slots, on average, and bytes in any 24 hours; no such budget unless given. With
   * either a block is only stored when it comes for the second time, unless it is pinned, open, or awaited by others.
   */
  readonly writeBytesPerSecond?: number;
  readonly writeBytesPerDay?: number;
}

export interface Limits extends Thresholds, WriteLimits {
  readonly capacityBytes: number;
  readonly slotsMax: number;
  readonly indexPercent: number;
  readonly indexBytesMax: number;
  /** What is left for slot files. */
  readonly slotBytesMax: number;
  readonly shares: readonly ShareRule[];
  readonly pinPercent: number;
  /** What the slots of blocks that pins keep from culling occupy at most, and how many they are. */
  readonly pinBytesMax: number;
  readonly pinSlotsMax: number;
  /** The same of pins and open files together. */
  readonly holdBytesMax: number;
  readonly holdSlotsMax: number;
}

/** What stands already and has to go on fitting. */
export interface Standing {
  /** What the cache itself occupies: it counts as free for the default. */
  readonly ownBytes: number;
  /** What index and ledger occupy: LMDB files don't shrink, so their share is at least that. */
  readonly indexBytes: number;
}

/** Blocks that pins keep from culling, and what their slots occupy. */
export interface Pinned {
  readonly pinnedBytes: number;
  readonly pinnedSlots: number;
}

/** @throws {CacheError} E_CONFIG with what is wrong and what is wanted. */
export function limitsOf(options: LimitOptions, drive: DriveSpace, standing: Standing): Limits {
  const capacityBytes = options.capacityBytes ?? defaultCapacity(drive, standing.ownBytes);
  checkCapacity(capacityBytes, drive);
  const slotsMax = options.slotsMax ?? Math.min(SLOTS_MAX, Math.floor(capacityBytes / BYTES_A_SLOT));
  if (!Number.isSafeInteger(slotsMax) || slotsMax < SLOTS_MIN || slotsMax > SLOTS_MAX) {
    throw refused(`Cannot use ${slotsMax} slots: want ${SLOTS_MIN} to ${SLOTS_MAX}`);
  }
  const indexPercent = options.indexPercent ?? INDEX_PERCENT;
  if (!(indexPercent > 0 && indexPercent <= INDEX_PERCENT_MAX)) {
    throw refused(
      `Cannot use an index share of ${indexPercent} %: want more than 0, at most ${INDEX_PERCENT_MAX}`,
    );
  }
  const share = Math.floor((capacityBytes * indexPercent) / 100);
  const indexBytesMax = Math.max(INDEX_BYTES_MIN, share, standing.indexBytes);
  const thresholds = thresholdsOf(options);
  const shares = sharesOf(options.shares ?? [], capacityBytes);
  const slotBytesMax = capacityBytes - indexBytesMax;
  const pins = pinLimitsOf(options.pinPercent ?? PIN_PERCENT, { capacityBytes, slotBytesMax, slotsMax });
  return {
    capacityBytes,
    slotsMax,
    indexPercent,
    indexBytesMax,
    slotBytesMax,
    ...thresholds,
    shares,
    ...pins,
    ...writeLimitsOf(options),
    holdBytesMax: Math.max(0, Math.floor((slotBytesMax * HOLD_PERCENT_MAX) / 100)),
    holdSlotsMax: Math.floor((slotsMax * HOLD_PERCENT_MAX) / 100),
  };
}

function writeLimitsOf({ writeBytesPerSecond = 0, writeBytesPerDay = 0 }: LimitOptions): WriteLimits {
  for (const bytes of [writeBytesPerSecond, writeBytesPerDay]) {
    if (Number.isSafeInteger(bytes) && (bytes === 0 || bytes >= WRITE_BYTES_MIN)) continue;
    throw refused(
      `Cannot use a write budget of ${bytes} bytes: want 0 for none, or at least ${WRITE_BYTES_MIN}`,
    );
  }
  return { writeBytesPerSecond, writeBytesPerDay };
}

function pinLimitsOf(
  pinPercent: number,
  { capacityBytes, slotBytesMax, slotsMax }: Pick<Limits, "capacityBytes" | "slotBytesMax" | "slotsMax">,
): Pick<Limits, "pinPercent" | "pinBytesMax" | "pinSlotsMax"> {
  if (!(pinPercent >= 0 && pinPercent <= PIN_PERCENT_MAX)) {
    throw refused(`Cannot use a share of ${pinPercent} % for pins: want 0 to ${PIN_PERCENT_MAX}`);
  }
  const room = Math.max(0, Math.floor((slotBytesMax * PIN_PERCENT_MAX) / 100));
  return {
    pinPercent,
    pinBytesMax: Math.min(room, Math.floor((capacityBytes * pinPercent) / 100)),
    pinSlotsMax: Math.floor((slotsMax * pinPercent) / 100),
  };
}

/** The smaller of 10 GiB and a fifth of what is free, but never below the minimum. */
export function defaultCapacity(drive: DriveSpace, ownBytes: number): number {
  const share = Math.floor((drive.availableBytes + ownBytes) * DEFAULT_SHARE);
  return Math.max(CAPACITY_BYTES_MIN, Math.min(DEFAULT_BYTES_MAX, share));
}

function checkCapacity(capacityBytes: number, drive: DriveSpace): void {
  if (!Number.isSafeInteger(capacityBytes) || capacityBytes < CAPACITY_BYTES_MIN) {
    const wanted = `at least ${SLOTS_MIN} slots of 256 KiB, ${CAPACITY_BYTES_MIN} bytes`;
    throw refused(`Cannot use a capacity of ${capacityBytes} bytes: want ${wanted}`);
  }
  if (capacityBytes > drive.totalBytes) {
    throw refused(`Cannot use a capacity of ${capacityBytes} bytes: the drive has ${drive.totalBytes}`);
  }
}

function thresholdsOf(options: LimitOptions): Thresholds {
  const wanted = { ...THRESHOLDS };
  for (const name of ["brun", "bcull", "bstop", "frun", "fcull", "fstop"] as const) {
    const percent = options[name] ?? wanted[name];
    if (!(percent >= 0 && percent < 100)) {
      throw refused(`Cannot use ${name} ${percent} %: want 0 or more, below 100`);
    }
    wanted[name] = percent;
  }
  for (const kind of ["b", "f"] as const) {
    const [stop, cull, run] = [wanted[`${kind}stop`], wanted[`${kind}cull`], wanted[`${kind}run`]];
    if (stop < cull && cull < run) continue;
    const found = `${kind}stop ${stop} %, ${kind}cull ${cull} %, ${kind}run ${run} %`;
    throw refused(`Cannot use ${found}: want ${kind}stop below ${kind}cull below ${kind}run`);
  }
  return wanted;
}

/** Each rule by itself, then all together: minima have to fit side by side and under the maxima above them. */
function sharesOf(rules: readonly ShareRule[], capacityBytes: number): readonly ShareRule[] {
  if (rules.length > SHARES_MAX)
    throw refused(`Cannot use ${rules.length} shares: want at most ${SHARES_MAX}`);
  const named = new Set<string>();
  for (const rule of rules) {
    const name = checkRule(rule, capacityBytes);
    if (named.has(name)) throw refused(`Cannot use two shares of ${name}: want one`);
    named.add(name);
  }
  let total = 0;
  for (const fs of new Set(rules.map((rule) => nameText(rule.fs)))) {
    const own = rules.find((rule) => rule.volume === undefined && nameText(rule.fs) === fs);
    const volumes = rules.filter((rule) => rule.volume !== undefined && nameText(rule.fs) === fs);
    const minima = volumes.reduce((sum, rule) => sum + (rule.minPercent ?? 0), 0);
    if (own?.maxPercent !== undefined && minima > own.maxPercent) {
      throw refused(
        `Cannot use minima of ${minima} % for volumes of ${fs}: its maximum is ${own.maxPercent} %`,
      );
    }
    total += Math.max(minima, own?.minPercent ?? 0);
  }
  if (total > 100) throw refused(`Cannot use minimum shares of ${total} % together: want at most 100`);
  return rules.map((rule) => ({ ...rule }));
}

/** @returns the rule's name, for messages and for telling rules apart. */
function checkRule({ fs, volume, minPercent, maxPercent }: ShareRule, capacityBytes: number): string {
  const fsText = nameText(checkFsName(fs));
  const name = volume === undefined ? fsText : `${fsText}/${nameText(checkName("volume", volume))}`;
  if (minPercent === undefined && maxPercent === undefined) {
    throw refused(`Cannot use a share of ${name} without figures: want a minimum, a maximum or both`);
  }
  for (const percent of [minPercent, maxPercent]) {
    if (percent === undefined || (percent >= 0 && percent <= 100)) continue;
    throw refused(`Cannot use a share of ${percent} % of ${name}: want 0 to 100`);
  }
  if (maxPercent !== undefined && (capacityBytes * maxPercent) / 100 < SLOT_BYTES) {
    const bytes = formatBytes(Math.floor((capacityBytes * maxPercent) / 100));
    throw refused(
      `Cannot use a share of ${maxPercent} % of ${name}: that is ${bytes}, want room for a block of 256 KiB`,
    );
  }
  if (minPercent !== undefined && maxPercent !== undefined && minPercent > maxPercent) {
    throw refused(
      `Cannot use a share of ${minPercent} % at least and ${maxPercent} % at most of ${name}: want less at least`,
    );
  }
  return name;
}

/** Whether index and ledger leave less than half of the capacity to slots. */
export function indexTooLarge(limits: Limits): boolean {
  return limits.slotBytesMax < limits.capacityBytes / 2;
}

/** Whether what stands and may not go fits. @throws {CacheError} E_CONFIG with what is wrong and what is wanted. */
export function checkFits(limits: Limits, standing: Standing & Pinned): void {
  if (indexTooLarge(limits)) {
    const found = `index and ledger occupy ${formatBytes(standing.indexBytes)}`;
    const advice = `want ${formatBytes(2 * standing.indexBytes)} or more, or a wipe first`;
    throw refused(`Cannot use a capacity of ${limits.capacityBytes} bytes: ${found}; ${advice}`);
  }
  if (standing.pinnedBytes > limits.pinBytesMax) {
    const found = `${formatBytes(standing.pinnedBytes)} are pinned, at most ${formatBytes(limits.pinBytesMax)} could be`;
    throw refused(
      `Cannot use a capacity of ${limits.capacityBytes} bytes: ${found}; want more, or unpin first`,
    );
  }
  if (standing.pinnedSlots > limits.pinSlotsMax) {
    const found = `${standing.pinnedSlots} are pinned, at most ${limits.pinSlotsMax} could be`;
    throw refused(`Cannot use ${limits.slotsMax} slots: ${found}; want more, or unpin first`);
  }
}

function refused(message: string): CacheError {
  return new CacheError("E_CONFIG", message);
}
