/** `tagcache serve`: the daemon. */
import type { Command } from "commander";
import type { OnUnclean, OwnedCache } from "../../engine/cache.js";
import { openCache } from "../../engine/cache.js";
import type { PolicyName } from "../../engine/policy-names.js";
import { type MetricsAddress, parseMetricsAddress } from "../../engine/daemon/metrics-address.js";
import type { Metrics, MetricsOptions } from "../../engine/daemon/metrics.js";
import { startServer } from "../../engine/daemon/server.js";
import { messageOf } from "../../index/core/errors.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import type { KeyName } from "../config/keys.js";
import { type Layer, limitOptionsFrom, overlay, settingsFrom } from "../config/layers.js";
import { LiveConfig } from "../config/live.js";
import { checkSocket } from "../config/offline.js";
import { type Given, loadFile } from "../config/sources.js";
import { groupIdOf } from "../groups.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import type { CliLogger, LogFormat, LogLevel } from "../log.js";
import { createLogger, isJournald } from "../log.js";
import { addServeOptions, givenOf } from "../settings.js";
import type { ReloadRequests, StopRequests } from "../signals.js";
import { listenForReload, listenForStop } from "../signals.js";
import { warnOfFewThreads } from "../threads.js";
import { version } from "../version.js";

/** Keeps what is made from everybody but owner and group, and the group from changing it. */
const GROUP_UMASK = 0o027;
/** How long requests under way may take at a stop. */
const DRAIN_MS = 5000;

/** What a daemon is started with, and what asks it to change or end. */
interface Start {
  readonly given: Given;
  readonly file: Layer | undefined;
  readonly socketPath: string;
  readonly groupId: number | undefined;
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
  const { directory, stateDirectory, socketPath } = settingsFrom(layer);
  // Before a cache is opened, or even made, for nothing.
  checkSocket(layer);
  const limits = limitOptionsFrom(layer, directory);
  const text = (key: KeyName): string => layer.get(key)?.text ?? "";
  const metrics = text("metrics") === "" ? undefined : parseMetricsAddress(text("metrics"));
  const log = createLogger({
    level: text("log-level") as LogLevel, // the grammars of both take no other words
    format: text("log-format") as LogFormat,
    journald: isJournald(),
    write: (line) => process.stderr.write(line),
  });
  early.log = log;
  guard(log);
  warnOfFewThreads(log);
  const groupId = text("group") === "" ? undefined : await groupIdOf(text("group"));
  // What is made in the directory is for the group too.
  if (groupId !== undefined) process.umask(GROUP_UMASK);
  const cache = await openCache({
    directory,
    onUnclean: text("on-unclean") as OnUnclean, // and neither does its
    policy: text("policy") as PolicyName, // its grammar takes no other words
    publish: true,
    ...(groupId !== undefined && { groupId }),
    log: (level, message, fields) => log[level](message, fields),
    ...(stateDirectory !== undefined && { stateDirectory }),
    ...limits,
  });
  try {
    await serveUntilStopped(cache, { given, file, socketPath, groupId, log, stop, reloads, metrics });
  } finally {
    await cache.close();
  }
  log.flush({ all: true });
  reloads.releaseTerminal();
  return EXIT.ok;
}

async function serveUntilStopped(cache: OwnedCache, start: Start): Promise<void> {
  const { given, file, socketPath, groupId, log, stop, metrics } = start;
  if (stop.isRequested()) return;
  const config = new LiveConfig({ cache, log, given, file });
  const server = await startServer({
    cache,
    socketPath,
    log,
    onStopRequest: () => stop.request("a client"),
    version: version(),
    config,
    trace: cache,
    ...(cache.direct !== undefined && { direct: cache.direct }),
    ...(groupId !== undefined && { groupId }),
  });
  try {
    const listener = metrics && (await listenForMetrics({ cache, server, address: metrics, log }));
    try {
      await untilStopped(cache, config, start);
      listener?.stopping();
      await server.close({ drainMs: DRAIN_MS });
    } finally {
      await listener?.close();
    }
  } finally {
    await server.close({ drainMs: DRAIN_MS });
  }
}

/** Loaded here, because every command would be 30 ms later with it. */
async function listenForMetrics(options: MetricsOptions): Promise<Metrics> {
  const { startMetrics } = await import("../../engine/daemon/metrics.js");
  return startMetrics(options);
}

async function untilStopped(cache: OwnedCache, config: LiveConfig, start: Start): Promise<void> {
  const { given, file, socketPath, log, stop } = start;
  const status = await cache.status();
  log.info("serving", {
    socket: socketPath,
    pid: process.pid,
    ...(file !== undefined && { config: given.location.path }),
    capacity: formatBytes(status.capacityBytes),
    slots: formatCount(status.slotsMax),
    start: status.start.kind,
    action: status.start.action,
    startMs: Math.round(status.start.ms),
  });
  // It never rejects, and what it has not done at a stop it leaves.
  start.reloads.attach(() => void config.reload());
  const reason = await stop.requested;
  log.info("stopping", { asked: reason });
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
