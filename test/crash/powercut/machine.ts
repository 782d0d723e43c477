/**
 * The machine whose power is cut: a disk image, the recording disk under a loop device, a file system on it. Linux, root.
 * Everything that is mounted or started is undone at the end, whatever happens in between.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  statfsSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Child } from "../children.js";
import { type LogRecord, readLog } from "./disk-log.js";
import type { Plan } from "./workload.js";

export type FileSystem = "ext4" | "xfs";

/** xfs takes no less than 300 MiB. */
const DISK_BYTES = 320 * 1024 * 1024;
const ROOM_BYTES = 3 * 1024 ** 3;
const MEMORY = "/dev/shm";
const READY_MS_MAX = 10_000;
const TROUBLE_MAX = 500;
const BUSY_MS_MAX = 5000;
const BUSY_WAIT_MS = 50;
const RECORDER = fileURLToPath(new URL("./recording-disk", import.meta.url));
const PROGRAMS = ["mount", "umount", "losetup", "unshare", "cp", "sync"];
const CHECKERS = { ext4: ["e2fsck", "-fn"], xfs: ["xfs_repair", "-n"] } as const;
const runFile = promisify(execFile);

/** Runs a program. @throws with what it said. @returns what it wrote to stdout. */
export async function run(command: string, ...args: string[]): Promise<string> {
  try {
    return (await runFile(command, args)).stdout.trim();
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`${command} ${args.join(" ")}: ${said || String(error)}`, { cause: error });
  }
}

/** What is missing to run at all, in words; empty if nothing is. */
export function missing(): string[] {
  const found: string[] = [];
  if (process.platform !== "linux") return ["Linux"];
  if (process.getuid?.() !== 0) found.push("root");
  for (const device of ["/dev/fuse", "/dev/loop-control"]) if (!existsSync(device)) found.push(device);
  for (const program of PROGRAMS) if (!isThere(program)) found.push(program);
  if (!isThere("mkfs.ext4") || !isThere("e2fsck")) found.push("e2fsprogs");
  if (!existsSync(RECORDER)) found.push(`${RECORDER}, which make powercut builds with cc`);
  return found;
}

export function hasXfs(): boolean {
  return isThere("mkfs.xfs") && isThere("xfs_repair");
}

function isThere(program: string): boolean {
  const places = (process.env["PATH"] ?? "").split(":").concat("/usr/sbin", "/sbin");
  return places.some((place) => existsSync(join(place, program)));
}

/** A directory of our own, and what has to be undone before it is removed: the last first. */
export class Scratch {
  readonly directory: string;
  readonly #undo: Array<{ readonly what: string; readonly undo: () => Promise<unknown> }> = [];
  #numbers = 0;

  constructor() {
    const memory = existsSync(MEMORY) ? statfsSync(MEMORY) : undefined;
    const room = memory === undefined ? 0 : memory.bavail * memory.bsize;
    this.directory = mkdtempSync(join(room >= ROOM_BYTES ? MEMORY : tmpdir(), "tagcache-powercut-"));
  }

  /** A name that nothing has yet. */
  place(kind: string): string {
    this.#numbers += 1;
    return join(this.directory, `${kind}-${this.#numbers}`);
  }

  /** Has `undo` called at the end, unless the function that is returned did that before. */
  owe(what: string, undo: () => Promise<unknown>): () => Promise<void> {
    const debt = { what, undo };
    this.#undo.push(debt);
    return async () => {
      const at = this.#undo.indexOf(debt);
      if (at < 0) return;
      this.#undo.splice(at, 1);
      await undo();
    };
  }

  async end(keep: boolean): Promise<void> {
    for (const { what, undo } of this.#undo.splice(0).toReversed()) {
      await undo().catch((error: unknown) => console.error(`powercut: ${what} is left: ${String(error)}`));
    }
    if (!keep) rmSync(this.directory, { recursive: true, force: true });
  }
}

/** An empty file system. */
export async function makeImage(scratch: Scratch, fs: FileSystem): Promise<string> {
  const image = scratch.place("base");
  writeFileSync(image, "", { mode: 0o600 });
  truncateSync(image, DISK_BYTES);
  const eager = "lazy_itable_init=0,lazy_journal_init=0,nodiscard"; // nothing is written behind the load's back
  if (fs === "ext4") await run("mkfs.ext4", "-q", "-F", "-E", eager, image);
  else await run("mkfs.xfs", "-q", "-K", "-f", image);
  return image;
}

export async function copyImage(scratch: Scratch, image: string): Promise<string> {
  const copy = scratch.place("image");
  await run("cp", "--sparse=always", image, copy);
  return copy;
}

/** Mounts an image or a device, which replays its journal. @returns the place, and how to unmount it. */
async function mountAt(
  scratch: Scratch,
  what: string,
  options: string,
): Promise<{ place: string; unmount: () => Promise<void> }> {
  const place = scratch.place("mount");
  mkdirSync(place, { mode: 0o700 });
  await run("mount", "-o", options, what, place);
  return { place, unmount: scratch.owe(place, () => unmount(place)) };
}

/** A program that the load had started may need a moment more to end than the load. */
async function unmount(place: string): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += BUSY_WAIT_MS) {
    try {
      await run("umount", place);
      return;
    } catch (error) {
      if (waitedMs >= BUSY_MS_MAX || !String(error).includes("busy")) throw error;
      await sleep(BUSY_WAIT_MS);
    }
  }
}

export function mountOptions(fs: FileSystem, loop: boolean): string {
  return [loop ? "loop" : "rw", ...(fs === "xfs" ? ["nouuid"] : [])].join(",");
}

/** What the file system's own checker says against an image that was unmounted clean; undefined if nothing. */
export async function fileSystemTrouble(fs: FileSystem, image: string): Promise<string | undefined> {
  const [checker, flag] = CHECKERS[fs];
  try {
    await run(checker, flag, image);
    return undefined;
  } catch (error) {
    return String(error).slice(0, TROUBLE_MAX);
  }
}

export interface Recording {
  readonly fs: FileSystem;
  /** The image as it was before. */
  readonly base: string;
  readonly logFile: string;
  /** What of the log file was written by the load. */
  readonly logBytes: number;
  readonly records: readonly LogRecord[];
  /** How the cache ran. */
  readonly onUnclean: string;
}

/** Runs a load on a copy of `base` and records what reaches its disk, until the load has nothing more to do. */
export async function record(
  scratch: Scratch,
  fs: FileSystem,
  base: string,
  plan: Omit<Plan, "directory" | "markFile">,
): Promise<Recording> {
  const image = await copyImage(scratch, base);
  const [served, logFile] = [scratch.place("disk"), scratch.place("log")];
  mkdirSync(served, { mode: 0o700 });
  const recorder = spawn(RECORDER, [served, image, logFile], { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(recorder, "close");
  const unserve = scratch.owe(served, async () => {
    if (recorder.exitCode === null) await unmount(served);
    await ended;
  });
  await ready(recorder);
  const device = await run("losetup", "--direct-io=on", "--find", "--show", join(served, "disk"));
  const detach = scratch.owe(device, () => run("losetup", "--detach", device));
  const mounted = await mountAt(scratch, device, mountOptions(fs, false));
  const full: Plan = { ...plan, directory: join(mounted.place, "cache"), markFile: join(served, "mark") };
  const load = new Child("./powercut/workload", [JSON.stringify(full)]);
  const kill = scratch.owe("the load", () => load.kill());
  await load.says("ended");
  const logBytes = statSync(logFile).size;
  await kill();
  await mounted.unmount();
  await detach();
  await unserve();
  rmSync(image);
  const { onUnclean } = plan;
  return { fs, base, logFile, logBytes, records: readLog(logFile, logBytes), onUnclean };
}

async function ready(recorder: ChildProcess): Promise<void> {
  const timer = setTimeout(() => recorder.kill("SIGKILL"), READY_MS_MAX);
  const said = await Promise.race([
    once(recorder.stdout as NodeJS.ReadableStream, "data").then(String),
    once(recorder, "close").then(() => "nothing"),
  ]).finally(() => clearTimeout(timer));
  if (!said.startsWith("ready")) throw new Error(`The recording disk does not start: it said ${said}`);
}
