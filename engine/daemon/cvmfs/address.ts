/** Where CVMFS clients find the cache, as their own configuration writes it: `unix=PATH` or `tcp=HOST:PORT`. */
import { CacheError } from "../../../index/core/errors.js";
import { parseMetricsAddress } from "../metrics-address.js";
import { checkSocketPath } from "../socket-path.js";

export type CvmfsAddress =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export const CVMFS_ADDRESS_WANTED = "unix=PATH, or tcp=HOST:PORT with a host of this machine's loopback";

/**
 * Clients part the text at `=` and `:`, so a path must have neither. Who reaches the port reads and writes the cache, and
 * clients trust what they read: so only this machine may. @throws {CacheError} E_ARGUMENT.
 */
export function parseCvmfsAddress(text: string): CvmfsAddress {
  const [, kind, rest = ""] = /^(unix|tcp)=(.+)$/s.exec(text) ?? [];
  if (kind === "unix") {
    if (/[=:]/.test(rest)) throw refused(text, "a path without = and :, at which clients part it");
    checkSocketPath(rest);
    return { kind, path: rest };
  }
  if (kind !== "tcp") throw refused(text, CVMFS_ADDRESS_WANTED);
  const { host, port, loopback } = addressOf(text, rest);
  if (!loopback || host.includes(":")) throw refused(text, CVMFS_ADDRESS_WANTED);
  return { kind, host, port };
}

function addressOf(text: string, rest: string): ReturnType<typeof parseMetricsAddress> {
  try {
    return parseMetricsAddress(rest);
  } catch (cause) {
    throw refused(text, CVMFS_ADDRESS_WANTED, cause);
  }
}

function refused(text: string, wanted: string, cause?: unknown): CacheError {
  const shown = JSON.stringify(text.slice(0, 100));
  return new CacheError("E_ARGUMENT", `Cannot serve CVMFS clients on ${shown}: want ${wanted}`, { cause });
}
