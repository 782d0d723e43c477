/** `tagcache config set`: changes the running daemon. */
import type { Command } from "commander";
import { withDaemon } from "../../daemon.js";
import { example } from "../../example.js";
import { CliError, EXIT } from "../../exit-codes.js";
import { print, printJson } from "../../output.js";
import { settingsOf } from "../../settings.js";

/**
 * Adds the command. Exit status: 0 done, 64 unknown key or malformed value, 69 no daemon, 75 what is in use keeps it from
 * fitting (the values stand all the same), 78 a contradiction or a key that needs a restart.
 */
export function addConfigSet(config: Command): void {
  config
    .command("set")
    .description(
      "change settings of the running daemon, all or none, until its next start or until it reads its file again; " +
        "ends when what no longer fits is given back to the drive",
    )
    .argument("<key=value...>", "settings; KEY=default goes back to what stood without")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache config set capacity=20GiB bcull=6%", "takes effect at once"))
    .action(async (pairs: string[], options: { json?: true }, command: Command) => {
      const changes = changesOf(pairs);
      const entries = await withDaemon(settingsOf(command), (client) => client.setConfig(changes));
      const changed = entries.filter(({ key }) => changes.has(key));
      if (options.json) printJson(Object.fromEntries(changed.map(({ key, value }) => [key, value])));
      else {
        for (const { key, value } of changed) print(`${key} = ${value}`);
        print("This lasts until the daemon's next start, or until it reads its config file again");
      }
      process.exitCode = EXIT.ok;
    });
}

/** @throws {CliError} 64 for what is no pair, or names a key twice. */
function changesOf(pairs: readonly string[]): Map<string, string> {
  const changes = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const key = pair.slice(0, equals);
    if (equals < 1) throw new CliError(EXIT.usage, `Cannot set ${JSON.stringify(pair)}: want KEY=VALUE`);
    if (changes.has(key)) throw new CliError(EXIT.usage, `Cannot set ${key} twice: want one value`);
    changes.set(key, pair.slice(equals + 1));
  }
  return changes;
}
