/** `tagcache config get`: what stands in the running daemon. */
import type { Command } from "commander";
import type { ConfigEntry } from "../../../engine/daemon/client.js";
import { withDaemon } from "../../daemon.js";
import { example } from "../../example.js";
import { CliError, EXIT } from "../../exit-codes.js";
import { print, printJson } from "../../output.js";
import { settingsOf } from "../../settings.js";
import { suggestion } from "../keys.js";

/** Adds the command. Exit status: 0, 64 no such key, 69 no daemon. */
export function addConfigGet(config: Command): void {
  config
    .command("get")
    .description("print settings of the running daemon: all, or those named; one alone without its name")
    .argument("[key...]", "names of settings")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache config get capacity", "prints 10GiB, say"))
    .action(async (keys: string[], options: { json?: true }, command: Command) => {
      const entries = await withDaemon(settingsOf(command), (client) => client.config());
      const chosen = keys.length === 0 ? entries : keys.map((key) => entryOf(entries, key));
      const [only] = chosen;
      if (options.json) printJson(Object.fromEntries(chosen.map(({ key, value }) => [key, value])));
      else if (keys.length === 1 && only !== undefined) print(only.value);
      else for (const { key, value } of chosen) print(`${key} = ${value}`);
      process.exitCode = EXIT.ok;
    });
}

/** The daemon may be of another version, so its keys count and not ours. */
function entryOf(entries: readonly ConfigEntry[], key: string): ConfigEntry {
  const found = entries.find((entry) => entry.key === key);
  if (found !== undefined) return found;
  const hint = suggestion(key) || `, want one of ${entries.map((entry) => entry.key).join(", ")}`;
  throw new CliError(EXIT.usage, `Cannot get ${JSON.stringify(key)}: unknown key${hint}`);
}
