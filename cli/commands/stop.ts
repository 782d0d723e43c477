/** `tagcache stop`: ends the daemon clean and waits until it has gone. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { errnoOf } from "../../index/core/errors.js";
import { connectIfRunning, withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { print, printJson } from "../output.js";
import type { Settings } from "../settings.js";
import { settingsOf } from "../settings.js";

/** A clean stop takes seconds; beyond this something is wrong, and the user should know. */
const STOP_MS_MAX = 60_000;
const LOOK_AGAIN_MS = 25;

/** Adds the command. Exit status: 0 it has gone, 69 there was none, 75 it is still closing. */
export function addStop(program: Command): void {
  program
    .command("stop")
    .description("stop the daemon clean and wait until it has gone")
    .option("--json", "print JSON")
    .addHelpText("after", example("tagcache stop", "everything cached is still there at the next start"))
    .action(async (options: { json?: true }, command: Command) => {
      const settings = settingsOf(command);
      const startedAt = performance.now();
      const pid = await stopAndWait(settings);
      const ms = Math.round(performance.now() - startedAt);
      if (options.json) printJson({ stopped: true, pid, ms });
      else print(`Stopped the daemon with pid ${pid} in ${ms} ms`);
      process.exitCode = EXIT.ok;
    });
}

/** Asks the daemon to stop and waits until socket and owner lock are free. */
async function stopAndWait(settings: Settings): Promise<number> {
  const { pid, directory } = await withDaemon(settings, async (client) => {
    const status = await client.status();
    await client.stop();
    return status;
  });
  const deadline = performance.now() + STOP_MS_MAX;
  while (await isThere(settings, pid, directory)) {
    if (performance.now() > deadline) {
      throw new CliError(
        EXIT.temporary,
        `The daemon with pid ${pid} is still closing after ${STOP_MS_MAX / 1000} s`,
      );
    }
    await sleep(LOOK_AGAIN_MS);
  }
  return pid;
}

/** The server goes first, the owner lock last; either may be looked at without disturbing the daemon or a next one. */
async function isThere(settings: Settings, pid: number, directory: string): Promise<boolean> {
  if (holdsOpen(pid, join(directory, "lock"))) return true;
  const client = await connectIfRunning(settings);
  if (client === undefined) return false;
  try {
    return (await client.status()).pid === pid;
  } finally {
    await client.close();
  }
}

/** Whether a process has a file open; false when either is gone, or the process is not ours to see. */
function holdsOpen(pid: number, path: string): boolean {
  const wanted = optional(() => statSync(path));
  const names = optional(() => readdirSync(`/proc/${pid}/fd`));
  if (wanted === undefined || names === undefined) return false;
  return names.some((name) => {
    const found = optional(() => statSync(`/proc/${pid}/fd/${name}`));
    return found !== undefined && found.dev === wanted.dev && found.ino === wanted.ino;
  });
}

/** Processes and descriptors vanish while one looks at them. */
function optional<Value>(look: () => Value): Value | undefined {
  try {
    return look();
  } catch (error) {
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
