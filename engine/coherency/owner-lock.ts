/**
 * One owner: flock(2) on a file, held by this process's open descriptor and free the moment it dies. Node has no flock,
 * so flock(1) of util-linux takes it on the inherited descriptor; the lock belongs to the open file, which we keep.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { isOwnFile, shownPath } from "../../index/core/own-files.js";

const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const FLOCK_BUSY = 1;
const PID_BYTES_MAX = 32;
/** A new owner writes its pid some milliseconds after it got the lock. */
const PID_LOOKS = 20;
const PID_LOOK_EVERY_MS = 5;
/** A process that was killed may hold the lock for some moments more, on a busy machine. */
const DYING_WAITS = 10;
const DYING_WAIT_MS = 25;

export class OwnerLock {
  #fd: number | undefined;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * Takes the lock or says who has it; never removes the file. It is waited for only while the kernel still takes apart an
   * owner that was killed.
   * @param what named in messages: the directory that the lock guards.
   * @throws {CacheError} E_BUSY with the owner's pid; E_DIRECTORY if the file can't be opened; E_PLATFORM without flock(1).
   */
  static take(path: string, what: string): OwnerLock {
    const fd = openLockFile(path);
    try {
      let run = lock(fd);
      for (let waits = 0; run.status === FLOCK_BUSY && isDead(fd) && waits < DYING_WAITS; waits += 1) {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, DYING_WAIT_MS);
        run = lock(fd);
      }
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
    const fd = this.#fd;
    this.#fd = undefined;
    try {
      fs.ftruncateSync(fd); // whoever comes second to the next owner is not to be told our pid
    } finally {
      fs.closeSync(fd);
    }
  }
}

function lock(fd: number) {
  return spawnSync("flock", ["--exclusive", "--nonblock", "3"], { stdio: ["ignore", "ignore", "pipe", fd] });
}

/** Whether the process that the file names is gone; one in another pid namespace seems so, and is waited for in vain. */
function isDead(fd: number): boolean {
  const pid = readPid(fd);
  return pid !== undefined && !isAlive(pid);
}

function openLockFile(path: string): number {
  try {
    const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
    // It is written to: a second name may be that of somebody's file.
    if (isOwnFile(fs.fstatSync(fd))) return fd;
    fs.closeSync(fd);
  } catch (error) {
    const reason = errnoOf(error) ?? messageOf(error);
    throw new CacheError("E_DIRECTORY", `Cannot open ${shownPath(path)}: ${reason}`, { cause: error });
  }
  throw new CacheError("E_DIRECTORY", `Cannot open ${shownPath(path)}: it is not a plain file of ours`);
}

/** The pid is for the message only: it may be of another pid namespace, where nobody can tell whether it lives. */
function ownerText(fd: number): string {
  const nap = new Int32Array(new SharedArrayBuffer(4));
  let pid = readPid(fd);
  for (let looks = 1; looks < PID_LOOKS && (pid === undefined || !isAlive(pid)); looks += 1) {
    Atomics.wait(nap, 0, 0, PID_LOOK_EVERY_MS);
    pid = readPid(fd);
  }
  return pid === undefined ? "another process" : `process ${pid}`;
}

function readPid(fd: number): number | undefined {
  const bytes = Buffer.alloc(PID_BYTES_MAX);
  const text = bytes.toString("latin1", 0, fs.readSync(fd, bytes, 0, PID_BYTES_MAX, 0)).trim();
  return /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) !== "ESRCH"; // EPERM: it lives, and is somebody else's
  }
}
