/** `tagcache get`: one block to stdout. */
import type { Command } from "commander";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { printJson, writeOut } from "../output.js";
import { settingsOf } from "../settings.js";
import type { TagOptions } from "../tag-options.js";
import { addTagOptions, tagOf } from "../tag-options.js";

/** Adds the command. Exit status: 0 hit, 1 miss, 75 bypass. */
export function addGet(program: Command): void {
  addTagOptions(program.command("get").description("write one cached block to stdout"))
    .option("--json", "print JSON, the bytes as text or hex:DIGITS")
    .addHelpText(
      "after",
      example(
        "tagcache get --fs demo --volume v1 --inode hex:00ff --block 0",
        "exit status 1 when it is not cached",
      ),
    )
    .action(async (options: TagOptions & { json?: true }, command: Command) => {
      const tag = tagOf(options);
      const result = await withDaemon(settingsOf(command), (client) => client.get(tag));
      if (options.json) {
        printJson(result.kind === "hit" ? { ...result, lengthBytes: result.bytes.length } : result);
      } else if (result.kind === "hit") {
        await writeOut(result.bytes);
      }
      process.exitCode = EXIT.ok;
      if (result.kind === "miss") throw new CliError(EXIT.negative, "Not cached");
      if (result.kind === "bypass")
        throw new CliError(EXIT.temporary, `Cannot tell: bypass, ${result.reason}`);
    });
}
