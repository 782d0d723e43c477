/** The settings of a command: from its flags, the environment, the config file and the defaults, in this order. */
import type { Command } from "commander";
import { Option } from "commander";
import { defaultDirectory } from "./directories.js";
import { type KeyName, KEYS, KEY_NAMES, SHARED_KEYS, variableOf } from "./config/keys.js";
import { type Settings, overlay, settingsFrom } from "./config/layers.js";
import { type Given, environmentLayer, fileLocation, flagLayer, loadFile } from "./config/sources.js";

export type { Settings } from "./config/layers.js";

/** Declares the options that may stand before or after the name of a command. */
export function addGlobalOptions(program: Command): void {
  const { path } = fileLocation(undefined, { ...process.env, TAGCACHE_CONFIG: "" });
  program.addOption(
    new Option("--config <file>", `settings, as TOML (default: ${path}, if there)`).env("TAGCACHE_CONFIG"),
  );
  addKeyOptions(program, SHARED_KEYS);
}

/** Declares every option that is `serve`'s alone. */
export function addServeOptions(command: Command): Command {
  const shared = new Set<KeyName>(SHARED_KEYS);
  addKeyOptions(
    command,
    KEY_NAMES.filter((key) => !shared.has(key)),
  );
  return command;
}

function addKeyOptions(command: Command, keys: readonly KeyName[]): void {
  for (const key of keys) {
    const { placeholder, description, defaultText } = KEYS[key];
    const known = key === "dir" ? defaultDirectory() : defaultText;
    const text = known ? `${description} (default: ${known})` : description;
    // Commander shows the variable in the help; it is read in config/sources.ts, with the others.
    const option = new Option(`--${key} ${placeholder}`, text).env(variableOf(key));
    if (key === "shares") option.argParser((value, previous?: string) => joined(previous, value));
    command.addOption(option);
  }
}

function joined(previous: string | undefined, value: string): string {
  return previous ? `${previous},${value}` : value;
}

/** The shared settings as they stand for a command. @throws {CliError} 64 for a flag, 78 for a variable or the file. */
export function settingsOf(command: Command): Settings {
  const { flags, environment, location } = givenOf(command, SHARED_KEYS);
  return settingsFrom(overlay(flags, environment, loadFile(location)));
}

/** What a command was started with, of the keys given. @throws {CliError} as settingsOf. */
export function givenOf(command: Command, keys: readonly KeyName[] = KEY_NAMES): Given {
  const chain: Command[] = [];
  for (let at: Command | null = command; at !== null; at = at.parent) chain.push(at);
  const values = new Map<KeyName, string>();
  for (const key of keys) {
    const text = flagOf(chain, key);
    if (text !== undefined) values.set(key, text);
  }
  const location = fileLocation(flagOf(chain, "config"));
  return { flags: flagLayer(values), environment: environmentLayer(process.env, keys), location };
}

/** The value of a flag, if it stands on the command line of the command or of one above it. */
function flagOf(chain: readonly Command[], name: string): string | undefined {
  const attribute = new Option(`--${name} <value>`).attributeName();
  const owner = chain.find((command) => command.getOptionValueSource(attribute) === "cli");
  return owner?.getOptionValue(attribute) as string | undefined; // options of ours with a value are text
}
