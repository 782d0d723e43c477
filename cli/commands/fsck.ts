/** `tagcache fsck`: checks a cache that nobody has open, and changes nothing. */
import type { Command } from "commander";
import { CommanderError } from "commander";
import type { FsckReport } from "../../engine/fsck/fsck.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { example } from "../example.js";
import { CliError, EXIT, FSCK_EXIT, exitStatusOf, lineOf } from "../exit-codes.js";
import { print, printJson, startProgress } from "../output.js";
import type { Settings } from "../settings.js";
import { settingsOf } from "../settings.js";

/** Adds the command. Exit status, as in fsck(8): 0 clean, 4 findings, 8 could not be carried out, 16 wrong usage. */
export function addFsck(program: Command): void {
  program
    .command("fsck")
    .description("check the cache directory while no daemon runs; reports only, repairs nothing")
    .option("--deep", "read every block and check it against its checksums")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache fsck --deep", "exit status 0 clean, 4 findings, 8 failed, 16 wrong usage"),
    )
    .exitOverride((error) => {
      throw error.exitCode === EXIT.ok
        ? error
        : new CommanderError(FSCK_EXIT.usage, error.code, error.message);
    })
    .action(async (options: { deep?: true; json?: true }, command: Command) => {
      const report = await check(settingsFor(command), options.deep === true);
      if (options.json) printJson(report);
      else printReport(report, options.deep === true);
      process.exitCode = report.clean ? FSCK_EXIT.clean : FSCK_EXIT.findings;
    });
}

/** 16 and 8 in place of 64 and 78, as everything here. */
function settingsFor(command: Command): Settings {
  try {
    return settingsOf(command);
  } catch (error) {
    const status = exitStatusOf(error) === EXIT.usage ? FSCK_EXIT.usage : FSCK_EXIT.operational;
    throw new CliError(status, lineOf(error), { cause: error });
  }
}

async function check({ directory, stateDirectory }: Settings, deep: boolean): Promise<FsckReport> {
  let bar: ReturnType<typeof startProgress> | undefined;
  try {
    return await fsckDirectory({
      directory,
      ...(stateDirectory !== undefined && { stateDirectory }),
      deep,
      probe: true,
      onProgress: (done, total) => {
        bar ??= startProgress("checking", total);
        bar.update(done);
      },
    });
  } catch (error) {
    throw new CliError(FSCK_EXIT.operational, lineOf(error), { cause: error });
  } finally {
    bar?.stop();
  }
}

function printReport({ findings, counts, clean }: FsckReport, deep: boolean): void {
  for (const { code, message } of findings) print(`${code}: ${message}`);
  const blocks = `${formatCount(counts.entries)} entries in ${formatCount(counts.slots)} slots`;
  const states = `${formatCount(counts.used)} used, ${formatCount(counts.free)} free, ${counts.quarantined} quarantined`;
  const read = deep
    ? `; read ${formatCount(counts.blocksChecked)} blocks, ${formatBytes(counts.bytesChecked)}`
    : "";
  const open = counts.unclaimed === 0 ? "" : `, ${formatCount(counts.unclaimed)} not claimed yet`;
  print(
    `${clean ? "Clean" : `${formatCount(findings.length)} findings`}: ${blocks} (${states}${open})${read}`,
  );
}
