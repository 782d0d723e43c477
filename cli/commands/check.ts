/** `tagcache check`: how much of files and trees is cached. */
import type { Command } from "commander";
import { FILES_IN_FLIGHT_MAX, forEachConcurrent } from "../../engine/origin/concurrent.js";
import type { OriginSession } from "../../engine/origin/session.js";
import { walkTree } from "../../engine/origin/walk.js";
import type { CheckResult } from "../../engine/origin/warm.js";
import { checkFile } from "../../engine/origin/warm.js";
import { messageOf } from "../../index/core/errors.js";
import { nameText } from "../../index/core/names.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { PATIENT_MS } from "../daemon.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import type { OriginOptions } from "../origin.js";
import { addOriginOption, argumentPaths, withOrigin } from "../origin.js";
import { print, printJson, remark } from "../output.js";
import { settingsOf } from "../settings.js";

const NAMED_MAX = 10;

/** Adds the command. Exit status: 0 wholly cached, 1 not all, 74 some files could not be looked at. */
export function addCheck(program: Command): void {
  addOriginOption(program.command("check"))
    .description("tell how much of files and trees is cached; reads none of their bytes")
    .argument("<path...>", "files and directories")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache check src && echo all cached", "exit status 1 when not all of it is"),
    )
    .action(async (paths: string[], options: OriginOptions & { json?: true }, command: Command) => {
      const tally = await withOrigin(
        settingsOf(command),
        options,
        (session) => checkTrees(session, argumentPaths(paths)),
        { deadlineMs: PATIENT_MS },
      );
      const complete =
        tally.incomplete === 0 && tally.failed === 0 && (tally.files > 0 || tally.skipped === 0);
      if (options.json) printJson({ complete, ...tally });
      else printTally(tally);
      for (const line of tally.failures) remark(line);
      process.exitCode = tally.failed > 0 ? EXIT.io : complete ? EXIT.ok : EXIT.negative;
    });
}

/** What came of checking: files with how many of their blocks are cached. */
interface CheckTally {
  files: number;
  bytes: number;
  blocks: number;
  cachedBlocks: number;
  /** Files of which something is missing, the first of them by name. */
  incomplete: number;
  missing: string[];
  /** Links and the like, which are no files of an origin. */
  skipped: number;
  failed: number;
  failures: string[];
}

async function checkTrees(session: OriginSession, paths: Iterable<Buffer>): Promise<CheckTally> {
  const tally: CheckTally = {
    files: 0,
    bytes: 0,
    blocks: 0,
    cachedBlocks: 0,
    incomplete: 0,
    missing: [],
    skipped: 0,
    failed: 0,
    failures: [],
  };
  await forEachConcurrent(walkTree(session.origin, paths), FILES_IN_FLIGHT_MAX, async (entry) => {
    if (entry.kind === "file") add(tally, entry.path, await checkFile(session, entry.path));
    else if (entry.kind === "skipped") tally.skipped += 1;
    else fail(tally, messageOf(entry.error));
  });
  return tally;
}

function add(tally: CheckTally, path: Buffer, result: CheckResult): void {
  if (result.outcome === "failed") return fail(tally, messageOf(result.error));
  if (result.outcome === "skipped" && result.blocks === 0) {
    tally.skipped += 1;
    return;
  }
  const cachedBlocks = result.outcome === "checked" ? result.cachedBlocks : 0;
  tally.files += 1;
  tally.bytes += result.bytes;
  tally.blocks += result.blocks;
  tally.cachedBlocks += cachedBlocks;
  if (cachedBlocks === result.blocks) return;
  tally.incomplete += 1;
  if (tally.missing.length < NAMED_MAX) tally.missing.push(nameText(path));
}

function fail(tally: CheckTally, line: string): void {
  tally.failed += 1;
  if (tally.failures.length < NAMED_MAX) tally.failures.push(line);
}

function printTally(tally: CheckTally): void {
  const percent = tally.blocks === 0 ? 100 : Math.floor((tally.cachedBlocks / tally.blocks) * 1000) / 10;
  print(
    `${formatCount(tally.cachedBlocks)} of ${formatCount(tally.blocks)} blocks cached (${percent} %), ` +
      `${formatCount(tally.files)} files, ${formatBytes(tally.bytes)}`,
  );
  for (const path of tally.missing) print(`  not all cached: ${path}`);
  const more = tally.incomplete - tally.missing.length;
  if (more > 0) print(`  and ${formatCount(more)} more files`);
}
