/** `tagcache cat`: files through the cache to stdout. */
import type { Command } from "commander";
import { absolutePath } from "../../engine/origin/paths.js";
import { readThrough } from "../../engine/origin/read.js";
import type { OriginSession } from "../../engine/origin/session.js";
import { SKIP_REASONS, originError } from "../../engine/origin/trouble.js";
import { nameText } from "../../index/core/names.js";
import { example } from "../example.js";
import { CliError, EXIT, inputStatusOf, lineOf } from "../exit-codes.js";
import type { OriginOptions } from "../origin.js";
import { addOriginOption, argumentPaths, withOrigin } from "../origin.js";
import { writeOut } from "../output.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status: 0 all written, 66 a file is missing, unreadable or not regular, 69 no daemon. */
export function addCat(program: Command): void {
  addOriginOption(program.command("cat"))
    .description(
      "write files to stdout, from the cache where it has them; you need to be able to read the originals",
    )
    .argument("<path...>", "files")
    .addHelpText("after", example("tagcache cat big.iso | sha256sum", "what was not cached is cached now"))
    .action(async (paths: string[], options: OriginOptions, command: Command) => {
      await withOrigin(settingsOf(command), options, async (session) => {
        for (const path of argumentPaths(paths)) await catFile(session, path);
      });
      process.exitCode = EXIT.ok;
    });
}

async function catFile(session: OriginSession, path: Buffer): Promise<void> {
  const file = await openInput(session, path);
  try {
    await readThrough(session, file, writeOut);
  } finally {
    await file.close();
  }
}

async function openInput(session: OriginSession, path: Buffer) {
  try {
    const file = await session.origin.open(await absolutePath(path));
    if (file.kind === "file") return file;
    throw new CliError(EXIT.noInput, `Cannot read ${nameText(path)}: ${SKIP_REASONS[file.reason]}`);
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    const error = originError("open", path, cause);
    throw new CliError(inputStatusOf(error), lineOf(error), { cause });
  }
}
