/**
 * Runs the compiled command line as a user would: the first time that a file runs a command in a process of its own, later
 * in this process (run-here.ts), which tells the same and takes a tenth of the time.
 */
import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runHere } from "./run-here.js";

/** This file runs from dist/test/cli or, without a build step of its own, from test/cli. */
const CANDIDATES = ["../../cli/tagcache.cjs", "../../dist/cli/tagcache.cjs"].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);
export const MAIN = CANDIDATES.find((path) => existsSync(path)) ?? CANDIDATES[0] ?? "";

const RUN_MS_MAX = 30_000;

export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** stdout as it came. */
  readonly bytes: Buffer;
}

export interface RunOptions {
  readonly input?: string | Uint8Array;
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  /** In a process of its own, whether it is the first or not. */
  readonly apart?: true;
}

/** No file of the developer's, wherever it may lie. A test that gives TAGCACHE_CONFIG="" finds none by default either. */
const NO_CONFIG = { TAGCACHE_CONFIG: "/dev/null", XDG_CONFIG_HOME: "/nonexistent" };

function environmentOf(options: RunOptions): Record<string, string> {
  const env = Object.entries(process.env).filter(([name]) => !/^(TAGCACHE_|WARM$|ONCE$)/.test(name));
  return { ...Object.fromEntries(env), ...NO_CONFIG, ...options.env } as Record<string, string>;
}

/** Starts a command; its environment has none of our variables but those given. */
export function start(args: readonly string[], options: RunOptions = {}): ChildProcessWithoutNullStreams {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: environmentOf(options),
    cwd: options.cwd,
    stdio: ["pipe", "pipe", "pipe"],
  });
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

/** A test that fails half-way ends none of what it started; without this its daemons would outlive the run. */
const running = new Set<ChildProcessWithoutNullStreams>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

const ranApart = new Set<string>();

/** Runs a command to its end. Whatever it prints, a stack trace is never part of it. */
export async function run(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  const command = args.slice(0, args[0] === "config" ? 2 : 1).join(" ");
  const apart = options.apart ?? (command.startsWith("-") || command === "demo" || !ranApart.has(command));
  if (apart) ranApart.add(command);
  const finished = await (apart
    ? runApart(args, options)
    : runHere(args, { ...options, env: environmentOf(options) }));
  assert.doesNotMatch(finished.stderr, /^\s+at .*:\d+:\d+\)?$/m, "a stack trace");
  assert.doesNotMatch(finished.stderr, /internal error|node:internal/);
  return finished;
}

async function runApart(args: readonly string[], options: RunOptions): Promise<Finished> {
  const child = start(args, options);
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS_MAX);
  // A command that refuses early does not read its input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");
  const [bytes, stderr, [status]] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    once(child, "exit") as Promise<[number | null]>,
  ]);
  clearTimeout(timer);
  return { status, bytes, stdout: bytes.toString(), stderr: stderr.toString() };
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Runs `body` with a fresh directory that is removed afterwards. */
export async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "tagcache-cli-")));
  try {
    await body(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export interface Daemon {
  readonly child: ChildProcessWithoutNullStreams;
  readonly directory: string;
  /** All it has logged so far. */
  log(): string;
  /** Resolves with its exit status, null after a signal that it did not handle. */
  readonly exited: Promise<number | null>;
  /** Runs a command against it. */
  run(args: readonly string[], options?: RunOptions): Promise<Finished>;
}

/** Starts `serve` and waits until it answers. */
export async function startDaemon(
  directory: string,
  args: readonly string[] = [],
  env: Record<string, string> = {},
): Promise<Daemon> {
  return await startServe(directory, ["--dir", directory, "--capacity", "64MiB", ...args], env);
}

/** Starts `serve` with these arguments alone, which say by some way that `directory` is the cache's. */
export async function startServe(
  directory: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<Daemon> {
  const child = start(["serve", ...args], { env });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
  const exited = once(child, "exit").then(([code]: (number | null)[]) => code ?? null);
  const began = Date.now();
  while (!/\bserving\b/.test(text)) {
    const ended = await Promise.race([exited, new Promise((done) => setTimeout(done, 20, "waiting"))]);
    assert.equal(ended, "waiting", `the daemon ended: ${text}`);
    assert.ok(Date.now() - began < RUN_MS_MAX, `the daemon does not start: ${text}`);
  }
  return {
    child,
    directory,
    log: () => text,
    exited,
    run: (command, options) => run([...command, "--dir", directory], options),
  };
}

/** Runs `body` with a running daemon, and ends it. */
export async function withDaemon(body: (daemon: Daemon, directory: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(join(directory, "cache"));
    try {
      await body(daemon, directory);
    } finally {
      daemon.child.kill("SIGTERM");
      await daemon.exited;
    }
  });
}

/** The one line on stderr. */
export function onlyLine({ stderr }: Finished): string {
  const lines = stderr.trimEnd().split("\n");
  assert.equal(lines.length, 1, `want one line, got: ${stderr}`);
  assert.match(lines[0] ?? "", /^tagcache: \S/);
  return lines[0] ?? "";
}

/** Content younger than two seconds is not stored; tests make their files first and then wait once. */
export async function untilOldEnough(): Promise<void> {
  await new Promise((done) => setTimeout(done, 2100));
}
