/** The texts that values of settings are written as: one grammar for flags, environment, file and `config set`. */
import { isAbsolute } from "node:path";
import { CVMFS_ADDRESS_WANTED, parseCvmfsAddress } from "../../engine/daemon/cvmfs/address.js";
import { parseMetricsAddress } from "../../engine/daemon/metrics-address.js";
import { checkSocketPath } from "../../engine/daemon/socket-path.js";
import { isCacheError } from "../../index/core/errors.js";
import { formatBytes, parseSize } from "../../index/core/units.js";
import { readRule, readRules } from "./shares.js";

/** A text in the form it is shown in, or in words what is wanted in its place. */
export type Reading =
  | { readonly kind: "value"; readonly text: string }
  | { readonly kind: "malformed"; readonly wanted: string };

/** What TOML calls the values that a setting may be written as. */
export type TomlKind = "string" | "integer" | "float" | "array";

export interface Grammar {
  /** In words, for a value of another type. */
  readonly wanted: string;
  /** Types that a file may use. What is no string is read as its digits; an array holds strings. */
  readonly kinds: readonly TomlKind[];
  /** Reads a whole value. */
  readonly read: (text: string) => Reading;
  /** Reads one string of an array. */
  readonly readElement?: (text: string) => Reading;
  /** What a file may hold besides: there a path has to be absolute. */
  readonly readFromFile?: (text: string) => Reading;
}

const PERCENT = /^(?<digits>\d{1,9}(?:\.\d{1,6})?)\s*%?$/;

export const path: Grammar = {
  wanted: "a path",
  kinds: ["string"],
  read: (text) => (text === "" ? malformed("a path") : value(text)),
  readFromFile: (text) => (isAbsolute(text) ? value(text) : malformed("an absolute path")),
};

/** A name; nothing means none. */
export const text: Grammar = {
  wanted: "a name",
  kinds: ["string"],
  read: (given) =>
    /^[^\s:,]*$/.test(given) ? value(given) : malformed("a name without spaces, colons and commas"),
};

/** In place of a socket's path: there is none. */
export const NO_SOCKET = "none";

export const socketPath: Grammar = {
  wanted: `a path or "${NO_SOCKET}"`,
  kinds: ["string"],
  read: (text) =>
    text === "" ? malformed(socketPath.wanted) : wantedOf(() => (checkSocketPath(text), text)),
  readFromFile: (text) =>
    text === NO_SOCKET || isAbsolute(text)
      ? socketPath.read(text)
      : malformed(`an absolute path or "${NO_SOCKET}"`),
};

/** Nothing means that no CVMFS clients are served. */
export const cvmfsAddress: Grammar = {
  wanted: CVMFS_ADDRESS_WANTED,
  kinds: ["string"],
  read: (text) => (text === "" ? value(text) : wantedOf(() => (parseCvmfsAddress(text), text))),
  readFromFile: (text) =>
    text.startsWith("unix=") && !isAbsolute(text.slice("unix=".length))
      ? malformed("an absolute path after unix=")
      : cvmfsAddress.read(text),
};

/** Nothing means that no metrics are served. */
export const metricsAddress: Grammar = {
  wanted: "HOST:PORT, or :PORT for this machine alone",
  kinds: ["string"],
  read: (text) => {
    if (text === "") return value(text);
    try {
      parseMetricsAddress(text);
      return value(text);
    } catch (error) {
      if (isCacheError(error, "E_ARGUMENT")) return malformed(metricsAddress.wanted);
      throw error;
    }
  },
};

export const size: Grammar = {
  wanted: "bytes (1048576), a size (512MiB, 10G, 1.5GiB) or a share of the drive (20%)",
  kinds: ["string", "integer"],
  // What a percentage comes to is known once the drive is; here it only has to be one.
  read: (text) => wantedOf(() => (parseSize(text, { totalBytes: 100 }), text.trim())),
};

/** A number of bytes, or none of a limit. */
export const budget: Grammar = {
  wanted: "bytes (1048576), a size (512MiB, 10G) or none",
  kinds: ["string", "integer"],
  read: (text) => {
    if (text.trim() === "none" || text.trim() === "0") return value("none");
    const reading = wantedOf(() => (parseSize(text), text.trim()));
    return reading.kind === "value" ? reading : malformed(budget.wanted);
  },
};

export const count: Grammar = {
  wanted: "a whole number",
  kinds: ["string", "integer"],
  read: (text) =>
    /^\d{1,15}$/.test(text.trim()) ? value(String(Number(text))) : malformed("a whole number"),
};

/** A number between two, both included. */
export function countWithin(least: number, most: number): Grammar {
  const wanted = `a whole number from ${least} to ${most}`;
  return {
    wanted,
    kinds: ["string", "integer"],
    read: (text) => {
      const found = /^\d{1,15}$/.test(text.trim()) ? Number(text) : Number.NaN;
      return found >= least && found <= most ? value(String(found)) : malformed(wanted);
    },
  };
}

/** A number of bytes, this many at least. */
export function bytesFrom(least: number): Grammar {
  const wanted = `bytes or a size (512MiB), at least ${formatBytes(least)}`;
  return {
    wanted,
    kinds: ["string", "integer"],
    read: (text) => {
      const reading = wantedOf(() => (parseSize(text), text.trim()));
      return reading.kind === "value" && parseSize(text) >= least ? reading : malformed(wanted);
    },
  };
}

export const percent: Grammar = {
  wanted: "a percentage (7%)",
  kinds: ["string", "integer", "float"],
  read: (text) => {
    const digits = PERCENT.exec(text.trim())?.groups?.["digits"];
    return digits === undefined ? malformed("a percentage (7%)") : value(`${digits}%`);
  },
};

export const shares: Grammar = {
  wanted: "an array of FS=MIN..MAX or FS/VOLUME=MIN..MAX (afs=10%..50%)",
  kinds: ["string", "array"],
  read: readRules,
  readElement: readRule,
};

/** One of a few words. */
export function choice(words: readonly string[]): Grammar {
  const wanted = words.length === 1 ? `${words[0]}` : `one of ${words.join(", ")}`;
  return {
    wanted,
    kinds: ["string"],
    read: (text) => (words.includes(text) ? value(text) : malformed(wanted)),
  };
}

function value(text: string): Reading {
  return { kind: "value", text };
}

function malformed(wanted: string): Reading {
  return { kind: "malformed", wanted };
}

/** For checks that throw: their messages end with what is wanted. */
function wantedOf(check: () => string): Reading {
  try {
    return value(check());
  } catch (error) {
    if (!isCacheError(error, "E_ARGUMENT")) throw error;
    const { message } = error;
    return malformed(message.slice(message.lastIndexOf("want ") + "want ".length));
  }
}
