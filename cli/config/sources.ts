/** Where settings come from besides the file: the command line and the environment, which also say where the file is. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { CliError, EXIT } from "../exit-codes.js";
import { readConfigFile } from "./file.js";
import { type KeyName, KEY_NAMES, readValue, variableOf } from "./keys.js";
import type { Layer, Setting } from "./layers.js";

type Environment = Readonly<Record<string, string | undefined>>;

export interface FileLocation {
  /** Absolute. */
  readonly path: string;
  /** Somebody named it, so it has to exist. */
  readonly named: boolean;
}

/** What a process was started with; it stays so while the process runs. */
export interface Given {
  readonly flags: Layer;
  readonly environment: Layer;
  readonly location: FileLocation;
}

/** @throws {CliError} 64 for a malformed value, naming its flag. */
export function flagLayer(values: ReadonlyMap<KeyName, string>): Layer {
  const layer = new Map<KeyName, Setting>();
  for (const [key, text] of values) {
    const reading = readValue(key, text);
    if (reading.kind === "malformed") {
      throw new CliError(EXIT.usage, `Cannot use --${key} ${JSON.stringify(text)}: want ${reading.wanted}`);
    }
    layer.set(key, { text: reading.text, source: "flag" });
  }
  return layer;
}

/** The variables of the keys given; an empty one means an unset one. @throws {CliError} 78 for a malformed value. */
export function environmentLayer(environment: Environment, keys: readonly KeyName[] = KEY_NAMES): Layer {
  const layer = new Map<KeyName, Setting>();
  for (const key of keys) {
    const origin = variableOf(key);
    const text = environment[origin] ?? "";
    if (text === "") continue;
    const reading = readValue(key, text);
    if (reading.kind === "malformed") {
      throw new CliError(EXIT.config, `Cannot use ${origin} ${JSON.stringify(text)}: want ${reading.wanted}`);
    }
    layer.set(key, { text: reading.text, source: "environment", origin });
  }
  return layer;
}

/** Where the file is, if it is. @throws {CliError} 64 for an empty --config. */
export function fileLocation(
  flag: string | undefined,
  environment: Environment = process.env,
  userId: number | undefined = process.getuid?.(),
): FileLocation {
  if (flag === "") throw new CliError(EXIT.usage, 'Cannot use --config "": want a path');
  const named = flag ?? (environment["TAGCACHE_CONFIG"] || undefined);
  if (named !== undefined) return { path: resolve(named), named: true };
  if (userId === 0) return { path: "/etc/tagcache/tagcache.toml", named: false };
  const xdg = environment["XDG_CONFIG_HOME"] ?? "";
  // The XDG specification says that a relative path is to be ignored.
  const base = isAbsolute(xdg) ? xdg : join(homedir(), ".config");
  return { path: join(base, "tagcache", "tagcache.toml"), named: false };
}

/** @returns undefined where no file is and nobody named one. @throws {CliError} 78. */
export function loadFile({ path, named }: FileLocation): Layer | undefined {
  const layer = readConfigFile(path);
  if (layer === undefined && named) {
    throw new CliError(EXIT.config, `Cannot read ${path}: there is no such file`);
  }
  return layer;
}
