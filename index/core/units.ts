/** Sizes as people write them, and as they like to read them. The one grammar of the command line and the config file. */
import { CacheError } from "./errors.js";

const KIB = 1024;
const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
/** Powers of 1024 by the first letter of a unit. */
const POWERS: Readonly<Record<string, number>> = { "": 0, b: 0, k: 1, m: 2, g: 3, t: 4, p: 5 };
const SIZE = /^(?<number>\d+(?:\.\d+)?)\s*(?<unit>%|b|[kmgtp](?:ib)?)?$/i;
const WANTED = "want bytes (1048576), a size (512MiB, 10G, 1.5GiB) or a share of the drive (20%)";

export interface ParseSizeOptions {
  /** What 100 % means; without it a share is refused. */
  readonly totalBytes?: number;
}

/**
 * Reads a size: plain bytes, a number with K, M, G, T or P (powers of 1024, with or without "iB"), or a percentage.
 * Fractions are cut to whole bytes.
 * @returns a safe integer, 0 or more; what is too small or too large for a purpose is the caller's to say.
 * @throws {CacheError} E_ARGUMENT when the text is no size.
 */
export function parseSize(text: string, options: ParseSizeOptions = {}): number {
  const match = SIZE.exec(text.trim());
  if (match?.groups === undefined) throw refused(text, decimalHint(text) ?? WANTED);
  const digits = match.groups["number"] ?? "";
  const unit = (match.groups["unit"] ?? "").toLowerCase();
  const bytes = unit === "%" ? shareOf(text, Number(digits), options.totalBytes) : scaled(text, digits, unit);
  if (!Number.isSafeInteger(bytes)) throw refused(text, "want less than 8 PiB");
  return bytes;
}

function shareOf(text: string, percent: number, totalBytes: number | undefined): number {
  if (totalBytes === undefined) throw refused(text, "want bytes or a size such as 10GiB, not a percentage");
  if (percent > 100) throw refused(text, "want at most 100%");
  return Math.floor((totalBytes * percent) / 100);
}

function scaled(text: string, digits: string, unit: string): number {
  const power = POWERS[unit.slice(0, 1)] ?? 0;
  if (power === 0 && digits.includes(".")) throw refused(text, "want whole bytes");
  return Math.floor(Number(digits) * KIB ** power);
}

/** "10GB" is 10^10 bytes to some and 10 * 2^30 to others; nobody should find out later which it was. */
function decimalHint(text: string): string | undefined {
  return /^\d+(?:\.\d+)?\s*[kmgtp]b$/i.test(text.trim())
    ? "want GiB or G (powers of 1024) in place of GB"
    : undefined;
}

function refused(text: string, wanted: string): CacheError {
  return new CacheError("E_ARGUMENT", `Cannot read size "${text}": ${wanted}`);
}

/** A byte count for people: "0 B", "4.0 KiB", "1.5 GiB". */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unitIndex = 0;
  while (value >= KIB && unitIndex < UNITS.length - 1) {
    value /= KIB;
    unitIndex += 1;
  }
  // 1023.96 KiB would be shown as 1024.0 KiB.
  if (unitIndex > 0 && unitIndex < UNITS.length - 1 && Number(value.toFixed(1)) >= KIB) {
    value /= KIB;
    unitIndex += 1;
  }
  return `${unitIndex === 0 ? value : value.toFixed(1)} ${UNITS[unitIndex]}`;
}

/** A whole number with its digits in groups of three: 1234567 as "1,234,567". */
export function formatCount(count: number): string {
  return String(count).replaceAll(/\B(?=(?:\d{3})+$)/g, ",");
}
