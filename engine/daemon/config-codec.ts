/** A daemon's configuration as header values, and back. */
import type { ConfigEntry } from "./config-service.js";
import type { Fields } from "./fields.js";
import type { HeaderValue } from "./headers.js";

export function encodeEntries(entries: readonly ConfigEntry[]): HeaderValue[] {
  return entries.map(({ key, value, source, origin }) => ({
    key,
    value,
    source,
    ...(origin !== undefined && { origin }),
  }));
}

/** @throws {CacheError} E_FRAME unless every entry has its texts. */
export function decodeEntries(fields: Fields): ConfigEntry[] {
  return fields.list("config").map((entry) => ({
    key: entry.text("key"),
    value: entry.text("value"),
    source: entry.text("source"),
    ...(entry.has("origin") && { origin: entry.text("origin") }),
  }));
}
