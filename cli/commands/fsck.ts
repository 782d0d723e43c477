/** `tagcache fsck`: checks a cache, by itself where nobody has it open, else by the daemon that has. */
import type { Command } from "commander";
import { CommanderError } from "commander";
import { CheckEnded } from "../../engine/fsck/course.js";
import { type FollowOptions, followFsck } from "../../engine/fsck/follow.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import type { FsckFinding, FsckProgress, FsckReport } from "../../engine/fsck-api.js";
import { isCacheError } from "../../index/core/errors.js";
import { formatBytes, formatCount, parseSize } from "../../index/core/units.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { NO_SOCKET } from "../config/grammar.js";
import { connectIfRunning, withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT, FSCK_EXIT, exitStatusOf, lineOf } from "../exit-codes.js";
import { type Progress, print, printJson, remark, startProgress } from "../output.js";
import type { Settings } from "../settings.js";
import { givenOf, settingsOf } from "../settings.js";

interface Options {
  readonly deep?: true;
  readonly repair?: true;

  readonly rate?: string;
  readonly progress?: true;
  readonly json?: true;
}

const REMARK_MS = 1000;

/** Adds the command. Exit status, as in fsck(8): FSCK_EXIT. */
export function addFsck(program: Command): void {
  program
    .command("fsck")
    .description("check the cache, offline, or by the daemon that has it open")
    .option("--deep", "read every block and check it against its checksums")
    .option("--repair", "drop what is damaged, set slots aside; makes nothing up, leaves the ledger alone")
    .option("--rate <size>", "bytes a second at most (by a daemon, with --deep: 32MiB unless given)")
    .option("--progress", "tell on stderr how far it is, also where that is no terminal")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example(
        "tagcache fsck --deep",
        "exit status 0 clean, 1 findings, all repaired, 4 findings left, 8 could not be carried out, 16 wrong usage, 32 interrupted",
      ),
    )
    .exitOverride((error) => {
      throw error.exitCode === EXIT.ok
        ? error
        : new CommanderError(FSCK_EXIT.usage, error.code, error.message);
    })
    .action(async (options: Options, command: Command) => {
      const report = await check(targetFor(command), options);
      if (options.json) printJson(report);
      else printReport(report, options.deep === true);
      process.exitCode = statusOf(report);
    });
}

function statusOf({ found, repaired, clean }: FsckReport): number {
  if (clean) return FSCK_EXIT.clean;
  return repaired === found ? FSCK_EXIT.corrected : FSCK_EXIT.findings;
}

interface Target extends Settings {
  /** The command line names a socket: whoever listens there is asked before the directory is looked at. */
  readonly byDaemon: boolean;
  /** It names no directory besides: then that is all that is asked. */
  readonly byDaemonOnly: boolean;
}

/** 16 and 8 in place of 64 and 78, as everything here. */
function targetFor(command: Command): Target {
  return asFsck(() => {
    const settings = settingsOf(command);
    const { flags } = givenOf(command, ["dir", "socket"]);
    const byDaemon = flags.has("socket") && settings.socketPath !== NO_SOCKET;
    return { ...settings, byDaemon, byDaemonOnly: byDaemon && !flags.has("dir") };
  });
}

function asFsck<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fsckError(error);
  }
}

function fsckError(error: unknown): CliError {
  if (error instanceof CheckEnded)
    return new CliError(FSCK_EXIT.cancelled, `The check ended early: ${error.message}`, { cause: error });
  const status = exitStatusOf(error) === EXIT.usage ? FSCK_EXIT.usage : FSCK_EXIT.operational;
  return new CliError(status, lineOf(error), { cause: error });
}

async function check(target: Target, options: Options): Promise<FsckReport> {
  const { rate, deep, repair } = options;
  const bytesPerSecond = rate === undefined ? {} : { bytesPerSecond: asFsck(() => parseSize(rate)) };
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  process.once("SIGINT", onSignal);
  const shown = showProgress(options.progress === true);
  try {
    return await checkEither(target, {
      ...(deep === true && { deep }),
      ...(repair === true && { repair }),
      ...bytesPerSecond,
      signal: stop.signal,
      onProgress: (progress) => shown.update(progress),
    });
  } catch (error) {
    throw fsckError(error);
  } finally {
    process.off("SIGINT", onSignal);
    shown.stop();
  }
}

/** Whoever has the cache open is asked to check it: nobody else may open its index. */
async function checkEither(target: Target, options: FollowOptions): Promise<FsckReport> {
  const { directory, stateDirectory, byDaemon, byDaemonOnly } = target;
  if (byDaemonOnly) return withDaemon(target, (client) => followHere(client, options));
  if (byDaemon) {
    const report = await checkByDaemon(target, options);
    if (report !== undefined) return report;
  }
  try {
    return await fsckDirectory({
      directory,
      ...(stateDirectory !== undefined && { stateDirectory }),
      probe: true,
      ...options,
    });
  } catch (error) {
    const report = isCacheError(error, "E_BUSY") ? await checkByDaemon(target, options) : undefined;
    if (report === undefined) throw error;
    return report;
  }
}

/** Undefined where no daemon answers. */
async function checkByDaemon(target: Target, options: FollowOptions): Promise<FsckReport | undefined> {
  const client = await connectIfRunning(target);
  if (client === undefined) return undefined;
  try {
    return await followHere(client, options);
  } finally {
    await client.close();
  }
}

async function followHere(client: CacheClient, options: FollowOptions): Promise<FsckReport> {
  const { pid, directory } = await client.status();
  remark(`process ${pid} has ${directory} open and checks it`);
  return followFsck(client.fsck, options);
}

/** A bar on a terminal; with `always` a line a second elsewhere. */
function showProgress(always: boolean): { update(progress: FsckProgress): void; stop(): void } {
  let bar: Progress | undefined;
  let phase: FsckProgress["phase"] | undefined;
  let toldMs = 0;
  return {
    update(progress) {
      if (always && !process.stderr.isTTY) {
        if (phase === progress.phase && Date.now() - toldMs < REMARK_MS) return;
        [phase, toldMs] = [progress.phase, Date.now()];
        remark(lineOfProgress(progress));
        return;
      }
      if (phase !== progress.phase) {
        bar?.stop();
        bar = startProgress(`checking ${progress.phase}`, progress.total);
        phase = progress.phase;
      }
      bar?.update(progress.done);
    },
    stop: () => bar?.stop(),
  };
}

function lineOfProgress({ phase, done, total, bytes }: FsckProgress): string {
  const of = total === 0 ? formatCount(done) : `${formatCount(done)} of ${formatCount(total)}`;
  return `checking ${phase}: ${of}${bytes === 0 ? "" : `, ${formatBytes(bytes)} read`}`;
}

function printReport(report: FsckReport, deep: boolean): void {
  const { findings, found, repaired, counts, foundByCode, clean } = report;
  for (const finding of findings) print(lineOfFinding(finding));
  if (found > findings.length) print(`and ${formatCount(found - findings.length)} more`);
  const codes = Object.entries(foundByCode).map(([code, count]) => `${code} ${formatCount(count)}`);
  if (codes.length > 0) print(`By code: ${codes.join(", ")}`);
  const blocks = `${formatCount(counts.entries)} entries in ${formatCount(counts.slots)} slots`;
  const states = `${formatCount(counts.used)} used, ${formatCount(counts.free)} free, ${counts.quarantined} quarantined`;
  const open = counts.unclaimed === 0 ? "" : `, ${formatCount(counts.unclaimed)} not claimed yet`;
  const unnamed =
    counts.unnamed === 0 ? "" : `; ${formatCount(counts.unnamed)} entries of files that are gone`;
  const read = deep
    ? `; read ${formatCount(counts.blocksChecked)} blocks, ${formatBytes(counts.bytesChecked)}`
    : "";
  const drive = `; ${formatBytes(counts.countedBytes)} counted, ${formatBytes(counts.allocatedBytes)} allocated`;
  const mended = repaired === 0 ? "" : `, ${formatCount(repaired)} repaired`;
  const what = found === 1 ? "1 finding" : `${formatCount(found)} findings`;
  print(`${clean ? "Clean" : `${what}${mended}`}: ${blocks} (${states}${open})${unnamed}${read}${drive}`);
}

function lineOfFinding({ code, message, repaired }: FsckFinding): string {
  return `${code}: ${message}${repaired === undefined ? "" : ` (repaired: ${repaired})`}`;
}
