/**
 * Reads msgpack values as the protocol has them, in one pass that takes nothing on trust: every length is compared with
 * what is there before anything of that length is looked at, so a hostile header costs neither memory nor stack.
 * Our own code and not the library's because headers had to be walked for that before they were decoded: one pass takes
 * a third of the time of the two.
 */
import { CacheError } from "../../index/core/errors.js";
import { HEADER_DEPTH_MAX } from "./limits.js";
import type { Header, HeaderValue } from "./headers.js";

/** Texts of up to so many bytes, keys and words of the protocol most of them, are looked up instead of made anew. */
const KNOWN_BYTES_MAX = 16;
const KNOWN_PLACES = 256;
const known: Array<{ readonly bytes: Buffer; readonly text: string } | undefined> = Array.from({
  length: KNOWN_PLACES,
});

/** What is being read, and how far it is read. One header at a time: nothing here waits. */
let bytes: Buffer = Buffer.alloc(0);
let at = 0;

/**
 * Byte strings in the result are views on `header`; 64-bit integers are bigint.
 * @throws {CacheError} E_FRAME unless `header` is exactly one map of plain values with text keys.
 */
export function decodeHeader(header: Buffer): Header {
  bytes = header;
  at = 0;
  const first = header[0] ?? 0;
  if (first >>> 4 !== 0x8 && first !== 0xde && first !== 0xdf) throw malformed("it is no map");
  const map = readValue(0) as Header; // its first byte says that it is a map
  if (at !== header.length) throw malformed(`${header.length - at} bytes follow the map`);
  return map;
}

function malformed(what: string): CacheError {
  return new CacheError("E_FRAME", `Cannot read a header: ${what}, want one msgpack map`);
}

function readValue(depth: number): HeaderValue {
  const first = readByte();
  if (first < 0x80) return first;
  if (first >= 0xe0) return first - 0x100;
  if (first < 0x90) return readMap(first & 0x0f, depth);
  if (first < 0xa0) return readArray(first & 0x0f, depth);
  if (first < 0xc0) return readText(first & 0x1f);
  switch (first) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xc4:
    case 0xc5:
    case 0xc6:
      return readBytes(readLength(1 << (first - 0xc4)));
    case 0xd9:
    case 0xda:
    case 0xdb:
      return readText(readLength(1 << (first - 0xd9)));
    case 0xdc:
    case 0xdd:
      return readArray(readLength(first === 0xdc ? 2 : 4), depth);
    case 0xde:
    case 0xdf:
      return readMap(readLength(first === 0xde ? 2 : 4), depth);
    default:
      return readNumber(first);
  }
}

/** 0xca to 0xd3: floats, unsigned and signed integers of a fixed size. */
function readNumber(first: number): number | bigint {
  switch (first) {
    case 0xca:
      return bytes.readFloatBE(skip(4));
    case 0xcb:
      return bytes.readDoubleBE(skip(8));
    case 0xcc:
      return readByte();
    case 0xcd:
      return bytes.readUInt16BE(skip(2));
    case 0xce:
      return bytes.readUInt32BE(skip(4));
    case 0xcf:
      return bytes.readBigUInt64BE(skip(8));
    case 0xd0:
      return bytes.readInt8(skip(1));
    case 0xd1:
      return bytes.readInt16BE(skip(2));
    case 0xd2:
      return bytes.readInt32BE(skip(4));
    case 0xd3:
      return bytes.readBigInt64BE(skip(8));
    default:
      throw malformed(`type byte ${first.toString(16)} is not used by this protocol`);
  }
}

function readArray(count: number, depth: number): HeaderValue[] {
  checkDepth(depth);
  within(at + count); // each value takes a byte at least
  const values: HeaderValue[] = [];
  for (let index = 0; index < count; index += 1) values.push(readValue(depth + 1));
  return values;
}

function readMap(count: number, depth: number): { readonly [key: string]: HeaderValue } {
  checkDepth(depth);
  within(at + 2 * count);
  const map: Record<string, HeaderValue> = {};
  for (let index = 0; index < count; index += 1) {
    const key = readKey();
    const value = readValue(depth + 1);
    // An assignment of this one would reach the prototype.
    if (key === "__proto__") Object.defineProperty(map, key, { value, enumerable: true, configurable: true });
    else map[key] = value;
  }
  return map;
}

function readKey(): string {
  const first = readByte();
  if (first >= 0xa0 && first <= 0xbf) return readText(first & 0x1f);
  if (first >= 0xd9 && first <= 0xdb) return readText(readLength(1 << (first - 0xd9)));
  throw malformed("a key is no text");
}

function readBytes(length: number): Buffer {
  const start = skip(length);
  return bytes.subarray(start, start + length);
}

function readText(length: number): string {
  const start = skip(length);
  if (length === 0 || length > KNOWN_BYTES_MAX) return bytes.toString("utf8", start, start + length);
  const mixed = (bytes[start] as number) * 31 + (bytes[start + length - 1] as number) * 7 + length;
  const place = mixed % KNOWN_PLACES;
  const candidate = known[place];
  if (candidate !== undefined && isAt(candidate.bytes, start, length)) return candidate.text;
  const text = bytes.toString("utf8", start, start + length);
  known[place] = { bytes: Buffer.from(bytes.subarray(start, start + length)), text };
  return text;
}

function isAt(wanted: Buffer, start: number, length: number): boolean {
  if (wanted.length !== length) return false;
  for (let index = 0; index < length; index += 1) if (wanted[index] !== bytes[start + index]) return false;
  return true;
}

function checkDepth(depth: number): void {
  if (depth >= HEADER_DEPTH_MAX) throw malformed(`it is nested deeper than ${HEADER_DEPTH_MAX}`);
}

function readLength(lengthBytes: number): number {
  return bytes.readUIntBE(skip(lengthBytes), lengthBytes);
}

function readByte(): number {
  const start = skip(1);
  return bytes[start] as number;
}

/** Goes past so many bytes, which are there. @returns where they begin. */
function skip(count: number): number {
  const start = at;
  within(start + count);
  at = start + count;
  return start;
}

function within(end: number): void {
  if (end > bytes.length) throw malformed(`it ends ${end - bytes.length} bytes early`);
}
