/** `tagcache serve`: the daemon. */
import type { Command } from "commander";
import { InvalidArgumentError, Option } from "commander";
import type { BlockCache } from "../../engine/cache.js";
import { openCache } from "../../engine/cache.js";
import { type MetricsAddress, parseMetricsAddress, startMetrics } from "../../engine/daemon/metrics.js";
import { startServer } from "../../engine/daemon/server.js";
import { checkSocketPath } from "../../engine/daemon/socket-path.js";
import { messageOf } from "../../index/core/errors.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import { example } from "../example.js";
import { EXIT } from "../exit-codes.js";
import type { CliLogger, LogFormat, LogLevel } from "../log.js";
import { LOG_FORMATS, LOG_LEVELS, createLogger, isJournald } from "../log.js";
import type { Settings } from "../settings.js";
import { parseCapacity, settingsOf } from "../settings.js";
import type { StopRequests } from "../signals.js";
import { listenForStop } from "../signals.js";
import { version } from "../version.js";

/** How long requests under way may take at a stop. */
const DRAIN_MS = 5000;

interface ServeOptions {
  readonly capacity?: string;
  readonly slots?: number;
  readonly metrics?: string;
  readonly onUnclean: "wipe";
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

/** Adds the command. Exit status: 0 stopped clean, 75 somebody owns the directory, 78 wrong setting or directory. */
export function addServe(program: Command): void {
  program
    .command("serve")
    .description("run the cache and answer on its socket until a signal or `tagcache stop`")
    .option(
      "--capacity <size>",
      "bytes the cache may take: 10GiB, 10G, 20% of the drive (default: 10GiB or a fifth of what is free, whichever is less)",
    )
    .option("--slots <number>", "blocks it may hold (default: one per 32 KiB of capacity)", wholeNumber)
    .option(
      "--metrics <address>",
      "serve Prometheus metrics and /healthz over HTTP on HOST:PORT; :PORT for this machine alone",
    )
    .addOption(new Option("--on-unclean <action>", "after a crash").choices(["wipe"]).default("wipe"))
    .addOption(
      new Option("--log-level <level>", "least level that is logged").choices(LOG_LEVELS).default("info"),
    )
    .addOption(new Option("--log-format <format>", "form of a line").choices(LOG_FORMATS).default("text"))
    .addHelpText(
      "after",
      example("tagcache serve --dir /nvme/cache --capacity 100GiB", "stops clean on SIGTERM"),
    )
    .action(async (options: ServeOptions, command: Command) => {
      process.exitCode = await serve(settingsOf(command), options);
    });
}

function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("Want a whole number.");
  return Number(text);
}

/** The order at the end is what makes a stop clean: the server drains first, then the cache closes, then the process ends. */
async function serve(settings: Settings, options: ServeOptions): Promise<number> {
  // Before a cache is opened, or even made, for nothing.
  checkSocketPath(settings.socketPath);
  const metrics = options.metrics === undefined ? undefined : parseMetricsAddress(options.metrics);
  const capacityBytes =
    options.capacity === undefined ? undefined : parseCapacity(options.capacity, settings.directory);
  const log = createLogger({
    level: options.logLevel,
    format: options.logFormat,
    journald: isJournald(),
    write: (line) => process.stderr.write(line),
  });
  guard(log);
  const stop = listen(log);
  const cache = await openCache({
    directory: settings.directory,
    onUnclean: options.onUnclean,
    log: (level, message, fields) => log[level](message, fields),
    ...(settings.stateDirectory !== undefined && { stateDirectory: settings.stateDirectory }),
    ...(capacityBytes !== undefined && { capacityBytes }),
    ...(options.slots !== undefined && { slotsMax: options.slots }),
  });
  try {
    await serveUntilStopped({ cache, settings, log, stop, metrics });
  } finally {
    await cache.close();
  }
  log.flush({ all: true });
  return EXIT.ok;
}

interface Serving {
  readonly cache: BlockCache;
  readonly settings: Settings;
  readonly log: CliLogger;
  readonly stop: StopRequests;
  readonly metrics: MetricsAddress | undefined;
}

async function serveUntilStopped({ cache, settings, log, stop, metrics }: Serving): Promise<void> {
  if (stop.isRequested()) return;
  const server = await startServer({
    cache,
    socketPath: settings.socketPath,
    log,
    onStopRequest: () => stop.request("a client"),
    version: version(),
  });
  try {
    const listener = metrics && (await startMetrics({ cache, server, address: metrics, log }));
    try {
      await untilStopped(cache, settings, log, stop);
      listener?.stopping();
      await server.close({ drainMs: DRAIN_MS });
    } finally {
      await listener?.close();
    }
  } finally {
    await server.close({ drainMs: DRAIN_MS });
  }
}

async function untilStopped(
  cache: BlockCache,
  settings: Settings,
  log: CliLogger,
  stop: StopRequests,
): Promise<void> {
  const status = await cache.status();
  log.info("serving", {
    socket: settings.socketPath,
    pid: process.pid,
    capacity: formatBytes(status.capacityBytes),
    slots: formatCount(status.slotsMax),
    start: status.start.kind,
    action: status.start.action,
    startMs: Math.round(status.start.ms),
  });
  const reason = await stop.requested;
  log.info("stopping", { asked: reason });
}

function listen(log: CliLogger): StopRequests {
  return listenForStop({
    onSecond: (signal) => log.info("already stopping; a third signal ends it at once", { signal }),
    onThird: (signal) => {
      log.error("ended at once; the next start will wipe the cache", { signal });
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
}
