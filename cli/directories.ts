/** Where a cache lies, and the drive it lies on. */
import { homedir } from "node:os";
import { dirname, isAbsolute, join } from "node:path";
import { type DriveSpace, driveSpace } from "../engine/drive-space.js";
import { errnoOf, messageOf } from "../index/core/errors.js";
import { parseSize } from "../index/core/units.js";
import { CliError, EXIT } from "./exit-codes.js";

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

/** The drive that holds a directory, or its nearest parent that exists. @throws {CliError} 74 when that may not be seen. */
export function driveOf(directory: string): DriveSpace {
  for (let path = directory; ; path = dirname(path)) {
    try {
      return driveSpace(path);
    } catch (error) {
      if (errnoOf(error) === "ENOENT" && dirname(path) !== path) continue;
      const line = `Cannot look at the drive of ${directory}: ${errnoOf(error) ?? messageOf(error)}`;
      throw new CliError(EXIT.io, line, { cause: error });
    }
  }
}
