/** The version in package.json, which lies above this file in the sources and in dist/. */
import { readFileSync } from "node:fs";
import { errnoOf } from "../index/core/errors.js";

export function version(): string {
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const { version: text } = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as {
        version: string;
      };
      return text;
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }
  return "unknown";
}
