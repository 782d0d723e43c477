/** The parts of a tag: bytes of any content; how they are checked, compared and shown. */
import { CacheError } from "./errors.js";
import { BLOCK_NUMBERS_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "./layout.js";

/** Opaque bytes; a string stands for its UTF-8 bytes. */
export type NameBytes = Uint8Array | string;

const PRINTABLE = /^[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]*$/u;
const ASCII = /^[\0-\x7f]*$/;
const NO_BYTES = Buffer.alloc(0);
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a name as a Buffer; shares memory with a given Uint8Array. */
export function nameBuffer(name: NameBytes): Buffer {
  if (typeof name === "string") return Buffer.from(name, "utf8");
  return Buffer.isBuffer(name) ? name : Buffer.from(name.buffer, name.byteOffset, name.byteLength);
}

/**
 * A copy that nobody else changes and that may be kept for long: it has memory of its own, where a share of Node's pool
 * would keep all 8 KiB of it.
 */
export function keptBytes(bytes: Uint8Array): Buffer {
  if (bytes.length === 0) return NO_BYTES;
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  copy.set(bytes);
  return copy;
}

/** A key for maps: equal for equal bytes, be they given as text or as bytes. */
export function nameKey(name: NameBytes): string {
  if (typeof name === "string" && ASCII.test(name)) return name;
  return nameBuffer(name).toString("latin1");
}

/** The same of a volume; U+0100 is in no key of a name, so it parts the two. */
export function volumeNameKey(fs: NameBytes, volume: NameBytes): string {
  return `${nameKey(fs)}\u0100${nameKey(volume)}`;
}

/** @throws {CacheError} E_ARGUMENT unless 1 to FS_NAME_BYTES_MAX bytes. */
export function checkFsName(fs: NameBytes): Buffer {
  const bytes = nameBuffer(fs);
  if (bytes.length === 0 || bytes.length > FS_NAME_BYTES_MAX) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot use fs: it has ${bytes.length} bytes, want 1 to ${FS_NAME_BYTES_MAX}`,
    );
  }
  return bytes;
}

/** @throws {CacheError} E_ARGUMENT if longer than NAME_BYTES_MAX. */
export function checkName(part: "volume" | "inode", name: NameBytes): Buffer {
  const bytes = nameBuffer(name);
  if (bytes.length > NAME_BYTES_MAX) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot use ${part}: it has ${bytes.length} bytes, want at most ${NAME_BYTES_MAX}`,
    );
  }
  return bytes;
}

/** @throws {CacheError} E_ARGUMENT unless a whole number from 0 to 2^45 - 1. */
export function checkBlock(block: number): number {
  if (!Number.isSafeInteger(block) || block < 0 || block >= BLOCK_NUMBERS_MAX) {
    throw new CacheError("E_ARGUMENT", `Cannot use block ${block}: want a whole number from 0 to 2^45 - 1`);
  }
  return block;
}

/** Text when the bytes are printable UTF-8, else `hex:` and hexadecimal digits; text that begins with `hex:` is escaped so too. */
export function nameText(name: NameBytes): string {
  const bytes = nameBuffer(name);
  try {
    const text = utf8.decode(bytes);
    if (PRINTABLE.test(text) && !text.startsWith("hex:")) return text;
  } catch {
    return `hex:${bytes.toString("hex")}`; // not UTF-8
  }
  return `hex:${bytes.toString("hex")}`;
}

/**
 * The inverse of nameText: `hex:` and an even number of digits, else UTF-8 text.
 * @throws {CacheError} E_ARGUMENT on malformed digits.
 */
export function parseNameText(text: string): Buffer {
  if (!text.startsWith("hex:")) return Buffer.from(text, "utf8");
  const digits = text.slice(4);
  if (digits.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(digits)) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot read "${text}": want hex: and an even number of hexadecimal digits`,
    );
  }
  return Buffer.from(digits, "hex");
}
