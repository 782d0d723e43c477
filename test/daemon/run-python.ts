/** Programs in Python that use fixtures/client.py. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { suite } from "uvu";
import { type Daemon, withDaemon } from "../cli/run-cli.js";

const PYTHON = "python3";
export const RUN_MS_MAX = 30_000;
const FIXTURES = resolve("fixtures");
const HEAD = `
import sys, time
sys.dont_write_bytecode = True
sys.path.insert(0, ${JSON.stringify(FIXTURES)})
from client import Client, Tag, Range, Answer, Refused, Unavailable
path = sys.argv[1]
def refused(code, body):
    try:
        body()
    except Refused as error:
        assert error.code == code, error
    else:
        assert False, f"want {code}"
`;

const installed = spawnSync(PYTHON, ["-c", "import sys; sys.exit(sys.version_info < (3, 8))"]).status === 0;

/** A suite whose tests are counted as skipped where there is no Python 3.8 or later. */
export function pythonSuite(name: string): {
  check: (behaviour: string, body: () => Promise<void>) => void;
  after: (body: () => Promise<void>) => void;
  run: () => void;
} {
  const test = suite(name);
  return {
    check: (behaviour, body) => (installed ? test(behaviour, body) : test.skip(behaviour, body)),
    after: (body) => test.after(body),
    run: () => test.run(),
  };
}

export interface PythonOptions {
  readonly onLine?: (line: string) => void;
  readonly ending?: "SIGKILL" | 0;
  /** Behind the socket's path. */
  readonly arguments?: readonly string[];
}

/** Runs a program that fails with a traceback if anything is not as it should be. Its lines on stdout are told as they come. */
export async function python(
  socketPath: string,
  program: string,
  { onLine = () => undefined, ending = 0, arguments: args = [] }: PythonOptions = {},
): Promise<string> {
  const child = spawn(PYTHON, ["-u", "-c", HEAD + program, socketPath, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  createInterface(child.stdout).on("line", onLine);
  const timer = setTimeout(() => child.kill("SIGKILL"), RUN_MS_MAX);
  let output = "";
  let trouble = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (trouble += chunk.toString()));
  const [status, signal] = (await once(child, "close")) as [number | null, string | null];
  clearTimeout(timer);
  assert.equal(trouble, "");
  assert.equal(signal ?? status, ending);
  return output;
}

/** The same with a daemon of its own. */
export function withPython(program: string): () => Promise<void> {
  return () =>
    withDaemon(async (daemon: Daemon) => void (await python(join(daemon.directory, "sock"), program)));
}
