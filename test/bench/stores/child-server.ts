/** Servers that a benchmark runs against, in processes of their own, which end with it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

const START_MS_MAX = 30_000;
const STOP_MS_MAX = 30_000;
const RETRY_MS = 5;

const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});
// A signal ends a process without its "exit".
for (const [signal, status] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const) {
  process.once(signal, () => process.exit(status));
}

export interface ChildServer {
  readonly socketPath: string;
  readonly pid: number;
  /** Asks it to end, by SIGTERM unless given, and waits until it has. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** Starts a program and waits until somebody accepts connections on the socket. @throws {Error} with what it wrote. */
export async function startServer(
  program: string,
  args: readonly string[],
  socketPath: string,
): Promise<ChildServer> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  let output = "";
  const note = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-2000);
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const ended = once(child, "exit").finally(() => running.delete(child));
  ended.catch(() => undefined); // told by whoever waits for it
  for (const endMs = performance.now() + START_MS_MAX; !(await accepts(socketPath)); await sleep(RETRY_MS)) {
    if (child.exitCode === null && child.signalCode === null && performance.now() < endMs) continue;
    child.kill("SIGKILL");
    throw new Error(`${program} does not listen on ${socketPath}: ${output}`);
  }
  const stop = async (signal: NodeJS.Signals = "SIGTERM"): Promise<void> => {
    child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    await ended;
    clearTimeout(late);
  };
  return { socketPath, pid: child.pid as number, stop };
}

async function accepts(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return false; // not yet, or it ended: startServer tells these apart
  } finally {
    socket.destroy();
  }
}
