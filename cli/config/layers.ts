/** Values with where they come from, and which of several stands: flag, environment, file, default. */
import { join, resolve } from "node:path";
import type { LimitOptions, Limits } from "../../engine/cache.js";
import { type ServerLimits, serverLimits } from "../../engine/daemon/limits.js";
import type { ConfigEntry } from "../../engine/daemon/config-service.js";
import { parseSize } from "../../index/core/units.js";
import { defaultDirectory, parseCapacity } from "../directories.js";
import { NO_SOCKET } from "./grammar.js";
import type { KeyName } from "./keys.js";
import { KEYS, KEY_NAMES } from "./keys.js";
import { rulesOf } from "./shares.js";

/** What every command needs to know. */
export interface Settings {
  /** The cache directory, as it was given. */
  readonly directory: string;
  /** Set when the ledger lies elsewhere than in the cache directory. */
  readonly stateDirectory?: string;
  /** NO_SOCKET where the daemon has none. */
  readonly socketPath: string;
}

/** `set`: by `config set`, while the daemon runs. */
export type Source = "flag" | "environment" | "file" | "default" | "set";

export interface Setting {
  /** As its grammar has read it. */
  readonly text: string;
  readonly source: Source;
  /** The variable's name, or the file with a line number. */
  readonly origin?: string;
}

export type Layer = ReadonlyMap<KeyName, Setting>;

export const THRESHOLD_KEYS = ["brun", "bcull", "bstop", "frun", "fcull", "fstop"] as const;
/** Those that LimitOptions are made of. */
export const LIMIT_KEYS = [
  "capacity",
  "slots",
  "index-share",
  "pin-share",
  "write-rate",
  "write-daily",
  "shares",
  ...THRESHOLD_KEYS,
] as const;

/** What stands when nobody has said otherwise; capacity, slots and two of the paths depend on the rest. */
export function defaultLayer(): Layer {
  const layer = new Map<KeyName, Setting>([["dir", { text: defaultDirectory(), source: "default" }]]);
  for (const key of KEY_NAMES) {
    const { defaultText } = KEYS[key];
    if (defaultText !== undefined) layer.set(key, { text: defaultText, source: "default" });
  }
  return layer;
}

/** One layer of several: of each key the first value that there is, over the defaults. */
export function overlay(...layers: readonly (Layer | undefined)[]): Layer {
  const result = new Map(defaultLayer());
  for (const layer of layers.toReversed()) for (const [key, setting] of layer ?? []) result.set(key, setting);
  return result;
}

export function settingsFrom(layer: Layer): Settings {
  const directory = layer.get("dir")?.text ?? defaultDirectory();
  const stateDirectory = layer.get("state-dir")?.text;
  return {
    directory,
    ...(stateDirectory !== undefined && { stateDirectory }),
    socketPath: layer.get("socket")?.text ?? join(directory, "sock"),
  };
}

/** What the engine is told; `directory` says which drive a percentage is of. */
export function limitOptionsFrom(layer: Layer, directory: string): LimitOptions {
  const capacity = layer.get("capacity")?.text;
  const slots = layer.get("slots")?.text;
  const thresholds = Object.fromEntries(THRESHOLD_KEYS.map((key) => [key, percentOf(layer, key)]));
  return {
    ...(thresholds as Record<(typeof THRESHOLD_KEYS)[number], number>),
    ...(capacity !== undefined && { capacityBytes: parseCapacity(capacity, directory) }),
    ...(slots !== undefined && { slotsMax: Number(slots) }),
    indexPercent: percentOf(layer, "index-share"),
    pinPercent: percentOf(layer, "pin-share"),
    writeBytesPerSecond: budgetOf(layer, "write-rate"),
    writeBytesPerDay: budgetOf(layer, "write-daily"),
    shares: rulesOf(layer.get("shares")?.text ?? ""),
  };
}

/** What the socket grants. */
export function serverLimitsFrom(layer: Layer): ServerLimits {
  const text = (key: KeyName): string => layer.get(key)?.text ?? "";
  return serverLimits({ connections: Number(text("connections")), bytes: parseSize(text("request-memory")) });
}

function budgetOf(layer: Layer, key: KeyName): number {
  const text = layer.get(key)?.text ?? "none";
  return text === "none" ? 0 : parseSize(text);
}

function percentOf(layer: Layer, key: KeyName): number {
  return Number((layer.get(key)?.text ?? "").replace("%", ""));
}

/** Every setting with the value that stands: paths absolute, what depends on the drive from `limits`. */
export function entriesFrom(layer: Layer, limits: Limits): ConfigEntry[] {
  const { directory, stateDirectory, socketPath } = settingsFrom(layer);
  const computed: Readonly<Partial<Record<KeyName, string>>> = {
    dir: resolve(directory),
    "state-dir": resolve(stateDirectory ?? join(directory, "ledger")),
    socket: socketPath === NO_SOCKET ? NO_SOCKET : resolve(socketPath),
    capacity: layer.get("capacity")?.text ?? String(limits.capacityBytes),
    slots: layer.get("slots")?.text ?? String(limits.slotsMax),
  };
  return KEY_NAMES.map((key) => {
    const setting = layer.get(key);
    const value = computed[key] ?? setting?.text ?? "";
    const { source, origin } = setting ?? { source: "default" as const };
    return { key, value, source, ...(origin !== undefined && { origin }) };
  });
}
