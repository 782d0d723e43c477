/** The daemon's socket in the file system. */
import { connect } from "node:net";
import { lstatSync, readFileSync, readlinkSync, unlinkSync } from "node:fs";
import { CacheError, errnoOf } from "../../index/core/errors.js";
import { SOCKET_PATH_BYTES_MAX } from "./limits.js";

/** How long a probe of a socket that is in the way may take. */
const PROBE_MS = 1000;

/** @throws {CacheError} E_ARGUMENT unless 1 to 107 bytes without a zero byte; Node would cut the path silently. */
export function checkSocketPath(socketPath: string): void {
  if (typeof socketPath !== "string")
    throw new CacheError("E_ARGUMENT", "Cannot use the socket path: want text");
  const bytes = Buffer.byteLength(socketPath);
  if (bytes === 0 || bytes > SOCKET_PATH_BYTES_MAX || socketPath.includes("\0")) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot use socket path ${JSON.stringify(socketPath)}: it has ${bytes} bytes, want 1 to ${SOCKET_PATH_BYTES_MAX} and no zero byte`,
    );
  }
}

/**
 * Removes a socket that a dead daemon left. The caller owns the cache, so nobody of ours listens there.
 * @throws {CacheError} E_DIRECTORY when the path is something else than a socket, E_BUSY when somebody answers on it.
 */
export async function clearStaleSocket(socketPath: string): Promise<void> {
  const stat = lstatSync(socketPath, { throwIfNoEntry: false });
  if (stat === undefined) return;
  if (!stat.isSocket()) {
    throw new CacheError(
      "E_DIRECTORY",
      `Cannot listen on ${socketPath}: it exists and is no socket, name another path`,
    );
  }
  if (await answers(socketPath)) {
    throw new CacheError("E_BUSY", `Cannot listen on ${socketPath}: another process does`);
  }
  try {
    unlinkSync(socketPath);
  } catch (cause) {
    if (errnoOf(cause) === "ENOENT") return;
    throw new CacheError("E_DIRECTORY", `Cannot remove the stale socket ${socketPath}: ${errnoOf(cause)}`, {
      cause,
    });
  }
}

/** Only a refused connection proves that nobody listens. */
function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(PROBE_MS, () => settle(true));
    socket.once("connect", () => settle(true));
    socket.once("error", (error) => settle(!["ECONNREFUSED", "ENOENT"].includes(errnoOf(error) ?? "")));
  });
}

/**
 * The name of an open Unix socket, by the kernel's list; undefined where it has none, or is of another network namespace than this
 * process, as that of a service without a network is.
 */
export function socketNameOf(descriptor: number): string | undefined {
  const inode = /^socket:\[([0-9]+)\]$/.exec(readlinkSync(`/proc/self/fd/${descriptor}`))?.[1];
  const lines = readFileSync("/proc/self/net/unix", "utf8").split("\n");
  // Num RefCount Protocol Flags Type St Inode Path
  const found = lines
    .map((line) => /^\S+ \S+ \S+ \S+ \S+ \S+ +([0-9]+) (.+)$/.exec(line))
    .find((line) => line?.[1] === inode);
  return found?.[2];
}
