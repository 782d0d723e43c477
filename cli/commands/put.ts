/** `tagcache put`: one block from stdin. */
import type { Command } from "commander";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import { settingsOf } from "../settings.js";
import type { TagOptions } from "../tag-options.js";
import { addTagOptions, tagOf } from "../tag-options.js";

/** Adds the command. Exit status: 0 stored, 65 for a payload that is empty or too large, 75 bypass. */
export function addPut(program: Command): void {
  addTagOptions(program.command("put").description("store one block of 1 to 262144 bytes from stdin"))
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example(
        "echo hello | tagcache put --fs demo --volume v1 --inode hex:00ff --block 0",
        "stores six bytes",
      ),
    )
    .action(async (options: TagOptions & { json?: true }, command: Command) => {
      const tag = tagOf(options);
      const bytes = await readPayload(process.stdin);
      const result = await withDaemon(settingsOf(command), (client) => client.put(tag, bytes));
      if (options.json) printJson({ ...result, lengthBytes: bytes.length });
      else if (result.kind === "stored") print(`Stored ${bytes.length} bytes`);
      process.exitCode = EXIT.ok;
      if (result.kind === "bypass")
        throw new CliError(EXIT.temporary, `Not stored: bypass, ${result.reason}`);
    });
}

/** Reads no further than it takes to know that there is too much. */
async function readPayload(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > SLOT_BYTES) {
      throw new CliError(
        EXIT.data,
        `Cannot store stdin: it has more than ${SLOT_BYTES} bytes, want 1 to ${SLOT_BYTES}`,
      );
    }
  }
  if (length === 0)
    throw new CliError(EXIT.data, `Cannot store stdin: it is empty, want 1 to ${SLOT_BYTES} bytes`);
  return Buffer.concat(chunks);
}
