/** `tagcache serve`: the daemon. */
import type { Command } from "commander";
import type { OnUnclean, OwnedCache } from "../../engine/cache.js";
import { openCache } from "../../engine/cache.js";
import type { PolicyName } from "../../engine/policy-names.js";
import { type CvmfsAddress, parseCvmfsAddress } from "../../engine/daemon/cvmfs/address.js";
import { type MetricsAddress, parseMetricsAddress } from "../../engine/daemon/metrics-address.js";
import type { ServerLimits } from "../../engine/daemon/server.js";
import { isCacheError, messageOf } from "../../index/core/errors.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { NO_SOCKET } from "../config/grammar.js";
import type { KeyName } from "../config/keys.js";
import { type Layer, limitOptionsFrom, overlay, serverLimitsFrom, settingsFrom } from "../config/layers.js";
import { LiveConfig } from "../config/live.js";
import { checkSocket } from "../config/offline.js";
import { type Given, loadFile } from "../config/sources.js";
import { groupIdOf } from "../groups.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import { type FrontEnds, startFrontEnds } from "../front-ends.js";
import type { CliLogger, LogFormat, LogLevel } from "../log.js";
import { createLogger, isJournald } from "../log.js";
import { addServeOptions, givenOf } from "../settings.js";
import type { ReloadRequests, StopRequests } from "../signals.js";
import { listenForReload, listenForStop } from "../signals.js";
import { type Supervisor, isServed, supervisorOf } from "../supervisor.js";
import { notify, passedSocket } from "../systemd.js";
import { warnOfFewThreads } from "../threads.js";

/** Keeps what is made from everybody but its owner; or but owner and group, and the group from changing it. */
const OWNER_UMASK = 0o077;
const GROUP_UMASK = 0o027;

/** What a daemon is started with, and what asks it to change or end. */
interface Start {
  readonly given: Given;
  readonly file: Layer | undefined;
  /** Absent for a daemon without a socket of its own. */
  readonly socketPath: string | undefined;
  readonly passedSocket: number | undefined;
  readonly limits: ServerLimits;
  readonly groupId: number | undefined;
  readonly cvmfs: CvmfsAddress | undefined;
  /** The CVMFS client that started this daemon. */
  readonly supervisor: Supervisor | undefined;
  readonly log: CliLogger;
  readonly stop: StopRequests;
  readonly reloads: ReloadRequests;
  readonly metrics: MetricsAddress | undefined;
}

/** Adds the command. Exit status: 0 stopped clean, 75 somebody owns the directory, 78 wrong setting or directory. */
export function addServe(program: Command): void {
  addServeOptions(program.command("serve"))
    .description("run the cache and answer on its socket until a signal or `tagcache stop`")
    .addHelpText(
      "after",
      example(
        "tagcache serve --dir /nvme/cache --capacity 100GiB",
        "stops clean on SIGTERM; reads its config file again on SIGHUP",
      ),
    )
    .action(async (_options: unknown, command: Command) => {
      process.exitCode = await serve(command);
    });
}

/** The order at the end is what makes a stop clean: the server drains first, then the cache closes, then the process ends. */
async function serve(command: Command): Promise<number> {
  // A signal may come before there is anything to read again, or to end.
  const early: { log?: CliLogger } = {};
  const stop = listen(early);
  const reloads = listenForReload(() => stop.request("the terminal has gone"));
  const given = givenOf(command);
  const file = loadFile(given.location);
  const layer = overlay(given.flags, given.environment, file);
  // Before a cache is opened, or even made, for nothing.
  checkSocket(layer);
  const log = loggerOf(layer);
  early.log = log;
  guard(log);
  warnOfFewThreads(log);
  const { socketPath } = settingsFrom(layer);
  const text = (key: KeyName): string => layer.get(key)?.text ?? "";
  const cvmfs = text("cvmfs") === "" ? undefined : parseCvmfsAddress(text("cvmfs"));
  const groupId = text("group") === "" ? undefined : await groupIdOf(text("group"));
  // A socket can be reached from the moment at which it has its name.
  process.umask(groupId === undefined ? OWNER_UMASK : GROUP_UMASK);
  const start = {
    groupId,
    given,
    file,
    log,
    stop,
    reloads,
    cvmfs,
    passedSocket: passedSocket(process.env),
    limits: serverLimitsFrom(layer),
    socketPath: socketPath === NO_SOCKET ? undefined : socketPath,
    metrics: text("metrics") === "" ? undefined : parseMetricsAddress(text("metrics")),
    supervisor: cvmfs && supervisorOf(process.env, (message) => log.warn(message)),
  };
  if (!(await ownAndServe(layer, start))) return EXIT.ok;
  log.flush({ all: true });
  reloads.releaseTerminal();
  return EXIT.ok;
}

/** @returns false where the CVMFS client that started this daemon is served by another one already. */
async function ownAndServe(layer: Layer, start: Start): Promise<boolean> {
  const { cvmfs, supervisor, log, groupId } = start;
  const { directory, stateDirectory } = settingsFrom(layer);
  try {
    const cache = await openCache({
      directory,
      onUnclean: layer.get("on-unclean")?.text as OnUnclean, // the grammars of both take no other words
      policy: layer.get("policy")?.text as PolicyName,
      publish: true,
      ...(groupId !== undefined && { groupId }),
      log: (level, message, fields) => log[level](message, fields),
      ...(stateDirectory !== undefined && { stateDirectory }),
      ...limitOptionsFrom(layer, directory),
    });
    try {
      await serveUntilStopped(cache, start);
    } finally {
      await cache.close();
    }
    return true;
  } catch (error) {
    if (
      cvmfs !== undefined &&
      supervisor !== undefined &&
      isCacheError(error, "E_BUSY") &&
      (await isServed(cvmfs))
    ) {
      log.info("another daemon serves already", { cvmfs: layer.get("cvmfs")?.text });
      supervisor.ready();
      return false;
    }
    supervisor?.failed();
    throw error;
  }
}

function loggerOf(layer: Layer): CliLogger {
  return createLogger({
    level: layer.get("log-level")?.text as LogLevel, // the grammars of both take no other words
    format: layer.get("log-format")?.text as LogFormat,
    journald: isJournald(),
    write: (line) => process.stderr.write(line),
  });
}

async function serveUntilStopped(cache: OwnedCache, start: Start): Promise<void> {
  const { given, file, log, stop } = start;
  if (stop.isRequested()) return;
  const config = new LiveConfig({ cache, log, given, file });
  const supervised = start.supervisor !== undefined;
  const frontEnds = await startFrontEnds({ ...start, cache, config, supervised });
  try {
    await untilStopped(cache, config, start, frontEnds);
  } finally {
    await frontEnds.close();
  }
}

async function untilStopped(
  cache: OwnedCache,
  config: LiveConfig,
  start: Start,
  { locator, socketPath }: FrontEnds,
): Promise<void> {
  const { given, file, log, stop } = start;
  const status = await cache.status();
  log.info("serving", {
    ...(socketPath !== undefined && { socket: socketPath }),
    ...(locator !== undefined && { cvmfs: locator }),
    pid: process.pid,
    ...(file !== undefined && { config: given.location.path }),
    capacity: formatBytes(status.capacityBytes),
    slots: formatCount(status.slotsMax),
    start: status.start.kind,
    action: status.start.action,
    startMs: Math.round(status.start.ms),
  });
  start.supervisor?.ready();
  const tell = (state: string): Promise<void> => notify(process.env, [state], (message) => log.warn(message));
  await tell("READY=1");
  // It never rejects, and what it has not done at a stop it leaves.
  start.reloads.attach(() => void config.reload());
  const reason = await stop.requested;
  log.info("stopping", { asked: reason });
  await tell("STOPPING=1");
}

function listen(early: { readonly log?: CliLogger }): StopRequests {
  return listenForStop(["SIGTERM", "SIGINT"], {
    onSecond: (signal) => early.log?.info("already stopping; a third signal ends it at once", { signal }),
    onThird: (signal) => {
      early.log?.error("ended at once; the next start will wipe the cache", { signal });
      process.exit(EXIT.interrupted);
    },
  });
}

/** A bug is one line and exit 70, without a close: the mark stays unclean, and the next start wipes. */
function guard(log: CliLogger): void {
  const end = (error: unknown): void => {
    log.error(`ended by an internal error: ${messageOf(error)}; the next start will wipe the cache`);
    process.exit(EXIT.software);
  };
  process.prependListener("uncaughtException", end);
  process.prependListener("unhandledRejection", end);
  // Node prints its warnings on several lines.
  process.removeAllListeners("warning");
  process.on("warning", (warning) => log.warn(messageOf(warning)));
  // A log that nobody can read any more, its terminal or reader gone, is no reason to lose the cache.
  process.stderr.removeAllListeners("error");
  process.stderr.on("error", () => undefined);
}
