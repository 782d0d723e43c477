/**
 * What systemd, or whoever does as it does, hands to a service: an open socket (sd_listen_fds(3)) and a place to be told how
 * things are (sd_notify(3)). Node has no datagram sockets of the Unix family, so systemd-notify(1) tells.
 */
import { execFile } from "node:child_process";
import { fstatSync } from "node:fs";
import { promisify } from "node:util";
import { errnoOf, messageOf } from "../index/core/errors.js";
import { CliError, EXIT } from "./exit-codes.js";

/** The first descriptor that is passed. */
const PASSED_FROM = 3;
const NOTIFY_MS_MAX = 5000;

type Environment = Readonly<Record<string, string | undefined>>;

const run = promisify(execFile);

/**
 * The listening socket that was passed to this process, if one was.
 * @throws {CliError} 78 for several, or for something else than a socket.
 */
export function passedSocket(environment: Environment): number | undefined {
  const { LISTEN_PID: pid, LISTEN_FDS: count } = environment;
  // It is inherited by children, whom it does not concern.
  if (count === undefined || pid !== String(process.pid)) return undefined;
  if (count !== "1") {
    throw new CliError(EXIT.config, `Cannot serve on ${count} passed sockets (LISTEN_FDS): want 1`);
  }
  if (isSocket(PASSED_FROM)) return PASSED_FROM;
  throw new CliError(
    EXIT.config,
    `Cannot serve on descriptor ${PASSED_FROM}, which was passed (LISTEN_FDS): it is no socket`,
  );
}

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch (error) {
    if (errnoOf(error) === "EBADF") return false;
    throw error;
  }
}

/**
 * Tells the service manager, if there is one that wants to know: `READY=1`, `STOPPING=1`. Resolves when it knows, or cannot
 * be told; then `onTrouble` says why.
 */
export async function notify(
  environment: Environment,
  states: readonly string[],
  onTrouble: (message: string) => void,
): Promise<void> {
  if (!environment["NOTIFY_SOCKET"]) return;
  try {
    await run("systemd-notify", [`--pid=${process.pid}`, ...states], { timeout: NOTIFY_MS_MAX });
  } catch (error) {
    onTrouble(`the service manager can't be told ${states.join(" ")}: ${messageOf(error)}`);
  }
}
