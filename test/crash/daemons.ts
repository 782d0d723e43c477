/** `tagcache serve` as a child: its log lines, its exit status, and its end in any case. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isCacheError } from "../../engine/cache.js";
import { type CacheClient, connect } from "../../engine/daemon/client.js";
import { program } from "./children.js";

const CONNECT_MS_MAX = 20_000;

export class Daemon {
  readonly process: ChildProcess;
  readonly socketPath: string;
  readonly #closed: Promise<unknown>;
  #log = "";

  /** @param preload a program of this folder that is loaded first. */
  constructor(directory: string, args: readonly string[] = [], preload?: string) {
    const { script, flags } = program("../../cli/main");
    const first = preload === undefined ? [] : ["--import", program(preload).script];
    this.socketPath = join(directory, "sock");
    this.process = spawn(
      process.execPath,
      [...flags, ...first, script, "--dir", directory, "serve", "--log-format", "text", ...args],
      { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, TAGCACHE_CONFIG: "/dev/null" } },
    );
    this.#closed = once(this.process, "close");
    this.process.stderr?.on("data", (bytes: Buffer) => {
      this.#log += bytes.toString();
    });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  /** What it wrote so far, a line each. */
  get lines(): string[] {
    return this.#log.split("\n").filter((line) => line !== "");
  }

  get ended(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Waits until somebody answers on the socket. */
  async connect(deadlineMs?: number): Promise<CacheClient> {
    const { socketPath } = this;
    for (let waitedMs = 0; ; waitedMs += 5) {
      try {
        return await connect({ socketPath, ...(deadlineMs !== undefined && { deadlineMs }) });
      } catch (error) {
        if (!isCacheError(error, "E_UNAVAILABLE") || this.ended || waitedMs > CONNECT_MS_MAX) {
          throw new Error(`The daemon does not answer: ${this.#log}`, { cause: error });
        }
        await sleep(5);
      }
    }
  }

  /** Sends a signal and waits for the end. @returns the exit status, or null after a signal that killed it. */
  async end(signal: NodeJS.Signals): Promise<number | null> {
    if (!this.ended) this.process.kill(signal);
    await this.#closed;
    return this.process.exitCode;
  }

  /** Waits for the end. */
  async exit(): Promise<number | null> {
    await this.#closed;
    return this.process.exitCode;
  }
}

/** Runs the body, which may start daemons, and ends all that are left. */
export async function withDaemons(
  body: (start: (directory: string, args?: readonly string[], preload?: string) => Daemon) => Promise<void>,
): Promise<void> {
  const daemons: Daemon[] = [];
  try {
    await body((directory, args, preload) => {
      const daemon = new Daemon(directory, args, preload);
      daemons.push(daemon);
      return daemon;
    });
  } finally {
    await Promise.all(daemons.map((daemon) => daemon.end("SIGKILL")));
  }
}
