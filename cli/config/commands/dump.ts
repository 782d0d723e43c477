/** `tagcache config dump`: every setting with where it comes from, as a config file. */
import type { Command } from "commander";
import type { ConfigEntry } from "../../../engine/daemon/client.js";
import { connectIfRunning } from "../../daemon.js";
import { example } from "../../example.js";
import { EXIT } from "../../exit-codes.js";
import { print, printJson, remark } from "../../output.js";
import { givenOf, settingsOf } from "../../settings.js";
import { settledEntries } from "../offline.js";
import { loadFile } from "../sources.js";
import { tomlLine } from "../toml-text.js";

/** Adds the command. Exit status: 0, 78 something is wrong with what `serve` would use here. */
export function addConfigDump(config: Command): void {
  config
    .command("dump")
    .description("print every setting and where it comes from, of the running daemon or else of the next one")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache config dump > tagcache.toml", "prints a config file"))
    .action(async (options: { json?: true }, command: Command) => {
      const entries = await entriesOf(command);
      if (options.json) printJson(entries);
      else for (const entry of entries) print(tomlLine(entry));
      process.exitCode = EXIT.ok;
    });
}

async function entriesOf(command: Command): Promise<readonly ConfigEntry[]> {
  const settings = settingsOf(command);
  const client = await connectIfRunning(settings);
  if (client === undefined) {
    remark(`No daemon answers on ${settings.socketPath}: this is what "tagcache serve" would use here`);
    const given = givenOf(command);
    return settledEntries(given, loadFile(given.location));
  }
  try {
    const entries = await client.config();
    remark(`This is what the daemon on ${settings.socketPath} uses`);
    return entries;
  } finally {
    await client.close();
  }
}
