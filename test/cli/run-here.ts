/** Runs a command line in this process, with streams, environment, directory and listeners of its own. */
import assert from "node:assert/strict";
import { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { runCommandLine } from "../../cli/command-line.js";
import type { Finished } from "./run-cli.js";

const RUN_MS_MAX = 30_000;

export interface HereOptions {
  readonly input?: string | Uint8Array;
  /** All of the environment. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** What a process has once; commands take turns. */
let turn: Promise<unknown> = Promise.resolve();

/** Runs one command to its end. `serve` may be run so only to be refused. */
export function runHere(args: readonly string[], options: HereOptions): Promise<Finished> {
  const result = turn.then(() => runNow(args, options));
  turn = result.catch(() => undefined);
  return result;
}

async function runNow(args: readonly string[], options: HereOptions): Promise<Finished> {
  const stdout = new Collector();
  const stderr = new Collector();
  const giveBack = [
    lend("stdin", Readable.from(options.input === undefined ? [] : [Buffer.from(options.input)])),
    lend("stdout", stdout),
    lend("stderr", stderr),
    lend("env", { UV_THREADPOOL_SIZE: "16", ...options.env }), // as tagcache.cts sets it
    keepListeners(),
    keepPlace(options.cwd),
  ];
  const giveUp = new AbortController();
  try {
    const late = sleep(RUN_MS_MAX, "late", { signal: giveUp.signal }).catch(() => undefined);
    assert.notEqual(
      await Promise.race([runCommandLine(args), late]),
      "late",
      `${args.join(" ")} does not end`,
    );
    const status = Number(process.exitCode ?? 0);
    return { status, bytes: stdout.bytes(), stdout: stdout.text(), stderr: stderr.text() };
  } finally {
    giveUp.abort();
    for (const give of giveBack.toReversed()) give();
  }
}

class Collector extends Writable {
  readonly #chunks: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk);
    done();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString();
  }
}

/** Puts something in the place of one of the process's own. @returns what puts that back. */
function lend(name: "stdin" | "stdout" | "stderr" | "env", value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(process, name);
  assert.ok(own?.configurable, `process.${name} can be lent`);
  Object.defineProperty(process, name, { value, configurable: true, enumerable: true, writable: true });
  return () => Object.defineProperty(process, name, own);
}

/** `serve` listens for signals, warnings and bugs; whoever ran it does not want that. */
function keepListeners(): () => void {
  const listeners = (name: string | symbol) => process.rawListeners(name as "exit") as (() => void)[];
  const kept = new Map(process.eventNames().map((name) => [name, listeners(name)]));
  return () => {
    for (const name of new Set([...process.eventNames(), ...kept.keys()])) {
      const before = kept.get(name) ?? [];
      const now = listeners(name);
      for (const listener of now) if (!before.includes(listener)) process.removeListener(name, listener);
      for (const listener of before) if (!now.includes(listener)) process.on(name, listener);
    }
  };
}

function keepPlace(cwd: string | undefined): () => void {
  const before = { cwd: process.cwd(), umask: process.umask(0o077), exitCode: process.exitCode };
  if (cwd !== undefined) process.chdir(cwd);
  process.exitCode = undefined;
  return () => {
    process.chdir(before.cwd);
    process.umask(before.umask);
    process.exitCode = before.exitCode;
  };
}
