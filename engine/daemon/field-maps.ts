/** Maps within a reply: their fields are checked as those of the header itself. */
import { CacheError } from "../../index/core/errors.js";
import { Fields } from "./fields.js";
import type { Header, HeaderValue } from "./headers.js";

/** The map under a key. @throws {CacheError} E_FRAME. */
export function mapOf(fields: Fields, key: string): Fields {
  return asMap(fields.raw(key), key);
}

/** The maps of the array under a key. @throws {CacheError} E_FRAME. */
export function mapsOf(fields: Fields, key: string): Fields[] {
  const value = fields.raw(key);
  if (!Array.isArray(value)) throw malformed(key, "an array");
  return (value as readonly HeaderValue[]).map((entry) => asMap(entry, key));
}

function asMap(value: HeaderValue | undefined, key: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw malformed(key, "a map");
  }
  return new Fields(value as Header, "E_FRAME");
}

function malformed(key: string, wanted: string): CacheError {
  return new CacheError("E_FRAME", `Cannot use a reply: its key "${key}" does not hold ${wanted}`);
}
