/** `tagcache ping`: does the daemon answer, and how fast? */
import type { Command } from "commander";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0 it answers, 69 it does not. */
export function addPing(program: Command): void {
  program
    .command("ping")
    .description("ask the daemon for a sign of life")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache ping", "prints how long the answer took"))
    .action(async (options: { json?: true }, command: Command) => {
      const settings = settingsOf(command);
      const { ms } = await withDaemon(settings, (client) => client.ping());
      if (options.json) printJson({ ms, socket: settings.socketPath });
      else print(`${settings.socketPath} answers in ${ms.toFixed(2)} ms`);
      process.exitCode = EXIT.ok;
    });
}
