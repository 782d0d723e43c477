/** What `serve` would run with, found out without running it: nothing is made and nothing changed. */
import { limitsOf } from "../../engine/cache.js";
import type { ConfigEntry } from "../../engine/daemon/config-service.js";
import { checkSocketPath } from "../../engine/daemon/socket-path.js";
import { isCacheError } from "../../index/core/errors.js";
import { driveOf } from "../directories.js";
import { CliError, EXIT, lineOf } from "../exit-codes.js";
import { NO_SOCKET } from "./grammar.js";
import { type Layer, entriesFrom, limitOptionsFrom, overlay, settingsFrom } from "./layers.js";
import type { Given } from "./sources.js";

/**
 * Settles every setting, and checks them together against the drive that holds, or will hold, the directory.
 * @throws {CliError} as checkSocket; {CacheError} E_CONFIG for a contradiction.
 */
export function settledEntries({ flags, environment }: Given, file: Layer | undefined): ConfigEntry[] {
  const layer = overlay(flags, environment, file);
  checkSocket(layer);
  const { directory } = settingsFrom(layer);
  const nothing = { ownBytes: 0, indexBytes: 0 };
  const limits = limitsOf(limitOptionsFrom(layer, directory), driveOf(directory), nothing);
  return entriesFrom(layer, limits);
}

/**
 * A socket path that follows from a long directory was not checked when that was read; and somebody has to be served.
 * @throws {CliError} 64, 78.
 */
export function checkSocket(layer: Layer): void {
  const { socketPath } = settingsFrom(layer);
  const source = (layer.get("socket") ?? layer.get("dir"))?.source;
  const status = source === "flag" ? EXIT.usage : EXIT.config;
  if (socketPath === NO_SOCKET && layer.get("cvmfs")?.text === "") {
    throw new CliError(status, `Cannot serve with socket ${NO_SOCKET} and no cvmfs: want one of them`);
  }
  try {
    checkSocketPath(socketPath);
  } catch (error) {
    if (!isCacheError(error, "E_ARGUMENT")) throw error;
    throw new CliError(status, lineOf(error), { cause: error });
  }
}
