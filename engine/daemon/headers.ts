/**
 * Frame headers: one msgpack map with text keys. Bytes from the wire are walked before they are decoded, so that a
 * hostile header costs neither memory nor stack. Format: engine/PROTOCOL.md "Headers".
 */
import { Packr, Unpackr } from "msgpackr/pack";
import { CacheError, messageOf } from "../../index/core/errors.js";
import { HEADER_DEPTH_MAX } from "./limits.js";

export type HeaderValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly HeaderValue[]
  | { readonly [key: string]: HeaderValue };

export type Header = Readonly<Record<string, HeaderValue>>;

const packer = new Packr({ useRecords: false, variableMapSize: true });
const unpacker = new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" });

/** Integers above 32 bits are sent as 64-bit integers: the packer would make floats of them. */
export function wireInteger(value: number): number | bigint {
  return Number.isSafeInteger(value) && (value > 0xffff_ffff || value < -0x8000_0000) ? BigInt(value) : value;
}

export function encodeHeader(header: Header): Buffer {
  return packer.pack(header);
}

/**
 * Byte strings in the result are views on `bytes`; 64-bit integers are bigint.
 * @throws {CacheError} E_FRAME unless `bytes` is exactly one map of plain values with text keys.
 */
export function decodeHeader(bytes: Buffer): Header {
  const first = bytes[0] ?? 0;
  if (first >>> 4 !== 0x8 && first !== 0xde && first !== 0xdf) throw malformed("it is no map");
  const end = walkValue(bytes, 0, 0);
  if (end !== bytes.length) throw malformed(`${bytes.length - end} bytes follow the map`);
  try {
    return unpacker.unpack(bytes) as Header; // walkValue has seen that it is a map of plain values
  } catch (cause) {
    throw new CacheError("E_FRAME", `Cannot read a header: ${messageOf(cause)}`, { cause });
  }
}

function malformed(what: string): CacheError {
  return new CacheError("E_FRAME", `Cannot read a header: ${what}, want one msgpack map`);
}

/** Bytes of the fixed-size values 0xca to 0xd3 after their first byte. */
const FIXED_BYTES = [4, 8, 1, 2, 4, 8, 1, 2, 4, 8];

/** The offset behind the value at `at`; every declared length is compared with what is there. */
function walkValue(bytes: Buffer, at: number, depth: number): number {
  const first = byteAt(bytes, at);
  if (first < 0x80 || first >= 0xe0) return at + 1;
  if (first < 0x90) return walkMap(bytes, at + 1, first & 0x0f, depth);
  if (first < 0xa0) return walkArray(bytes, at + 1, first & 0x0f, depth);
  if (first < 0xc0) return within(bytes, at + 1 + (first & 0x1f));
  if (first === 0xc0 || first === 0xc2 || first === 0xc3) return at + 1;
  if (first >= 0xca && first <= 0xd3) return within(bytes, at + 1 + (FIXED_BYTES[first - 0xca] ?? 0));
  if (first >= 0xc4 && first <= 0xc6) return walkSized(bytes, at + 1, 1 << (first - 0xc4));
  if (first >= 0xd9 && first <= 0xdb) return walkSized(bytes, at + 1, 1 << (first - 0xd9));
  const lengthBytes = first === 0xdc || first === 0xde ? 2 : 4;
  if (first === 0xdc || first === 0xdd) {
    return walkArray(bytes, at + 1 + lengthBytes, lengthAt(bytes, at + 1, lengthBytes), depth);
  }
  if (first === 0xde || first === 0xdf) {
    return walkMap(bytes, at + 1 + lengthBytes, lengthAt(bytes, at + 1, lengthBytes), depth);
  }
  throw malformed(`type byte ${first.toString(16)} is not used by this protocol`);
}

function walkSized(bytes: Buffer, at: number, lengthBytes: number): number {
  return within(bytes, at + lengthBytes + lengthAt(bytes, at, lengthBytes));
}

function walkArray(bytes: Buffer, start: number, count: number, depth: number): number {
  checkDepth(depth);
  within(bytes, start + count); // each value takes a byte at least
  let at = start;
  for (let index = 0; index < count; index += 1) at = walkValue(bytes, at, depth + 1);
  return at;
}

function walkMap(bytes: Buffer, start: number, count: number, depth: number): number {
  checkDepth(depth);
  within(bytes, start + 2 * count);
  let at = start;
  for (let index = 0; index < count; index += 1) {
    const first = byteAt(bytes, at);
    if ((first < 0xa0 || first > 0xbf) && (first < 0xd9 || first > 0xdb)) throw malformed("a key is no text");
    at = walkValue(bytes, walkValue(bytes, at, depth), depth + 1);
  }
  return at;
}

function checkDepth(depth: number): void {
  if (depth >= HEADER_DEPTH_MAX) throw malformed(`it is nested deeper than ${HEADER_DEPTH_MAX}`);
}

function lengthAt(bytes: Buffer, at: number, lengthBytes: number): number {
  within(bytes, at + lengthBytes);
  return bytes.readUIntBE(at, lengthBytes);
}

function byteAt(bytes: Buffer, at: number): number {
  within(bytes, at + 1);
  return bytes[at] ?? 0;
}

function within(bytes: Buffer, end: number): number {
  if (end > bytes.length) throw malformed(`it ends ${end - bytes.length} bytes early`);
  return end;
}
