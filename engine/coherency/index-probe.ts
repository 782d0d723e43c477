/** Has an index of doubtful state read by a child before the owner opens it: whatever it does to its reader, we live. */
import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { messageOf } from "../../index/core/errors.js";
import { HeldDirectory } from "../../index/core/own-files.js";
import type { IndexProbe } from "../../index/probe-child.js";

/** Beyond its time for reading a probe has this long for all the rest; one that takes longer hangs. */
const GRACE_MS = 20_000;
const ANSWER_BYTES_MAX = 4096;
const FIRST_PASSED = 3;

/** @returns undefined if the index is sound as far as was read, else in words what is wrong with it. */
export async function probeIndex(probe: IndexProbe): Promise<string | undefined> {
  const fromSource = import.meta.url.endsWith(".ts");
  const script = new URL(`../../index/probe-child${fromSource ? ".ts" : ".js"}`, import.meta.url);
  const flags = fromSource ? ["--import", "tsx"] : [];
  // By its descriptor, which the child has under a number of its own.
  const held = HeldDirectory.open(probe.directory);
  const place = JSON.stringify({ ...probe, directory: `/proc/self/fd/${FIRST_PASSED}` });
  const child = spawn(process.execPath, [...flags, fileURLToPath(script), place], {
    stdio: ["ignore", "pipe", "ignore", held.fd],
  });
  held.close();
  const output = child.stdout as Readable;
  let answer = "";
  output.setEncoding("utf8");
  output.on("data", (text: string) => {
    if (answer.length < ANSWER_BYTES_MAX) answer += text;
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, probe.msMax + GRACE_MS);
  try {
    const end = await new Promise<string | Error>((resolve) => {
      child.on("error", resolve);
      child.on("close", (code, signal) => resolve(signal ?? `exit status ${code}`));
    });
    if (end instanceof Error) return `it could not be probed: ${messageOf(end)}`;
    if (late) return `reading it had no end within ${probe.msMax + GRACE_MS} ms`;
    if (answer === "sound") return undefined;
    return answer === "" ? `whoever reads it is ended by ${end}` : messageOf(answer);
  } finally {
    clearTimeout(timer);
  }
}
