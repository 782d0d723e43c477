/** `tagcache replay`: drives the running daemon with a recording of accesses. */
import type { Command } from "commander";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { PATIENT_MS, withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { printFields, printJson, remark, startProgress } from "../output.js";
import { type ReplayOptions, type ReplayReport, forgetReplayed, replay } from "../replay/replay.js";
import { settingsOf } from "../settings.js";
import { openTrace } from "../trace/summary.js";

const JOBS_MAX = 256;
/** In recorded time accesses overlap as they did. */
const TIMED_JOBS = 64;
const SPEED_MAX = 1e6;
/** Kinds of differences that are shown; --json has all. */
const SHOWN_DIFFERENCES = 6;

interface Options {
  readonly speed?: string;
  readonly jobs?: string;
  readonly keep?: true;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 replayed, 1 a hit had wrong bytes, 65 no recording, 66 it cannot be read, 69 no daemon. */
export function addReplay(program: Command): void {
  program
    .command("replay")
    .description(
      "drive the daemon with a recording of accesses; it stores bytes of its own under file systems named replay:…, which " +
        "are dropped before and after, and tells hits, times and what ended otherwise than recorded",
    )
    .argument("<file>", "what trace start has recorded")
    .option(
      "--speed <factor>",
      "1 keeps the times of the recording, 10 is ten times as fast; max waits for nothing",
      "max",
    )
    .option("--jobs <count>", `accesses under way at a time (default: 1, in recorded time ${TIMED_JOBS})`)
    .option("--keep", "leave what was stored")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache replay --speed 10 /var/tmp/today.trace", "a day in two and a half hours"),
    )
    .action(async (file: string, options: Options, command: Command) => {
      const wanted = optionsOf(options);
      const settings = settingsOf(command);
      const reader = await openTrace(file);
      const report = await withDaemon(
        settings,
        async (client) => {
          await forgetReplayed(client);
          const progress = startProgress("replaying", 0);
          try {
            return await replay(client, reader, { ...wanted, onProgress: (done) => progress.update(done) });
          } finally {
            progress.stop();
            if (options.keep !== true) await forgetReplayed(client);
          }
        },
        { deadlineMs: PATIENT_MS },
      );
      if (options.json) printJson(report);
      else printFields(fieldsOf(report));
      if (report.wrong > 0) remark(`${formatCount(report.wrong)} hits had other bytes than were stored`);
      process.exitCode = report.wrong > 0 ? EXIT.negative : EXIT.ok;
    });
}

/** @throws {CliError} 64. */
function optionsOf({ speed = "max", jobs }: Options): ReplayOptions {
  const factor = speed === "max" ? undefined : Number(speed);
  if (factor !== undefined && !(factor > 0 && factor <= SPEED_MAX && /^[\d.]+$/.test(speed))) {
    const found = JSON.stringify(speed);
    throw new CliError(
      EXIT.usage,
      `Cannot use --speed ${found}: want max, or a number above 0, at most ${SPEED_MAX}`,
    );
  }
  const count = jobs === undefined ? (factor === undefined ? 1 : TIMED_JOBS) : Number(jobs);
  if (
    !Number.isInteger(count) ||
    count < 1 ||
    count > JOBS_MAX ||
    (jobs !== undefined && !/^\d+$/.test(jobs))
  ) {
    throw new CliError(EXIT.usage, `Cannot use --jobs ${JSON.stringify(jobs)}: want 1 to ${JOBS_MAX}`);
  }
  return { jobs: count, ...(factor !== undefined && { speed: factor }) };
}

function fieldsOf(report: ReplayReport): [string, string][] {
  const { recorded, replayed, differences, latencies, lost, droppedBytes } = report;
  const ratio = ({ hit, miss, bypass }: ReplayReport["recorded"]) => {
    const reads = hit + miss + bypass;
    return reads === 0
      ? "no reads"
      : `${formatCount(hit)} of ${formatCount(reads)} (${((hit / reads) * 100).toFixed(1)} %)`;
  };
  const others = Object.entries(differences).slice(0, SHOWN_DIFFERENCES);
  const told = others.map(([what, count]) => `${what} ${formatCount(count)}`).join(", ");
  const late = report.lateMs < 1 ? "" : `, ${report.lateMs.toFixed(0)} ms behind at the end`;
  const left = lost === 0 ? "" : `; ${formatCount(lost)} were never recorded`;
  const tail = droppedBytes === 0 ? "" : `; ${formatBytes(droppedBytes)} at its end are not whole`;
  return [
    [
      "replayed",
      `${formatCount(report.accesses)} accesses in ${report.seconds.toFixed(1)} s${late}${left}${tail}`,
    ],
    ["hits", ratio(replayed)],
    ["recorded", ratio(recorded)],
    ["writes", `${formatCount(replayed.stored)} stored, ${formatCount(replayed.refused)} refused`],
    ["otherwise", told === "" ? "nothing" : told],
    ...Object.entries(latencies).map(
      ([outcome, { count, meanMs, p50Ms, p99Ms, maxMs }]): [string, string] => [
        outcome,
        `mean ${meanMs} ms, median ${p50Ms}, 99 % within ${p99Ms}, longest ${maxMs} (${formatCount(count)})`,
      ],
    ),
  ];
}
