/** The configuration of a running daemon: what stands, and how it changes by `config set` and by reading the file again. */
import type { OwnedCache } from "../../engine/cache.js";
import type { ConfigEntry, ConfigService } from "../../engine/daemon/config-service.js";
import { CacheError, isCacheError } from "../../index/core/errors.js";
import { lineOf } from "../exit-codes.js";
import type { CliLogger, LogLevel } from "../log.js";
import { KEYS, KEY_NAMES, type KeyName, isKeyName, readValue, suggestion } from "./keys.js";
import {
  LIMIT_KEYS,
  type Layer,
  type Setting,
  entriesFrom,
  limitOptionsFrom,
  overlay,
  settingsFrom,
} from "./layers.js";
import { type Given, loadFile } from "./sources.js";

export interface LiveConfigOptions {
  readonly cache: Pick<OwnedCache, "limits" | "configure">;
  readonly log: CliLogger;
  readonly given: Given;
  /** What the file held when the daemon started; undefined when there was none. */
  readonly file: Layer | undefined;
}

/** What `config set` takes for the value that would stand without it. */
const DEFAULT = "default";

export class LiveConfig implements ConfigService {
  readonly #options: LiveConfigOptions;
  #file: Layer | undefined;
  #set: Layer = new Map();
  #standing: Layer;
  /** The change under way, after which the next one begins. */
  #last: Promise<unknown> = Promise.resolve();
  #reloadQueued = false;

  constructor(options: LiveConfigOptions) {
    this.#options = options;
    this.#file = options.file;
    this.#standing = this.#resolved(options.file, this.#set);
  }

  entries(): readonly ConfigEntry[] {
    return entriesFrom(this.#standing, this.#options.cache.limits);
  }

  set(changes: ReadonlyMap<string, string>): Promise<readonly ConfigEntry[]> {
    return this.#inOrder(async () => {
      const set = new Map(this.#set);
      for (const [name, text] of changes) {
        const key = liveKey(name);
        if (text === DEFAULT) set.delete(key);
        else set.set(key, checkedValue(key, text));
      }
      await this.#apply(this.#file, set, "on request");
      return this.entries();
    });
  }

  /**
   * Reads the file again and lets it stand in place of what was set meanwhile. What is wrong is logged, and then nothing
   * is changed. Never rejects. Calls while one waits for its turn are one.
   */
  async reload(): Promise<void> {
    if (this.#reloadQueued) return;
    this.#reloadQueued = true;
    const { log } = this.#options;
    try {
      await this.#inOrder(() => {
        this.#reloadQueued = false;
        return this.#reload();
      });
    } catch (error) {
      if (isCacheError(error, "E_CLOSED")) log.info("settings not read again: the daemon is stopping");
      else if (isCacheError(error, "E_NO_SPACE")) log.warn(lineOf(error));
      else log.error(`settings stay as they were: ${lineOf(error)}`);
    }
  }

  async #reload(): Promise<void> {
    const { log, given } = this.#options;
    const { path } = given.location;
    // Whoever moves the file away does not want the cache cut down to the defaults.
    const file = loadFile({ path, named: given.location.named || this.#file !== undefined });
    log.info(`reading ${file === undefined ? "no file: none is at " : ""}${path}`);
    const waiting = this.#needRestart(file);
    if (waiting.length > 0) log.warn(`settings that need a restart: ${waiting.join(", ")}`);
    await this.#apply(file, new Map(), "by the file");
  }

  /** @throws {CacheError} E_CONFIG and nothing is changed; E_NO_SPACE when it is changed and does not fit yet. */
  async #apply(file: Layer | undefined, set: Layer, how: string): Promise<void> {
    const { cache, log } = this.#options;
    const before = this.entries();
    const next = this.#resolved(file, set);
    let late: CacheError | undefined;
    if (LIMIT_KEYS.some((key) => next.get(key)?.text !== this.#standing.get(key)?.text)) {
      try {
        await cache.configure(this.#limitOptions(next));
      } catch (error) {
        if (!isCacheError(error, "E_NO_SPACE")) throw error;
        late = error;
      }
    }
    this.#file = file;
    this.#set = set;
    this.#standing = next;
    const changes = changesBetween(before, this.entries());
    log.info(changes.length === 0 ? "no settings changed" : `settings changed ${how}: ${changes.join(", ")}`);
    log.setLevel((next.get("log-level")?.text ?? "info") as LogLevel); // its grammar takes no other
    if (late !== undefined) {
      throw new CacheError("E_NO_SPACE", `${late.message}; the new settings stand all the same`, {
        cause: late,
      });
    }
  }

  /** A default capacity depends on what was free when it was settled; it is not to follow other programs' files. */
  #limitOptions(next: Layer) {
    const { limits } = this.#options.cache;
    const options = limitOptionsFrom(next, settingsFrom(next).directory);
    const settled = !next.has("capacity") && !this.#standing.has("capacity");
    return settled ? { ...options, capacityBytes: limits.capacityBytes } : options;
  }

  /** What stands with this file and these values: of what needs a restart, the values that the daemon started with. */
  #resolved(file: Layer | undefined, set: Layer): Layer {
    const { flags, environment } = this.#options.given;
    const layer = new Map(overlay(set, flags, environment, file));
    const started = overlay(flags, environment, this.#options.file);
    for (const key of KEY_NAMES) {
      if (KEYS[key].live) continue;
      const setting = started.get(key);
      if (setting === undefined) layer.delete(key);
      else layer.set(key, setting);
    }
    return layer;
  }

  /** Keys that the file now has another value for than the one that the daemon started with. */
  #needRestart(file: Layer | undefined): string[] {
    const { limits } = this.#options.cache;
    const { flags, environment } = this.#options.given;
    const wanted = entriesFrom(overlay(flags, environment, file), limits);
    const fixed = (entry: ConfigEntry): boolean => !KEYS[entry.key as KeyName].live;
    return changesBetween(this.entries().filter(fixed), wanted.filter(fixed));
  }

  #inOrder<Result>(body: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(body);
    this.#last = result.catch(() => undefined); // its caller is told
    return result;
  }
}

/** @throws {CacheError} E_ARGUMENT for an unknown key, E_CONFIG for one that needs a restart. */
function liveKey(name: string): KeyName {
  if (!isKeyName(name)) {
    const hint = suggestion(name) || `, want one of ${KEY_NAMES.filter((key) => KEYS[key].live).join(", ")}`;
    throw new CacheError("E_ARGUMENT", `Cannot set ${JSON.stringify(name)}: unknown key${hint}`);
  }
  if (KEYS[name].live) return name;
  throw new CacheError("E_CONFIG", `Cannot set ${name} while the daemon runs: it needs a restart`);
}

function checkedValue(key: KeyName, text: string): Setting {
  const reading = readValue(key, text);
  if (reading.kind === "value") return { text: reading.text, source: "set" };
  throw new CacheError("E_ARGUMENT", `Cannot set ${key} to ${JSON.stringify(text)}: want ${reading.wanted}`);
}

/** Each value that differs, old and new. */
function changesBetween(before: readonly ConfigEntry[], after: readonly ConfigEntry[]): string[] {
  const old = new Map(before.map(({ key, value }) => [key, value]));
  return after
    .filter(({ key, value }) => old.get(key) !== value)
    .map(({ key, value }) => `${key} ${old.get(key) || "(none)"} → ${value || "(none)"}`);
}
