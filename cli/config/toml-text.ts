/** Settings as lines of TOML, each with a comment that says where it comes from. */
import type { ConfigEntry } from "../../engine/daemon/config-service.js";
import { nameText } from "../../index/core/names.js";

/** `capacity = "10GiB"  # file /etc/tagcache/tagcache.toml:3`; what a file with these lines means is the same. */
export function tomlLine(entry: ConfigEntry): string {
  return `${entry.key} = ${tomlValue(entry)}  # ${sourceText(entry)}`;
}

/** Where a value comes from, in words. */
export function sourceText({ source, origin }: ConfigEntry): string {
  const words = source === "set" ? "set while running" : source;
  // A path may hold a line feed, which would end the comment.
  return origin === undefined ? words : `${words} ${nameText(origin)}`;
}

function tomlValue({ key, value }: ConfigEntry): string {
  if (key === "shares") return `[${value === "" ? "" : value.split(",").map(quoted).join(", ")}]`;
  return /^(?:0|[1-9]\d{0,17})$/.test(value) ? value : quoted(value);
}

/** A basic string. JSON escapes all that TOML wants escaped but one character. */
function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\u007F", String.raw`\u007F`);
}
