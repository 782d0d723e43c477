/** The demo's daemon: this very program, run as `serve` in a process of its own. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheClient } from "../../engine/daemon/client.js";
import type { FileLocation } from "../config/sources.js";
import { PATIENT_MS, connectIfRunning } from "../daemon.js";
import { CliError, EXIT } from "../exit-codes.js";
import type { Settings } from "../settings.js";

const START_MS_MAX = 60_000;
const STOP_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 25;

export class DaemonChild {
  readonly #process: ChildProcess;
  readonly #exited: Promise<number>;

  constructor(process_: ChildProcess) {
    this.#process = process_;
    this.#exited = once(process_, "exit").then(([code]: (number | null)[]) => code ?? EXIT.software);
    // However the demo ends, the daemon does not outlive it; SIGTERM lets it close clean.
    process.once("exit", () => process_.kill("SIGTERM"));
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves with the exit status when the daemon ends. */
  get exited(): Promise<number> {
    return this.#exited;
  }

  /** Waits until the daemon answers. @throws {CliError} its own exit status when it ends instead; it has said why. */
  async connect(settings: Settings): Promise<CacheClient> {
    const deadline = performance.now() + START_MS_MAX;
    while (performance.now() < deadline) {
      const client = await connectIfRunning(settings, { deadlineMs: PATIENT_MS });
      if (client !== undefined) return client;
      const status = await Promise.race([this.#exited, sleep(LOOK_AGAIN_MS)]);
      if (status !== undefined) throw new CliError(status, "The daemon did not start");
    }
    this.#process.kill("SIGTERM");
    throw new CliError(EXIT.temporary, `The daemon did not answer within ${START_MS_MAX / 1000} s`);
  }

  /** Asks for a clean stop and waits for it. @throws {CliError} when it ends otherwise. */
  async stop(): Promise<void> {
    this.#process.kill("SIGTERM");
    const late = sleep(STOP_MS_MAX, "late" as const, { ref: false });
    const status = await Promise.race([this.#exited, late]);
    if (status === "late")
      throw new CliError(EXIT.temporary, `The daemon is still closing after ${STOP_MS_MAX / 1000} s`);
    if (status !== EXIT.ok) throw new CliError(status, "The daemon did not stop clean");
  }
}

/** Starts the daemon. Its warnings and refusals go to our stderr. */
export function startDaemon(settings: Settings, capacityBytes: number, config: FileLocation): DaemonChild {
  const { directory, socketPath, stateDirectory } = settings;
  const serve = ["serve", "--dir", directory, "--socket", socketPath, "--log-level", "warn"];
  serve.push("--capacity", String(capacityBytes));
  if (stateDirectory !== undefined) serve.push("--state-dir", stateDirectory);
  if (config.named) serve.push("--config", config.path);
  // A process group of its own: Ctrl-C is for the demo, which then stops its daemon once.
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? "", ...serve], {
    stdio: ["ignore", "ignore", "inherit"],
    detached: true,
  });
  return new DaemonChild(child);
}
