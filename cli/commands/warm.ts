/** `tagcache warm`: reads files and trees of this machine into the cache. */
import { createReadStream } from "node:fs";
import type { Command } from "commander";
import { FILES_IN_FLIGHT_MAX, forEachConcurrent } from "../../engine/origin/concurrent.js";
import type { OriginSession } from "../../engine/origin/session.js";
import type { WalkOptions } from "../../engine/origin/walk.js";
import { walkTree } from "../../engine/origin/walk.js";
import { warmFile } from "../../engine/origin/warm.js";
import { isCacheError } from "../../index/core/errors.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { PATIENT_MS } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import type { OriginOptions } from "../origin.js";
import { addOriginOption, argumentPaths, withOrigin } from "../origin.js";
import { print, printJson, remark, startProgress } from "../output.js";
import { readPathList } from "../path-list.js";
import { settingsOf } from "../settings.js";
import type { WarmTally } from "../warm-tally.js";
import { addWalkEntry, addWarmResult, newWarmTally, warmFailureLines, warmLines } from "../warm-tally.js";

interface WarmOptions extends OriginOptions {
  readonly from?: string;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 all that can be cached is, 69 no daemon, 74 some files failed. */
export function addWarm(program: Command): void {
  addOriginOption(program.command("warm"))
    .description("read files and trees into the cache; links are not followed, other mounts not entered")
    .argument("[path...]", "files and directories")
    .option("--from <file>", "read more paths from a file, or from stdin with -; separated by NUL or newline")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("find src -name '*.ts' -print0 | tagcache warm --from -", "warms what find names"),
    )
    .action(async (paths: string[], options: WarmOptions, command: Command) => {
      if (paths.length === 0 && options.from === undefined) {
        throw new CliError(EXIT.usage, "Nothing to warm: name a PATH, or a list with --from");
      }
      const tally = await withOrigin(
        settingsOf(command),
        options,
        (session) => warmTrees(session, allPaths(paths, options.from)),
        { deadlineMs: PATIENT_MS },
      );
      if (options.json) printJson(tally);
      else for (const line of warmLines(tally)) print(line);
      for (const line of warmFailureLines(tally)) remark(line);
      process.exitCode = tally.failed > 0 ? EXIT.io : EXIT.ok;
    });
}

/** Warms everything at and below some paths, with a progress line on a terminal. */
export async function warmTrees(
  session: OriginSession,
  paths: AsyncIterable<Buffer> | Iterable<Buffer>,
  walk: WalkOptions = {},
): Promise<WarmTally> {
  const tally = newWarmTally();
  const progress = startProgress("warming", 0);
  try {
    await forEachConcurrent(walkTree(session.origin, paths, walk), FILES_IN_FLIGHT_MAX, async (entry) => {
      if (entry.kind === "file") {
        const result = await warmFile(session, entry.path);
        addWarmResult(tally, entry.path, result);
        // Without a daemon every file fails alike: say it once.
        if (result.outcome === "failed" && isCacheError(result.error, "E_UNAVAILABLE")) {
          throw result.error;
        }
      } else addWalkEntry(tally, entry);
      progress.update(
        tally.files,
        () => `files, ${formatCount(tally.stored)} stored, ${formatBytes(tally.storedBytes)}`,
      );
    });
  } finally {
    progress.stop();
  }
  return tally;
}

async function* allPaths(paths: readonly string[], from: string | undefined): AsyncGenerator<Buffer> {
  yield* argumentPaths(paths);
  if (from === "-") yield* readPathList(process.stdin);
  else if (from !== undefined) yield* readPathList(createReadStream(from));
}
