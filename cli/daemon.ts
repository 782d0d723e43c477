/** Talking to the daemon from a command. */
import path from "node:path";
import { CacheError, errnoOf, isCacheError } from "../index/core/errors.js";
import type { CacheClient } from "../engine/daemon/client.js";
import { connect } from "../engine/daemon/client.js";
import { NO_SOCKET } from "./config/grammar.js";
import { CliError, EXIT } from "./exit-codes.js";
import type { Settings } from "./settings.js";

/** For work on many files, where waiting for a busy daemon is better than giving a file up. */
export const PATIENT_MS = 15_000;

/**
 * Runs `work` with a connection to the daemon and closes it.
 * @throws {CliError} 69 when no daemon answers; what `work` throws.
 */
export async function withDaemon<Result>(
  settings: Settings,
  work: (client: CacheClient) => Promise<Result>,
  options: { readonly deadlineMs?: number } = {},
): Promise<Result> {
  if (settings.socketPath === NO_SOCKET) throw noSocket();
  try {
    const client = await connect({ socketPath: settings.socketPath, ...options });
    try {
      return await work(client);
    } finally {
      await client.close();
    }
  } catch (error) {
    throw explain(error, settings);
  }
}

function noSocket(): CliError {
  return new CliError(
    EXIT.unavailable,
    `No daemon can be asked: "socket" is ${NO_SOCKET}; end it by SIGTERM`,
  );
}

/** The daemon's client, or undefined when no daemon listens there. */
export async function connectIfRunning(
  settings: Settings,
  options: { readonly deadlineMs?: number } = {},
): Promise<CacheClient | undefined> {
  if (settings.socketPath === NO_SOCKET) return undefined;
  try {
    return await connect({ socketPath: settings.socketPath, ...options });
  } catch (error) {
    if (isCacheError(error, "E_UNAVAILABLE")) return undefined;
    throw explain(error, settings);
  }
}

function explain(error: unknown, settings: Settings): unknown {
  if (!(error instanceof CacheError)) return error;
  const socket = settings.socketPath;
  if (error.code === "E_UNAVAILABLE") {
    const forbidden = errnoOf(error.cause) === "EACCES";
    const own = socket === path.join(settings.directory, "sock") ? "" : ` --socket ${socket}`;
    const line = forbidden
      ? `No daemon answers on ${socket}: the socket may not be used by this user; "tagcache serve" makes one of your own`
      : `No daemon answers on ${socket}: start one with "tagcache serve --dir ${settings.directory}${own}"`;
    return new CliError(EXIT.unavailable, line, { cause: error });
  }
  if (error.code === "E_TIMEOUT") {
    const line = `The daemon on ${socket} does not answer in time: stop it before the next "tagcache serve"`;
    return new CliError(EXIT.unavailable, line, { cause: error });
  }
  return error;
}
