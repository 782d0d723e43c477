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
import type { CacheClient } from "../../engine/daemon/client.js";
import { PATIENT_MS } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import type { OriginOptions } from "../origin.js";
import { addOriginOption, argumentPaths, withOrigin } from "../origin.js";
import { print, printJson, remark, startProgress } from "../output.js";
import { allPins, pathOf, placeText, selectorOf } from "../pins.js";
import { readPathList } from "../path-list.js";
import { settingsOf } from "../settings.js";
import type { WarmTally } from "../warm-tally.js";
import { addWalkEntry, addWarmResult, newWarmTally, warmFailureLines, warmLines } from "../warm-tally.js";

interface WarmOptions extends OriginOptions {
  readonly from?: string;
  readonly pins?: true;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 all that can be cached is, 69 no daemon, 74 some files failed. */
export function addWarm(program: Command): void {
  addOriginOption(program.command("warm"))
    .description("read files and trees into the cache; links are not followed, other mounts not entered")
    .argument("[path...]", "files and directories")
    .option("--from <file>", "read more paths from a file, or from stdin with -; separated by NUL or newline")
    .option("--pins", "everything of this machine that is pinned, instead of paths")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("find src -name '*.ts' -print0 | tagcache warm --from -", "warms what find names"),
    )
    .action(async (paths: string[], options: WarmOptions, command: Command) => {
      const hasPaths = paths.length > 0 || options.from !== undefined;
      if (hasPaths === (options.pins === true)) {
        const found = hasPaths ? "Paths and --pins are given" : "Nothing to warm";
        throw new CliError(EXIT.usage, `${found}: name a PATH, or a list with --from, or --pins`);
      }
      const tally = await withOrigin(
        settingsOf(command),
        options,
        (session, client) =>
          options.pins ? warmPins(session, client) : warmTrees(session, allPaths(paths, options.from)),
        { deadlineMs: PATIENT_MS },
      );
      if (options.json) printJson(tally);
      else for (const line of warmLines(tally)) print(line);
      for (const line of warmFailureLines(tally)) remark(line);
      process.exitCode = tally.failed > 0 ? EXIT.io : EXIT.ok;
    });
}

/** Warms everything at and below some paths, with a progress line on a terminal. @param tally is added to. */
export async function warmTrees(
  session: OriginSession,
  paths: AsyncIterable<Buffer> | Iterable<Buffer>,
  walk: WalkOptions = {},
  tally: WarmTally = newWarmTally(),
): Promise<WarmTally> {
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

/** Warms what is pinned of this machine's files, and notes of each pin that its content is all there. */
async function warmPins(session: OriginSession, client: CacheClient): Promise<WarmTally> {
  const tally = newWarmTally();
  const unsettled = (): number =>
    tally.failed +
    (tally.skippedBy.racy ?? 0) +
    (tally.skippedBy.changed ?? 0) +
    (tally.skippedBy.moved ?? 0);
  for await (const pin of allPins(client)) {
    const path = pathOf(pin, session.origin.named);
    if (path === undefined) {
      remark(`${placeText(pin)} is of another origin, or its --origin is not given: it is not fetched here`);
      continue;
    }
    const before = unsettled();
    await warmTrees(session, [path], {}, tally);
    if (unsettled() === before) await client.pin(selectorOf(pin), { refetched: true });
  }
  return tally;
}

async function* allPaths(paths: readonly string[], from: string | undefined): AsyncGenerator<Buffer> {
  yield* argumentPaths(paths);
  if (from === "-") yield* readPathList(process.stdin);
  else if (from !== undefined) yield* readPathList(createReadStream(from));
}
