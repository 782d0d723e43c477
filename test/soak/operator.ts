/** The operator of the soak: one after another, all that is done to a daemon beside its load. */
import { isCacheError } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { CheckEnded } from "../../engine/fsck/course.js";
import { followFsck } from "../../engine/fsck/follow.js";
import { MIB } from "../support/temp-cache.js";
import { type Board, spansOf } from "./board.js";
import { type Tally, note } from "./tally.js";

const FSCK_BYTES_PER_SECOND = 128 * MIB;
/** What may come of a call while a daemon ends, or of one that can't be met now. */
const EXPECTED = new Set([
  "E_UNAVAILABLE",
  "E_TIMEOUT",
  "E_CLOSED",
  "E_NO_SPACE",
  "E_BUSY",
  "E_STALE",
  "E_LIMIT",
  "E_CONFIG", // a capacity in which pins do not fit
]);

export interface OperatorParts {
  readonly cache: CacheClient;
  readonly board: Board;
  readonly clients: number;
  /** In MiB: one of them at a time. */
  readonly capacities: readonly number[];
  readonly random: () => number;
  readonly tally: Tally;
  readonly failures: string[];
}

type Task = (parts: OperatorParts) => Promise<string>;

async function invalidateVolume({ cache, board, clients, random }: OperatorParts): Promise<string> {
  const client = Math.floor(random() * clients);
  const before = [...spansOf(client)].map((span) => ({ span, settled: board.read("settled", span) }));
  await cache.invalidate({ fs: "soak", volume: `client ${client}` });
  for (const { span, settled } of before)
    board.write(
      "barred",
      span,
      settled.map((version) => version + 1),
    );
  return "ok";
}

async function resize({ cache, random, capacities }: OperatorParts): Promise<string> {
  const mib = capacities[Math.floor(random() * capacities.length)] as number;
  await cache.setConfig(new Map([["capacity", `${mib}MiB`]]));
  const { usedBytes, capacityBytes, indexBytes } = await cache.status();
  return usedBytes + indexBytes <= capacityBytes ? "ok" : "over its capacity";
}

async function cull({ cache }: OperatorParts): Promise<string> {
  const { usedBytes } = await cache.status();
  await cache.cull({ usedBytesMax: Math.floor(usedBytes * 0.7) });
  return "ok";
}

async function fsck({ cache, failures, random }: OperatorParts): Promise<string> {
  const deep = random() < 0.5;
  try {
    const report = await followFsck(cache.fsck, { deep, bytesPerSecond: FSCK_BYTES_PER_SECOND });
    if (report.clean) return "clean";
    failures.push(
      `fsck of the open cache: ${report.found} findings: ${JSON.stringify(report.findings.slice(0, 5))}`,
    );
    return "findings";
  } catch (error) {
    if (error instanceof CheckEnded) return "ended";
    throw error;
  }
}

const TASKS: ReadonlyArray<readonly [string, Task]> = [
  ["invalidate volume", invalidateVolume],
  ["resize", resize],
  ["cull", cull],
  ["fsck", fsck],
  ["scrub", async ({ cache }) => (await cache.scrub({ bytesPerSecond: 64 * MIB }), "ok")],
  [
    "flush volume",
    async ({ cache, random, clients }) => {
      await cache.flush({ fs: "soak", volume: `client ${Math.floor(random() * clients)}` });
      return "ok";
    },
  ],
  ["list", async ({ cache }) => ((await cache.list({ fs: "soak" })).entries.length > 0 ? "ok" : "nothing")],
  ["status", async ({ cache }) => ((await cache.status()).hits >= 0 ? "ok" : "no figures")],
  ["flush all", async ({ cache }) => (await cache.flush({ all: true }), "ok")],
  ["wipe", async ({ cache }) => (await cache.wipe(), "ok")],
];
/** Those at the end of the list empty the cache, and come seldom. */
const USUAL = TASKS.length - 2;
const SELDOM = 0.04;

/** One task. */
export async function operate(parts: OperatorParts): Promise<void> {
  const { random, tally, failures } = parts;
  const place = random() < SELDOM ? USUAL + Math.floor(random() * 2) : Math.floor(random() * USUAL);
  const [name, task] = TASKS[place] as (typeof TASKS)[number];
  const beganMs = performance.now();
  let outcome: string;
  try {
    outcome = await task(parts);
  } catch (error) {
    if (!isCacheError(error)) throw error;
    outcome = error.code;
    if (!EXPECTED.has(error.code)) failures.push(`${name}: ${error.code} ${error.message}`);
  }
  note(tally, `operator: ${name}`, outcome, performance.now() - beganMs);
}
