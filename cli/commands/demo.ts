/** `tagcache demo`: starts a cache, warms it with a real tree, reads the tree back twice, compares every byte. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { measureTree } from "../../engine/origin/measure.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { Origin } from "../../engine/origin/origin.js";
import { OriginSession } from "../../engine/origin/session.js";
import { messageOf } from "../../index/core/errors.js";
import { nameText } from "../../index/core/names.js";
import { formatBytes, formatCount } from "../../index/core/units.js";
import type { DaemonChild } from "../demo/child.js";
import { startDaemon } from "../demo/child.js";
import { Sample, readDelayed } from "../demo/delayed.js";
import { runPass } from "../demo/pass.js";
import type { Plan } from "../demo/plan.js";
import { planWarming } from "../demo/plan.js";
import type { DemoFindings } from "../demo/report.js";
import { findingsJson, findingsLines, isGood } from "../demo/report.js";
import { stayInForeground } from "../demo/stay.js";
import { example } from "../example.js";
import { CliError, EXIT, inputStatusOf } from "../exit-codes.js";
import { print, printJson, startProgress } from "../output.js";
import type { Settings } from "../settings.js";
import type { FileLocation } from "../config/sources.js";
import { driveOf, parseCapacity } from "../directories.js";
import { givenOf, settingsOf } from "../settings.js";
import { listenForStop } from "../signals.js";
import { warmLines } from "../warm-tally.js";
import { warmTrees } from "./warm.js";

const DEFAULT_TREE = "/usr/share";
const CAPACITY_BYTES_MAX = 2 * 1024 ** 3;
/** Levels of the tree whose directories are told apart when something has to be left out. */
const PLAN_DEPTH = 3;
const LEFT_NAMED_MAX = 10;

interface DemoOptions {
  readonly warm?: string;
  readonly once?: true;
  readonly capacity?: string;
  readonly json?: true;
}

/** Adds the command. Exit status: 0 all as it should be, 1 a wrong byte or under 99 % hits in the second pass. */
export function addDemo(program: Command): void {
  program
    .command("demo")
    .description("start a cache, warm it with a tree, read it back twice and compare every byte")
    .option("--warm <path>", "the tree (env: WARM) (default: /usr/share)")
    .option("--once", "stop at the end, on a terminal too (env: ONCE=1)")
    .option("--capacity <size>", "default: 2GiB or a fifth of what is free, whichever is less")
    .option("--json", "print JSON in place of the table; implies --once")
    .addHelpText(
      "after",
      example("tagcache demo --dir /tmp/demo --warm /usr/include --once", "exit status 0 when all is well"),
    )
    .action(async (options: DemoOptions, command: Command) => {
      process.exitCode = await demo(settingsOf(command), options, givenOf(command, []).location);
      // What was interrupted is still walking its tree, for nothing.
      if (process.exitCode === EXIT.interrupted) process.exit();
    });
}

async function demo(settings: Settings, options: DemoOptions, config: FileLocation): Promise<number> {
  const root = resolve(options.warm ?? (process.env["WARM"] || DEFAULT_TREE));
  const once =
    options.once === true || options.json === true || process.env["ONCE"] === "1" || !process.stdout.isTTY;
  const say = options.json === true ? () => undefined : print;
  const capacityBytes = capacityOf(settings, options);
  const stop = listenForStop(["SIGTERM", "SIGINT", "SIGHUP"], {
    onSecond: () => undefined,
    onThird: () => process.exit(EXIT.interrupted),
  });
  const child = startDaemon(settings, capacityBytes, config);
  const client = await child.connect(settings);
  try {
    const interrupted = stop.requested.then(() => undefined);
    const findings = await Promise.race([run(client, settings, root, say), interrupted, ended(child)]);
    if (findings === undefined) return EXIT.interrupted;
    if (options.json === true) printJson(findingsJson(findings));
    else for (const line of findingsLines(findings)) print(line);
    if (!once) await stayInForeground(client, settings, stop, child);
    return isGood(findings) ? EXIT.ok : EXIT.negative;
  } finally {
    await client.close();
    await child.stop();
    say("Stopped the daemon clean");
  }
}

/** Never resolves: the daemon is not to end before the demo. */
async function ended(child: DaemonChild): Promise<never> {
  const status = await child.exited;
  throw new CliError(status === EXIT.ok ? EXIT.unavailable : status, "The daemon ended before the demo did");
}

async function run(
  client: CacheClient,
  settings: Settings,
  root: string,
  say: (line: string) => void,
): Promise<DemoFindings> {
  const before = await client.status();
  say(
    `Cache in ${settings.directory}: ${formatBytes(before.capacityBytes)}, pid ${before.pid}, ` +
      `start ${before.start.kind} in ${Math.round(before.start.ms)} ms`,
  );
  const session = new OriginSession(
    client,
    new Origin({ ownDirectories: [Buffer.from(resolve(before.directory))] }),
  );
  try {
    const path = Buffer.from(root);
    const plan = await planFor(session, path, before, say);
    const warm = await warmTrees(session, [path], plan.walk);
    for (const line of warmLines(warm)) say(line);
    if (warm.alreadyThere > 0 && warm.stored === 0)
      say("Everything was already there, cached by an earlier run");
    const sample = new Sample(plan.taken.blocks);
    const first = await pass(session, path, plan, "first pass", (segment) => sample.offer(segment));
    const second = await pass(session, path, plan, "second pass", () => undefined);
    const delayed = await readDelayed(sample.segments);
    const after = await client.status();
    return { root, taken: plan.taken, warm, passes: [first, second], delayed, before, after };
  } finally {
    await session.close();
  }
}

async function planFor(
  session: OriginSession,
  path: Buffer,
  status: Awaited<ReturnType<CacheClient["status"]>>,
  say: (line: string) => void,
): Promise<Plan> {
  const tree = await measureTree(session.origin, path, PLAN_DEPTH).catch((cause: unknown) => {
    throw new CliError(inputStatusOf(cause), `Cannot read ${nameText(path)}: ${messageOf(cause)}`, { cause });
  });
  if (tree.total.files === 0)
    throw new CliError(EXIT.noInput, `Cannot warm ${nameText(path)}: no files there to cache`);
  const plan = planWarming(tree, status);
  say(`Warming ${nameText(path)}: ${formatCount(plan.taken.files)} files, ${formatBytes(plan.taken.bytes)}`);
  for (const { path: left, size, ownFilesOnly } of plan.left.slice(0, LEFT_NAMED_MAX)) {
    const what = ownFilesOnly ? "files directly in " : "";
    say(
      `  left out, does not fit: ${what}${nameText(left)} (${formatCount(size.files)} files, ${formatBytes(size.bytes)})`,
    );
  }
  const more = plan.left.length - LEFT_NAMED_MAX;
  if (more > 0) say(`  and ${formatCount(more)} more subtrees`);
  return plan;
}

async function pass(
  session: OriginSession,
  path: Buffer,
  plan: Plan,
  label: string,
  onSegment: (segment: Parameters<Sample["offer"]>[0]) => void,
) {
  const progress = startProgress(label, plan.taken.files);
  try {
    return await runPass(session, path, plan.walk, (result, batch) => {
      progress.update(result.files, () => `files, ${formatBytes(result.bytes)}`);
      for (const segment of batch) onSegment(segment);
    });
  } finally {
    progress.stop();
  }
}

function capacityOf({ directory }: Settings, options: DemoOptions): number {
  if (options.capacity !== undefined) return parseCapacity(options.capacity, directory);
  return Math.min(CAPACITY_BYTES_MAX, Math.floor(driveOf(directory).availableBytes / 5));
}
