/**
 * `make torture`: every part that has chance in it, at many times the effort of `make test`; says at the end how much was
 * done. Arguments are the names of the parts to run, all unless given. TORTURE_EFFORT is how many times (10 unless given).
 */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { doneIn } from "../support/effort.js";

const EFFORT = "10";

interface Part {
  readonly name: string;
  /** Beside this file, with its arguments. */
  readonly program: string;
  readonly tests?: string;
}

const PARTS: readonly Part[] = [
  { name: "files", program: "files-run" },
  { name: "flips", program: "flips-run" },
  { name: "kills", program: "../run", tests: "^crash/(kill|crowd|leases)" },
  { name: "direct", program: "../run", tests: "^direct/" },
  { name: "fuzz", program: "../run", tests: "^fuzz/" },
  { name: "model", program: "../run", tests: "^model/" },
  { name: "faults", program: "../run", tests: "^faults/" },
];

/** Runs a part and shows what it prints. @returns whether it passed, and what it says was done. */
async function runPart({ program, tests }: Part): Promise<{ passed: boolean; done: Map<string, number> }> {
  const source = import.meta.url.endsWith(".ts");
  const script = fileURLToPath(new URL(`${program}${source ? ".ts" : ".js"}`, import.meta.url));
  const child = spawn(
    process.execPath,
    [...process.execArgv, script, ...(tests === undefined ? [] : [tests])],
    {
      stdio: ["ignore", "pipe", "inherit"],
      // Files and flips have numbers of their own, and may lie in memory.
      env: tests === undefined ? process.env : { ...process.env, TORTURE_EFFORT: effort },
    },
  );
  const ended = new Promise<boolean>((resolve) => child.once("close", (code) => resolve(code === 0)));
  const done = new Map<string, number>();
  for await (const line of createInterface({ input: child.stdout })) {
    console.log(line);
    const told = doneIn(line);
    if (told !== undefined) done.set(told.what, (done.get(told.what) ?? 0) + told.count);
  }
  return { passed: await ended, done };
}

const effort = process.env["TORTURE_EFFORT"] || EFFORT;
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !PARTS.some((part) => part.name === name));
if (unknown.length > 0 || !(Number(effort) > 0)) {
  const names = PARTS.map(({ name }) => name).join(", ");
  const wrong = unknown.length > 0 ? `no part is called ${unknown.join(", ")}, want some of ${names}` : "";
  console.error(`torture: ${wrong || `TORTURE_EFFORT is ${JSON.stringify(effort)}, want a number above 0`}`);
  process.exit(64);
}
// A seed repeats one round of random changes.
const onlyFiles = wanted.length === 0 && (process.env["TORTURE_SEED"] ?? "") !== "";
const names = onlyFiles ? ["files"] : wanted;
const summary: string[] = [];
let failed = 0;
for (const part of PARTS.filter(({ name }) => names.length === 0 || names.includes(name))) {
  console.log(`== ${part.name}`);
  const beganMs = performance.now();
  const { passed, done } = await runPart(part);
  if (!passed) failed += 1;
  const seconds = Math.round((performance.now() - beganMs) / 1000);
  const told = [...done].map(([what, count]) => `${count} ${what}`).join(", ");
  summary.push(
    `${part.name}: ${passed ? "passed" : "FAILED"} in ${seconds} s${told === "" ? "" : `; ${told}`}`,
  );
}
console.log(`\n${summary.join("\n")}\n${summary.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
