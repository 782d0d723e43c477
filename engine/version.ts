/** The version of this program, from its package. */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

function readVersion(): string {
  // One level up in the sources, two in dist/.
  for (const place of ["../package.json", "../../package.json"]) {
    try {
      const found: unknown = require(place);
      if (typeof found === "object" && found !== null && "version" in found) return String(found.version);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  return "unknown";
}

export const VERSION: string = readVersion();
