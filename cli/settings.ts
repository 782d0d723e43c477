/** The settings that all commands share, and where they come from: the command line, then the environment, then defaults. */
import { statfsSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import type { Command } from "commander";
import { Option } from "commander";
import { errnoOf } from "../index/core/errors.js";
import { parseSize } from "../index/core/units.js";
import { CliError, EXIT } from "./exit-codes.js";

export interface Settings {
  /** The cache directory, as it was given. */
  readonly directory: string;
  /** Set when the ledger lies elsewhere than in the cache directory. */
  readonly stateDirectory?: string;
  readonly socketPath: string;
}

interface GlobalOptions {
  readonly dir?: string;
  readonly stateDir?: string;
  readonly socket?: string;
}

/** Declares the options that may stand before or after the name of a command. */
export function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option("--dir <path>", `cache directory (default: ${defaultDirectory()})`).env("TAGCACHE_DIR"),
    )
    .addOption(
      new Option("--state-dir <path>", "directory of the ledger (default: <dir>/ledger)").env(
        "TAGCACHE_STATE_DIR",
      ),
    )
    .addOption(
      new Option("--socket <path>", "socket of the daemon (default: <dir>/sock)").env("TAGCACHE_SOCKET"),
    );
}

/** The shared settings as they stand for a command. @throws {CliError} 64 for an empty path. */
export function settingsOf(command: Command): Settings {
  const program = command.parent ?? command;
  const given = program.opts<GlobalOptions>();
  const path = (name: "dir" | "stateDir" | "socket", flag: string): string | undefined => {
    const value = given[name];
    if (value !== "") return value;
    // An empty variable means an unset one.
    if (program.getOptionValueSource(name) === "env") return undefined;
    throw new CliError(EXIT.usage, `Cannot use ${flag} "": want a path`);
  };
  const directory = path("dir", "--dir") ?? defaultDirectory();
  const stateDirectory = path("stateDir", "--state-dir");
  return {
    directory,
    ...(stateDirectory !== undefined && { stateDirectory }),
    socketPath: path("socket", "--socket") ?? join(directory, "sock"),
  };
}

/** Where a cache lies unless told otherwise. */
export function defaultDirectory(): string {
  if (process.getuid?.() === 0) return "/var/cache/tagcache";
  const xdg = process.env["XDG_CACHE_HOME"] ?? "";
  // The XDG specification says that a relative path is to be ignored.
  return join(isAbsolute(xdg) ? xdg : join(homedir(), ".cache"), "tagcache");
}

/**
 * Reads a capacity; a percentage is of the drive that holds, or will hold, the directory.
 * @throws {CacheError} E_ARGUMENT when the text is no size.
 */
export function parseCapacity(text: string, directory: string): number {
  const drive = text.trim().endsWith("%") ? driveOf(directory) : undefined;
  return parseSize(text, drive === undefined ? {} : { totalBytes: drive.totalBytes });
}

/** Size and room of the drive that holds a directory, or its nearest parent that exists. */
export function driveOf(directory: string): { totalBytes: number; availableBytes: number } {
  for (let path = directory; ; path = dirname(path)) {
    try {
      const { bsize, blocks, bavail } = statfsSync(path);
      return { totalBytes: bsize * blocks, availableBytes: bsize * bavail };
    } catch (error) {
      if (errnoOf(error) !== "ENOENT" || dirname(path) === path) throw error;
    }
  }
}
