/**
 * Writes the headers of most frames, small flat maps, straight to where they leave from. What is written is what the
 * packer of headers.ts would write; what is not small and flat is left to it.
 */
import type { Header, HeaderValue } from "./headers.js";

const MAP_KEYS_MAX = 15;
const TEXT_BYTES_MAX = 31;
/** Bytes that a number, or the head of a text or of bytes, takes at most. */
const HEAD_BYTES_MAX = 5;

/**
 * Writes the map of `id`, unless undefined, and of `header`, from `at` on.
 * @returns where it ends, or undefined when it has to be packed in the general way, or finds no room; then the bytes from
 *   `at` on are of no meaning.
 */
export function writeHeader(
  target: Buffer,
  at: number,
  id: number | bigint | undefined,
  header: Header,
): number | undefined {
  let end: number | undefined = at + 1;
  let keys = 0;
  if (end >= target.length) return undefined;
  if (id !== undefined) {
    end = writeEntry(target, end, "id", id);
    keys = 1;
  }
  for (const key in header) {
    if (end === undefined) return undefined;
    end = writeEntry(target, end, key, header[key] as HeaderValue);
    keys += 1;
  }
  if (keys > MAP_KEYS_MAX) return undefined;
  target[at] = 0x80 | keys;
  return end;
}

function writeEntry(target: Buffer, at: number, key: string, value: HeaderValue): number | undefined {
  const end = writeText(target, at, key);
  return end === undefined ? undefined : writeValue(target, end, value);
}

function writeValue(target: Buffer, at: number, value: HeaderValue): number | undefined {
  if (at + HEAD_BYTES_MAX > target.length) return undefined;
  if (typeof value === "string") return writeText(target, at, value);
  if (typeof value === "number") return writeUint(target, at, value);
  if (typeof value === "boolean") {
    target[at] = value ? 0xc3 : 0xc2;
    return at + 1;
  }
  return value instanceof Uint8Array ? writeBytes(target, at, value) : undefined;
}

/** Whole numbers from 0 to 2^32 - 1. */
function writeUint(target: Buffer, at: number, value: number): number | undefined {
  if (value >>> 0 !== value || Object.is(value, -0)) return undefined;
  if (value < 0x80) {
    target[at] = value;
    return at + 1;
  }
  if (value < 0x100) {
    target[at] = 0xcc;
    target[at + 1] = value;
    return at + 2;
  }
  if (value < 0x1_0000) {
    target[at] = 0xcd;
    return target.writeUInt16BE(value, at + 1);
  }
  target[at] = 0xce;
  return target.writeUInt32BE(value, at + 1);
}

function writeText(target: Buffer, at: number, text: string): number | undefined {
  const { length } = text;
  if (length > TEXT_BYTES_MAX || at + 1 + length > target.length) return undefined;
  target[at] = 0xa0 | length;
  for (let index = 0; index < length; index += 1) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) return undefined;
    target[at + 1 + index] = code;
  }
  return at + 1 + length;
}

function writeBytes(target: Buffer, at: number, bytes: Uint8Array): number | undefined {
  const { length } = bytes;
  const headBytes = length < 0x100 ? 2 : 3;
  if (length >= 0x1_0000 || at + headBytes + length > target.length) return undefined;
  if (headBytes === 2) {
    target[at] = 0xc4;
    target[at + 1] = length;
  } else {
    target[at] = 0xc5;
    target.writeUInt16BE(length, at + 1);
  }
  target.set(bytes, at + headBytes);
  return at + headBytes + length;
}
