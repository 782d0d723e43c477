/** What a request says of itself, and what it is told when it is not served. */
import { CacheError } from "../../index/core/errors.js";
import type { Header } from "./headers.js";
import { SMALL_REQUEST_BYTES } from "./limits.js";

/** For a request that finds no room beside all others. */
export function overload(): CacheError {
  return new CacheError(
    "E_LIMIT",
    `Cannot serve a request of over ${SMALL_REQUEST_BYTES} bytes: too much is under way on all connections, try later`,
  );
}

export function errorFields(error: CacheError): Header {
  return { code: error.code, message: error.message };
}

/** Any unsigned integer; it is sent back as it came. */
export function requestId(header: Header): number | bigint {
  const id = header["id"];
  if (typeof id === "bigint" && id >= 0n) return id;
  if (typeof id === "number" && Number.isSafeInteger(id) && id >= 0) return id;
  throw new CacheError("E_FRAME", 'Cannot serve a request: it has no unsigned integer "id"');
}
