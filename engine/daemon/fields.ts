/** Typed access to the values of a header: checked by type and range, never trusted. */
import { CacheError } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import type { ByteRange } from "../api.js";
import type { Header, HeaderValue } from "./headers.js";

/** File offsets and sizes lie at or below this. */
export const FILE_BYTES_MAX = 2n ** 63n - 1n;

/** One header; what is absent or wrong is thrown with the code given: E_ARGUMENT for a request, E_FRAME for a reply. */
export class Fields {
  readonly #header: Header;
  readonly #code: CacheErrorCode;

  constructor(header: Header, code: CacheErrorCode) {
    this.#header = header;
    this.#code = code;
  }

  /** The value as it is; undefined when absent. nil counts as absent. */
  raw(key: string): HeaderValue | undefined {
    return this.#header[key] ?? undefined;
  }

  keys(): readonly string[] {
    return Object.keys(this.#header);
  }

  /** The same with copies of its byte strings, which outlive the frame. */
  owned(): Fields {
    const copies = Object.entries(this.#header).map(([key, value]) => [
      key,
      value instanceof Uint8Array ? Buffer.from(value) : value,
    ]);
    return new Fields(Object.fromEntries(copies) as Header, this.#code);
  }

  text(key: string): string {
    const value = this.raw(key);
    return typeof value === "string" ? value : this.#refuse(key, "text");
  }

  /** A copy, since the frame's memory is reused. */
  bytesCopy(key: string, bytesMax: number): Buffer {
    return Buffer.from(this.bytes(key, bytesMax));
  }

  /** A view on the frame, valid while the request is served. */
  bytes(key: string, bytesMax: number): Buffer {
    const value = this.raw(key);
    if (!(value instanceof Uint8Array) || value.length > bytesMax) {
      return this.#refuse(key, `0 to ${bytesMax} bytes`);
    }
    return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.length);
  }

  /** A whole number from 0 to `max`, which is at most 2^53 - 1. */
  uint(key: string, max: number): number {
    const value = toNumber(this.raw(key));
    if (value === undefined || value < 0 || value > max) {
      return this.#refuse(key, `a whole number from 0 to ${max}`);
    }
    return value;
  }

  /** A whole number from 0 to 2^63 - 1. */
  uint63(key: string): bigint {
    const value = toBigInt(this.raw(key));
    return value === undefined ? this.#refuse(key, "a whole number from 0 to 2^63 - 1") : value;
  }

  /** False when absent. */
  flag(key: string): boolean {
    const value = this.raw(key);
    if (value === undefined) return false;
    return typeof value === "boolean" ? value : this.#refuse(key, "true or false");
  }

  /** A map of text to text, in the order of the wire. */
  textMap(key: string): Map<string, string> {
    const value = this.raw(key);
    if (typeof value !== "object" || value === null || value instanceof Uint8Array || Array.isArray(value)) {
      return this.#refuse(key, "a map of text to text");
    }
    const map = new Map<string, string>();
    for (const [name, text] of Object.entries(value) as Array<[string, HeaderValue]>) {
      if (typeof text !== "string") return this.#refuse(key, "a map of text to text");
      map.set(name, text);
    }
    return map;
  }

  /** An array of maps, each with the means of this class. */
  list(key: string): Fields[] {
    const value = this.raw(key);
    if (!Array.isArray(value)) return this.#refuse(key, "an array of maps");
    return (value as readonly HeaderValue[]).map((element) => {
      if (typeof element !== "object" || element === null || Array.isArray(element)) {
        return this.#refuse(key, "an array of maps");
      }
      return new Fields(element as Header, this.#code);
    });
  }

  /** An array of [offset, length] pairs, ascending and disjoint. */
  ranges(key: string): ByteRange[] {
    const value = this.raw(key);
    if (!Array.isArray(value)) return this.#refuse(key, "an array of ranges");
    const ranges: ByteRange[] = [];
    let end = 0n;
    for (const pair of value as readonly HeaderValue[]) {
      const [offset, length] = Array.isArray(pair) ? (pair as readonly HeaderValue[]) : [];
      const offsetBytes = toBigInt(offset);
      const lengthBytes = toNumber(length);
      if (offsetBytes === undefined || lengthBytes === undefined || offsetBytes < end || lengthBytes < 1) {
        return this.#refuse(key, "ascending pairs of offset and length");
      }
      end = offsetBytes + BigInt(lengthBytes);
      ranges.push({ offsetBytes, lengthBytes });
    }
    return ranges;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  #refuse(key: string, wanted: string): never {
    const found = this.raw(key) === undefined ? "absent" : "of another type or out of range";
    throw new CacheError(this.#code, `Cannot use header key "${key}": it is ${found}, want ${wanted}`);
  }
}

/** The inverse of Fields.ranges. */
export function wireRanges(ranges: readonly ByteRange[]): HeaderValue[] {
  return ranges.map((range) => [range.offsetBytes, range.lengthBytes]);
}

function toNumber(value: HeaderValue | undefined): number | undefined {
  const number = typeof value === "bigint" ? Number(value) : value;
  return typeof number === "number" && Number.isSafeInteger(number) ? number : undefined;
}

function toBigInt(value: HeaderValue | undefined): bigint | undefined {
  const integer = typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  return typeof integer === "bigint" && integer >= 0n && integer <= FILE_BYTES_MAX ? integer : undefined;
}
