/** Every setting there is, in one table: its flag, its variable and its key in a file are made from its name. */
import { DEFAULT_POLICY, POLICY_NAMES } from "../../engine/policy-names.js";
import { CONNECTIONS_MAX, SERVER_LIMITS } from "../../engine/daemon/limits.js";
import { LOG_FORMATS, LOG_LEVELS } from "../log.js";
import type { Grammar, Reading } from "./grammar.js";
import {
  budget,
  bytesFrom,
  choice,
  count,
  countWithin,
  cvmfsAddress,
  metricsAddress,
  path,
  percent,
  shares,
  size,
  socketPath,
  text,
} from "./grammar.js";

export interface ConfigKey {
  readonly grammar: Grammar;
  /** What stands for the value in `--help`. */
  readonly placeholder: string;
  readonly description: string;
  /** Absent when it depends on other settings or on the drive. */
  readonly defaultText?: string;
  /** Whether it can change while the daemon runs. */
  readonly live: boolean;
}

const live = true;

const TABLE = {
  dir: { grammar: path, placeholder: "<path>", description: "cache directory", live: false },
  "state-dir": {
    grammar: path,
    placeholder: "<path>",
    description: "directory of the ledger (default: <dir>/ledger)",
    live: false,
  },
  socket: {
    grammar: socketPath,
    placeholder: "<path>",
    description: "socket of the daemon, or none (default: <dir>/sock)",
    live: false,
  },
  capacity: {
    grammar: size,
    placeholder: "<size>",
    description:
      "bytes the cache may take: 10GiB, 10G, 20% of the drive (default: 10GiB or a fifth of what is free, whichever is less)",
    live,
  },
  slots: {
    grammar: count,
    placeholder: "<number>",
    description: "blocks it may hold (default: one per 32 KiB of capacity)",
    live,
  },
  "index-share": {
    grammar: percent,
    placeholder: "<percent>",
    description: "share of the capacity that index and ledger may take",
    defaultText: "3.125%",
    live,
  },
  brun: threshold("bytes: culling for the drive's sake ends above this much available", "7%"),
  bcull: threshold("bytes: it begins below this", "5%"),
  bstop: threshold("bytes: nothing new is stored below this", "3%"),
  frun: threshold("files: culling for the drive's sake ends above this many inodes available", "7%"),
  fcull: threshold("files: it begins below this", "5%"),
  fstop: threshold("files: nothing new is stored below this", "3%"),
  shares: {
    grammar: shares,
    placeholder: "<rules>",
    description: "what a file system or volume has at least and at most: afs=10%..50%,nfs/home=..30%",
    defaultText: "",
    live,
  },
  "pin-share": {
    grammar: percent,
    placeholder: "<percent>",
    description: "share of the capacity that pins may keep from culling",
    defaultText: "50%",
    live,
  },
  "write-rate": {
    grammar: budget,
    placeholder: "<size>",
    description:
      "bytes a second that may be written to the drive; what comes for the first time is then not stored",
    defaultText: "none",
    live,
  },
  "write-daily": {
    grammar: budget,
    placeholder: "<size>",
    description: "the same, in any 24 hours",
    defaultText: "none",
    live,
  },
  policy: {
    grammar: choice(POLICY_NAMES),
    placeholder: "<name>",
    description: `which block goes next: ${POLICY_NAMES.join(", ")}`,
    defaultText: DEFAULT_POLICY,
    live: false,
  },
  group: {
    grammar: text,
    placeholder: "<name>",
    description: "a group that may use the socket and read slot files, and so every block in the cache",
    defaultText: "",
    live: false,
  },
  connections: {
    grammar: countWithin(1, CONNECTIONS_MAX),
    placeholder: "<number>",
    description: "clients that may be connected to the socket at once",
    defaultText: String(SERVER_LIMITS.connections),
    live: false,
  },
  "request-memory": {
    grammar: bytesFrom(SERVER_LIMITS.bytesPerConnection),
    placeholder: "<size>",
    description: "bytes that requests of all clients and their replies may take together",
    defaultText: "256MiB",
    live: false,
  },
  cvmfs: {
    grammar: cvmfsAddress,
    placeholder: "<locator>",
    description: "serve CVMFS clients as their external cache plugin: unix=PATH or tcp=127.0.0.1:PORT",
    defaultText: "",
    live: false,
  },
  metrics: {
    grammar: metricsAddress,
    placeholder: "<address>",
    description: "serve Prometheus metrics and /healthz over HTTP on HOST:PORT; :PORT for this machine alone",
    defaultText: "",
    live: false,
  },
  "on-unclean": {
    grammar: choice(["wipe", "verify"]),
    placeholder: "<action>",
    description: "after a crash: wipe, or verify, which keeps all and uses what passes its checks",
    defaultText: "wipe",
    live: false,
  },
  "log-level": {
    grammar: choice(LOG_LEVELS),
    placeholder: "<level>",
    description: `least level that is logged: ${LOG_LEVELS.join(", ")}`,
    defaultText: "info",
    live,
  },
  "log-format": {
    grammar: choice(LOG_FORMATS),
    placeholder: "<format>",
    description: `form of a line: ${LOG_FORMATS.join(", ")}`,
    defaultText: "text",
    live: false,
  },
} as const satisfies Readonly<Record<string, ConfigKey>>;

function threshold<Text extends string>(description: string, defaultText: Text) {
  return { grammar: percent, placeholder: "<percent>", description, defaultText, live } as const;
}

export type KeyName = keyof typeof TABLE;

export const KEYS: Readonly<Record<KeyName, ConfigKey>> = TABLE;

/** In the order in which they are shown. */
export const KEY_NAMES = Object.keys(TABLE) as readonly KeyName[];

/** Those that every command takes; the others are `serve`'s alone. */
export const SHARED_KEYS = ["dir", "state-dir", "socket"] as const satisfies readonly KeyName[];

export function isKeyName(name: string): name is KeyName {
  return Object.hasOwn(TABLE, name);
}

/** Longer values would not fit side by side into one message of the daemon. */
const VALUE_CHARACTERS_MAX = 8192;

/** Reads a value from a flag, a variable or `config set`. */
export function readValue(key: KeyName, text: string): Reading {
  return bounded(text) ?? checked(KEYS[key].grammar.read(text));
}

/** Reads a string of a file. */
export function readFileValue(key: KeyName, text: string): Reading {
  const { grammar } = KEYS[key];
  return bounded(text) ?? checked((grammar.readFromFile ?? grammar.read)(text));
}

function checked(reading: Reading): Reading {
  return reading.kind === "value" ? (bounded(reading.text) ?? reading) : reading;
}

function bounded(text: string): Reading | undefined {
  if (text.includes("\0")) return { kind: "malformed", wanted: "no zero byte" };
  if (text.length <= VALUE_CHARACTERS_MAX) return undefined;
  return { kind: "malformed", wanted: `at most ${VALUE_CHARACTERS_MAX} characters` };
}

/** `TAGCACHE_STATE_DIR` for `state-dir`. */
export function variableOf(name: string): string {
  return `TAGCACHE_${name.toUpperCase().replaceAll("-", "_")}`;
}

/** What an unknown name may have been meant as: `, did you mean capacity?`, or nothing. */
export function suggestion(name: string): string {
  const wanted = name.toLowerCase().replaceAll("_", "-");
  const ranked = KEY_NAMES.map((key) => ({ key, distance: editDistance(wanted, key) })).toSorted(
    (a, b) => a.distance - b.distance,
  );
  const [best] = ranked;
  const near = best !== undefined && best.distance <= Math.max(1, Math.floor(best.key.length / 3));
  return near ? `, did you mean ${best.key}?` : "";
}

/** Levenshtein's, row by row. Names are short; what is long is no misspelling. */
function editDistance(from: string, to: string): number {
  if (Math.abs(from.length - to.length) > 3) return from.length + to.length;
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let index = 0; index < from.length; index += 1) {
    const next = [index + 1];
    for (let at = 1; at <= to.length; at += 1) {
      const replaced = (row[at - 1] ?? 0) + (from[index] === to[at - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[at] ?? 0) + 1, (next[at - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
