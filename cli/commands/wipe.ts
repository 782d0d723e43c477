/** `tagcache wipe`: forgets everything cached. */
import type { Command } from "commander";
import { wipeDirectory } from "../../engine/cache.js";
import { connectIfRunning } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { askYes } from "../questions.js";
import type { Settings } from "../settings.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0 wiped, 1 the answer was no, 64 no --yes off a terminal, 75 owned by somebody else. */
export function addWipe(program: Command): void {
  program
    .command("wipe")
    .description(
      "forget everything cached, with the daemon running or not; files of other programs are never touched",
    )
    .option("--yes", "do not ask")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache wipe --yes", "takes milliseconds, whatever the size"))
    .action(async (options: { yes?: true; json?: true }, command: Command) => {
      const settings = settingsOf(command);
      const question = `Forget everything cached in ${settings.directory}?`;
      const refusal = "Cannot ask here whether to wipe: give --yes";
      if (options.yes !== true && !(await askYes(question, refusal))) {
        throw new CliError(EXIT.negative, "Nothing was wiped");
      }
      const result = await wipe(settings);
      if (options.json) printJson({ wiped: true, ...result });
      else print(`Wiped ${settings.directory}, ${result.how}; epoch ${result.epoch}`);
      process.exitCode = EXIT.ok;
    });
}

async function wipe(settings: Settings): Promise<{ how: "by the daemon" | "offline"; epoch: number }> {
  const client = await connectIfRunning(settings);
  if (client === undefined) {
    const { directory, stateDirectory } = settings;
    const { epoch } = await wipeDirectory({
      directory,
      ...(stateDirectory !== undefined && { stateDirectory }),
    });
    return { how: "offline", epoch };
  }
  try {
    await client.wipe();
    return { how: "by the daemon", epoch: (await client.status()).epoch };
  } finally {
    await client.close();
  }
}
