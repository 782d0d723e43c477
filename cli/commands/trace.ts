/** `tagcache trace`: records what the running daemon is asked, for tune and replay. */
import { existsSync, lstatSync, renameSync, rmSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { TraceStatus } from "../../engine/daemon/client.js";
import { formatBytes, formatCount, parseSize } from "../../index/core/units.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printFields, printJson } from "../output.js";
import { askYes } from "../questions.js";
import { settingsOf } from "../settings.js";
import { type TraceSummary, summaryOf } from "../trace/summary.js";

interface StartOptions {
  readonly size?: string;
  readonly overwrite?: true;
  readonly json?: true;
}

/** Adds the command and those below it. Exit status: as theirs, 64 without one. */
export function addTrace(program: Command): void {
  const trace = program
    .command("trace")
    .description("record the accesses of the running daemon to a file")
    .addHelpText(
      "after",
      example("tagcache trace start /var/tmp/today.trace", "until trace stop, or 64 MiB"),
    );
  addStart(trace);
  addStop(trace);
  addShow(trace);
}

/** Exit status: 0 it records, 64 wrong path or size or a file that exists, 69 no daemon, 74 no such place, 75 it records already. */
function addStart(trace: Command): void {
  trace
    .command("start")
    .description(
      "begin to record; each file's name is written once, an access takes some bytes. At its size the recording ends, and " +
        "what came first is kept",
    )
    .argument("<file>", "made by the daemon, for its owner alone")
    .option("--size <size>", "end at so many bytes (default: 64MiB)")
    .option("--overwrite", "take the place of a file that exists; else it asks, or refuses off a terminal")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache trace start --size 1GiB /var/tmp/week.trace", "a bound of its own"),
    )
    .action(async (file: string, options: StartOptions, command: Command) => {
      const path = resolve(file);
      const bytesMax = options.size === undefined ? {} : { bytesMax: parseSize(options.size) };
      const settings = settingsOf(command);
      const status = await withDaemon(settings, async (client) => {
        const aside = existsSync(path) ? await putAside(path, options.overwrite === true) : undefined;
        try {
          return await client.startTrace({ path, ...bytesMax });
        } catch (error) {
          if (aside !== undefined && !existsSync(path)) renameSync(aside, path);
          throw error;
        } finally {
          if (aside !== undefined && existsSync(path)) rmSync(aside, { force: true });
        }
      });
      report(status, options);
    });
}

/** Exit status: 0 nothing is recorded any more, 69 no daemon, 74 the recording had failed before. */
function addStop(trace: Command): void {
  trace
    .command("stop")
    .description("end the recording; its file is on the drive then")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache trace stop", "says what was recorded"))
    .action(async (options: { json?: true }, command: Command) => {
      const status = await withDaemon(settingsOf(command), (client) => client.stopTrace());
      report(status, options);
      if (status.state === "failed") process.exitCode = EXIT.io;
    });
}

/** Exit status: 0, 65 the file is no recording, 66 it cannot be read, 69 no daemon. */
function addShow(trace: Command): void {
  trace
    .command("show")
    .description(
      "show the recording that runs, or ran last; with a file what that holds, which needs no daemon",
    )
    .argument("[file]", "a recording")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example("tagcache trace show /var/tmp/today.trace", "accesses, hits, files, blocks"),
    )
    .action(async (file: string | undefined, options: { json?: true }, command: Command) => {
      if (file === undefined) {
        report(await withDaemon(settingsOf(command), (client) => client.traceStatus()), options);
        return;
      }
      const summary = await summaryOf(file);
      if (options.json) printJson(summary);
      else printFields(summaryFields(summary));
      process.exitCode = EXIT.ok;
    });
}

function report(status: TraceStatus, options: { readonly json?: true }): void {
  if (options.json) printJson(status);
  else print(statusLine(status));
  process.exitCode = EXIT.ok;
}

function statusLine({
  state,
  path,
  bytes = 0,
  bytesMax = 0,
  accesses = 0,
  files = 0,
  lost = 0,
  reason,
}: TraceStatus) {
  if (state === "none") return "Nothing is recorded";
  const why = reason === undefined ? "" : `: ${reason}`;
  const left = lost === 0 ? "" : `; ${formatCount(lost)} were left out, the drive was too slow for them`;
  const size = `${formatBytes(bytes)} of at most ${formatBytes(bytesMax)}`;
  const word = state === "recording" ? "Recording to" : `The recording is ${state}${why}:`;
  return `${word} ${path}: ${formatCount(accesses)} accesses of ${formatCount(files)} files, ${size}${left}`;
}

function summaryFields(summary: TraceSummary): [string, string][] {
  const { reads, hits, misses, writes, refused, lost, droppedBytes } = summary;
  const ratio = reads === 0 ? "" : ` (${((hits / reads) * 100).toFixed(1)} %)`;
  const left = lost === 0 ? "" : `, and ${formatCount(lost)} that were left out`;
  const tail = `${formatBytes(droppedBytes)} of an unfinished chunk, left out`;
  return [
    [
      "recorded",
      `from ${new Date(summary.startedMs).toISOString()}, for ${(summary.lastsMs / 1000).toFixed(1)} s`,
    ],
    ["accesses", `${formatCount(summary.accesses)}${left}`],
    ["reads", `${formatCount(reads)}: ${formatCount(hits)} hits${ratio}, ${formatCount(misses)} misses`],
    ["writes", `${formatCount(writes)}${refused === 0 ? "" : `, ${formatCount(refused)} refused`}`],
    ["names", `${formatCount(summary.files)} files, ${formatCount(summary.blocks)} blocks of them`],
    ...(droppedBytes === 0 ? [] : [["tail", tail] as [string, string]]),
  ];
}

/** Moves a file out of the way once that is agreed to. @returns where it is now. */
async function putAside(path: string, agreed: boolean): Promise<string> {
  if (!lstatSync(path).isFile())
    throw new CliError(EXIT.usage, `Cannot record to ${path}: it is no regular file`);
  const refusal = `Cannot record to ${path}: it exists, give --overwrite or another name`;
  if (!agreed && !(await askYes(`Overwrite ${path}?`, refusal)))
    throw new CliError(EXIT.negative, "Nothing is recorded");
  const aside = `${path}.before-${process.pid}`;
  renameSync(path, aside);
  return aside;
}
