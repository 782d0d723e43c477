/** Tries to own a directory: says `owner` or the code and message of the refusal, and exits with 75 after E_BUSY. */
import { openCache } from "../../engine/cache.js";
import { isCacheError } from "../../index/core/errors.js";
import { SMALL } from "./support.js";

const directory = process.argv[2] ?? "";
process.on("disconnect", () => process.exit(9)); // whoever started us is gone
process.send?.({ said: "ready" });
await new Promise((resolve) => process.once("message", resolve));
try {
  const cache = await openCache({ directory, ...SMALL });
  const { start } = await cache.status();
  process.send?.({ said: "owner", kind: start.kind });
} catch (error) {
  if (!isCacheError(error, "E_BUSY")) throw error;
  process.send?.({ said: "busy", message: error.message }, () => process.exit(75));
}
