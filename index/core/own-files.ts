/**
 * Files and directories that have to be our own. Whoever else could once write in a directory may have left links, pipes
 * or files of their own in it: no link is followed, no pipe waited for, and what somebody else owns is not used. Directories
 * are kept open and walked by descriptor, so that nothing that happens to their names leads elsewhere.
 */
import fs from "node:fs";
import { CacheError, errnoOf } from "./errors.js";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
const ROOT = 0;
const WRITTEN_BY_OTHERS = 0o022;
const PERMISSIONS = 0o7777;
const HELD = /^\/proc\/self\/fd\/[0-9]+/;

/** Who we act as. */
function ourUser(): number {
  return process.geteuid?.() ?? ROOT;
}

/** Whether something is ours, root's, or, for root, of the owner of the directory that it lies in. */
export function isTrustedOwner(owner: number, directoryOwner: number): boolean {
  const us = ourUser();
  return owner === us || owner === ROOT || (us === ROOT && owner === directoryOwner);
}

/** An open directory. */
export class HeldDirectory {
  readonly fd: number;
  /** Leads to it in this process, whatever becomes of its name, until close(). */
  readonly path: string;
  readonly owner: number;
  #closed = false;

  private constructor(fd: number, owner: number) {
    this.fd = fd;
    this.path = `/proc/self/fd/${fd}`;
    this.owner = owner;
  }

  /**
   * Opens a directory that nobody else may write in; a link in its place is not followed.
   * @param parentOwner of the directory that it lies in, where that counts.
   * @throws {CacheError} E_DIRECTORY if it is no directory, is somebody else's, or may be written by others. Other errors
   *   are those of node:fs.
   */
  static open(directory: string, parentOwner?: number): HeldDirectory {
    const fd = openDirectory(directory);
    try {
      const { uid, mode } = fs.fstatSync(fd);
      // Root opens the caches of others, fsck for one.
      if (!isTrustedOwner(uid, parentOwner ?? uid)) {
        throw unusable(directory, `user ${uid} owns it, want it to be of user ${ourUser()}`);
      }
      if ((mode & WRITTEN_BY_OTHERS) !== 0) {
        const found = (mode & PERMISSIONS).toString(8).padStart(4, "0");
        throw unusable(directory, `others may write in it (mode ${found}), want chmod go-w`);
      }
      return new HeldDirectory(fd, uid);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    fs.closeSync(this.fd);
  }
}

/**
 * Takes from group and others the right to write in a directory of ours. @returns whether they had it. Where we may not,
 * nothing happens: whoever opens it will say so. Errors are those of node:fs.
 */
export function closeToOthers(directory: string): boolean {
  const fd = openDirectory(directory);
  try {
    const { uid, mode } = fs.fstatSync(fd);
    const us = ourUser();
    if ((mode & WRITTEN_BY_OTHERS) === 0 || (us !== ROOT && uid !== us)) return false;
    fs.fchmodSync(fd, mode & PERMISSIONS & ~WRITTEN_BY_OTHERS);
    return true;
  } finally {
    fs.closeSync(fd);
  }
}

/** @returns a descriptor. @throws {CacheError} E_DIRECTORY for a link or a file; other errors are those of node:fs. */
function openDirectory(directory: string): number {
  try {
    return fs.openSync(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== "ELOOP" && errno !== "ENOTDIR") throw error;
    const link = fs.lstatSync(directory, { throwIfNoEntry: false })?.isSymbolicLink() === true;
    throw unusable(
      directory,
      link ? "it is a symbolic link, want the directory itself" : "it is not a directory",
    );
  }
}

function unusable(directory: string, why: string): CacheError {
  return new CacheError("E_DIRECTORY", `Cannot use ${shownPath(directory)}: ${why}`);
}

/** What a plain file of ours looks like: one name, and nobody else's. */
export function isOwnFile(stats: fs.Stats, directoryOwner = stats.uid): boolean {
  return stats.isFile() && stats.nlink === 1 && isTrustedOwner(stats.uid, directoryOwner);
}

/**
 * Opens a file for reading. @returns a descriptor, or undefined where something else than a plain file of ours has the
 * name. Errors are those of node:fs, ENOENT among them.
 */
export function openOwnFile(file: string): number | undefined {
  let fd: number;
  try {
    fd = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (["ELOOP", "ENXIO", "EISDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
  if (isOwnFile(fs.fstatSync(fd))) return fd;
  fs.closeSync(fd);
  return undefined;
}

/** Makes a file in place of whatever else has the name, which is removed. @returns a descriptor. Errors are those of node:fs. */
export function makeOwnFile(file: string, mode: number): number {
  fs.rmSync(file, { recursive: true, force: true });
  return fs.openSync(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/** A path as users know it: for messages. */
export function shownPath(place: string): string {
  const held = HELD.exec(place)?.[0];
  if (held === undefined) return place;
  try {
    return fs.readlinkSync(held) + place.slice(held.length);
  } catch {
    return place; // nothing is open there any more
  }
}
