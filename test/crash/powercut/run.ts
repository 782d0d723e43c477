/**
 * `make powercut`: real file systems on a disk that forgets what was not flushed. Loads are recorded, the power fails at
 * CUTS places (60 unless given), and the next owner has to find what was promised: no wrong byte, nothing lost of the
 * ledger or after a clean stop, and a cache that works. Then bugs are planted, and each has to be seen. POWERCUT_SEED
 * repeats the choices, POWERCUT_AGAIN a cut that failed. Status 1 if anything failed.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { KEYS } from "../../../cli/config/keys.js";
import { between, seededRandom } from "../support.js";
import { BUGS, type Bug } from "./bugs.js";
import { type Case, judge } from "./judge.js";
import { type Recording, Scratch, hasXfs, missing } from "./machine.js";
import { readLog } from "./disk-log.js";
import { CHAIN_CUTS, type Part, Rig } from "./rig.js";
import { KINDS, Tally } from "./tally.js";

const CUTS = 60;
const CUTS_MIN = 20;
const CUTS_MAX = 1_000_000;
const CUTS_A_RECORDING = 10;
/** Of all cuts, those in chains. */
const CHAIN_SHARE = 1 / 3;
const APART = "POWERCUT_APART";
const SEED_END = 2 ** 31;

function numberOf(name: string, least: number, most: number): number | undefined {
  const text = process.env[name];
  if (text === undefined || text === "") return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  console.error(`powercut: ${name} is ${JSON.stringify(text)}, want a whole number from ${least} to ${most}`);
  process.exit(64);
}

/** What there is to be cut here; what has to be left out is said. */
function parts(): Part[] {
  const systems = hasXfs() ? (["ext4", "xfs"] as const) : (["ext4"] as const);
  if (systems.length === 1)
    console.log("powercut: xfs is LEFT OUT: want mkfs.xfs and xfs_repair of xfsprogs");
  const knowsVerify = KEYS["on-unclean"].grammar.read("verify").kind === "value";
  if (!knowsVerify) console.log("powercut: --on-unclean verify is LEFT OUT: the daemon does not know it");
  const regimes = knowsVerify ? ["wipe", "verify"] : ["wipe"];
  return regimes.flatMap((onUnclean) => systems.map((fs) => ({ fs, onUnclean })));
}

/** Cuts everything, so many times in all. @returns whether all went well. */
async function cutAll(rig: Rig, cuts: number, all: readonly Part[]): Promise<boolean> {
  const sums = new Map(KINDS.map((kind) => [kind, 0]));
  let failed = false;
  let done = 0;
  const chained = Math.max(1, Math.round((cuts * CHAIN_SHARE) / CHAIN_CUTS));
  for (let number = 0; done < cuts && !failed; number += 1) {
    // Verify is in the chains first: it is what carries content from one cut over to the next.
    const order = number < chained ? all.toReversed() : all;
    const part = order[number % all.length] as Part;
    const beganMs = performance.now();
    const tally = new Tally();
    const left = Math.min(cuts - done, number < chained ? CHAIN_CUTS : CUTS_A_RECORDING);
    await (number < chained ? rig.chain(part, left, tally) : rig.cutMany(part, left, tally));
    const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
    console.log(
      `${part.fs}, ${part.onUnclean}, ${number < chained ? "one cut after another" : "one recording"}: ${seconds} s`,
    );
    for (const line of tally.lines()) console.log(line);
    for (const kind of KINDS) sums.set(kind, (sums.get(kind) ?? 0) + tally.problems[kind]);
    done += tally.cuts;
    failed = tally.failed;
  }
  const of = (kind: (typeof KINDS)[number]) => sums.get(kind) ?? 0;
  console.log(
    `${done} cuts: ${of("bytes")} wrong bytes, ${of("lost")} blocks lost after a clean stop, ` +
      `${of("ledger")} lost ledger records, ${of("start")} failed starts, ${of("later") + of("rig")} other troubles`,
  );
  return !failed;
}

/** Whether each planted bug is seen. */
async function seeBugs(rig: Rig): Promise<boolean> {
  let missed = 0;
  for (const bug of Object.keys(BUGS) as Bug[]) {
    const { cuts, seen } = await rig.seeBug({ fs: "ext4", onUnclean: BUGS[bug].onUnclean }, bug);
    if (seen === undefined) missed += 1;
    console.log(
      `planted: ${bug}: ${seen === undefined ? "NOT SEEN" : "seen"} after ${cuts} cuts${seen ? `: ${seen.slice(0, 100)}` : ""}`,
    );
  }
  return missed === 0;
}

/** Cuts once more where a cut failed. */
async function again(scratch: Scratch, file: string): Promise<boolean> {
  const kept = JSON.parse(readFileSync(file, "utf8")) as Omit<Case, "records"> &
    Pick<Recording, "logFile" | "logBytes">;
  const verdict = await judge(scratch, { ...kept, records: readLog(kept.logFile, kept.logBytes) });
  console.log(JSON.stringify(verdict, undefined, 2));
  return verdict.problems.length === 0;
}

/** Runs all of it once more with mounts of its own: nobody else gets hold of them, and none is left in any case. */
async function apart(): Promise<number> {
  const args = ["--mount", process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn("unshare", args, { stdio: "inherit", env: { ...process.env, [APART]: "1" } });
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => child.on("close", (code) => resolve(code ?? 1)));
}

async function main(): Promise<number> {
  const wanted = missing();
  if (wanted.length > 0) {
    console.log(`powercut: SKIPPED, nothing was tested: want ${wanted.join(", ")}`);
    return 0;
  }
  if (process.env[APART] === undefined) return apart();
  const cuts = numberOf("CUTS", CUTS_MIN, CUTS_MAX) ?? CUTS;
  const seed = numberOf("POWERCUT_SEED", 0, SEED_END) ?? between(Math.random, 0, SEED_END);
  const kept = process.env["POWERCUT_AGAIN"] ?? "";
  const isAgain = kept !== "";
  const scratch = new Scratch();
  const stop = (signal: NodeJS.Signals) => {
    void scratch.end(false).finally(() => process.exit(signal === "SIGINT" ? 130 : 143));
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, stop);
  let ok = false;
  try {
    if (isAgain) ok = await again(scratch, kept);
    else {
      console.log(`POWERCUT_SEED=${seed}`);
      const rig = new Rig(scratch, seededRandom(seed));
      ok = (await cutAll(rig, cuts, parts())) && (await seeBugs(rig));
    }
    return ok ? 0 : 1;
  } finally {
    const keep = !ok && !isAgain;
    await scratch.end(keep);
    if (keep) console.log(`powercut: what failed is kept in ${scratch.directory}`);
  }
}

process.exitCode = await main();
