/**
 * One owner: flock(2) on a file, held by this process's open descriptor and free the moment it dies. Node has no flock,
 * so flock(1) of util-linux takes it on the inherited descriptor; the lock belongs to the open file, which we keep.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { CacheError, messageOf } from "../../index/core/errors.js";

const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
const FLOCK_BUSY = 1;
const PID_BYTES_MAX = 32;

export class OwnerLock {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Takes the lock or says who has it; never waits, never removes the file.
   * @param what named in messages: the directory that the lock guards.
   * @throws {CacheError} E_BUSY with the owner's pid; E_DIRECTORY if the file can't be opened; E_PLATFORM without flock(1).
   */
  static take(path: string, what: string): OwnerLock {
    const fd = openLockFile(path);
    try {
      const run = spawnSync("flock", ["--exclusive", "--nonblock", "3"], {
        stdio: ["ignore", "ignore", "pipe", fd],
      });
      if (run.error !== undefined) {
        const message = `Cannot lock ${what}: flock(1) of util-linux does not run: ${messageOf(run.error)}`;
        throw new CacheError("E_PLATFORM", message, { cause: run.error });
      }
      if (run.status === FLOCK_BUSY) {
        throw new CacheError("E_BUSY", `Cannot own ${what}: ${ownerText(fd)} owns it, want it stopped first`);
      }
      if (run.status !== 0) {
        throw new CacheError(
          "E_DIRECTORY",
          `Cannot lock ${what}: flock(1) said ${messageOf(String(run.stderr))}`,
        );
      }
      fs.ftruncateSync(fd);
      fs.writeSync(fd, `${process.pid}\n`, 0);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
    return new OwnerLock(fd);
  }

  /** Idempotent. */
  release(): void {
    if (this.#fd === undefined) return;
    fs.closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function openLockFile(path: string): number {
  try {
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    if (fs.fstatSync(fd).isFile()) return fd;
    fs.closeSync(fd);
  } catch (error) {
    throw new CacheError("E_DIRECTORY", `Cannot open ${path}: ${messageOf(error)}`, { cause: error });
  }
  throw new CacheError("E_DIRECTORY", `Cannot open ${path}: it is not a plain file`);
}

/** The pid is for the message only: it may be of another pid namespace, or not written yet. */
function ownerText(fd: number): string {
  const bytes = Buffer.alloc(PID_BYTES_MAX);
  const text = bytes.toString("latin1", 0, fs.readSync(fd, bytes, 0, PID_BYTES_MAX, 0)).trim();
  return /^[0-9]+$/.test(text) ? `process ${text}` : "another process";
}
