/** `tagcache config check`: whether `serve` would take its file and environment. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { example } from "../../example.js";
import { EXIT } from "../../exit-codes.js";
import { print, printJson } from "../../output.js";
import { givenOf } from "../../settings.js";
import { settledEntries } from "../offline.js";
import { loadFile } from "../sources.js";

/** Adds the command. Exit status: 0 ok, 78 something is wrong. */
export function addConfigCheck(config: Command): void {
  config
    .command("check")
    .description(
      "check a config file, by default the one that serve would use, together with the environment",
    )
    .argument("[file]", "config file")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache config check && kill -HUP $PID", "reads and changes nothing else"),
    )
    .action((file: string | undefined, options: { json?: true }, command: Command) => {
      const given = givenOf(command);
      const location = file === undefined ? given.location : { path: resolve(file), named: true };
      const layer = loadFile(location);
      settledEntries(given, layer);
      if (options.json) printJson({ ok: true, file: location.path, exists: layer !== undefined });
      else print(layer === undefined ? `${location.path}: ok, it does not exist` : `${location.path}: ok`);
      process.exitCode = EXIT.ok;
    });
}
