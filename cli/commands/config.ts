/** `tagcache config`: what the settings are, where they come from, and changing them while the daemon runs. */
import type { Command } from "commander";
import { addConfigCheck } from "../config/commands/check.js";
import { addConfigDump } from "../config/commands/dump.js";
import { addConfigGet } from "../config/commands/get.js";
import { addConfigSet } from "../config/commands/set.js";
import { example } from "../example.js";

/** Adds the command and those below it. Exit status: as theirs, 64 without one. */
export function addConfig(program: Command): void {
  const config = program
    .command("config")
    .description("show, check and change settings")
    .addHelpText("after", example("tagcache config dump", "every setting, and where it comes from"));
  for (const add of [addConfigGet, addConfigSet, addConfigCheck, addConfigDump]) add(config);
}
