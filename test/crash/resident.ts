/**
 * A client that stays while daemons die: `resident.js <socket> <number> <count>`. Reads and writes all the time, its own
 * blocks and those of the others, and checks every hit. Says `done` with its counts when it is told anything.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Tag } from "../../engine/cache.js";
import { isCacheError } from "../../engine/cache.js";
import { type CacheClient, type ConnectOptions, connect } from "../../engine/daemon/client.js";
import { between, contentOf, seededRandom, someLength } from "./support.js";

const LANES = 3;
const BLOCKS = 24;
const DEADLINE_MS = 2000;
/** Where version and length stand in what contentOf makes. */
const HEADER_BYTES = 16;
const VERSION_AT = 4;
const LENGTH_AT = 8;

export interface ResidentCounts {
  hits: number;
  misses: number;
  bypassed: number;
  stored: number;
  slowestMs: number;
  /** Hits with bytes that nobody stored, or that were made stale before they were asked for. */
  readonly wrong: string[];
}

const [socketPath = "", ownNumber = "", count = ""] = process.argv.slice(2);
const own = Number(ownNumber);
const counts: ResidentCounts = { hits: 0, misses: 0, bypassed: 0, stored: 0, slowestMs: 0, wrong: [] };
/** No version below it may be seen any more. */
const floors = new Map<string, number>();
let version = 0;
let ends = false;

function tagOf(client: number, lane: number, block: number): Tag {
  return { fs: "stay", volume: `client ${client}`, inode: `lane ${lane}`, block };
}

function keyOf(lane: number, block: number): string {
  return `${lane}/${block}`;
}

async function read(client: CacheClient, tag: Tag, floor: number): Promise<void> {
  const answer = await client.get(tag);
  if (answer.kind === "bypass") {
    counts.bypassed += 1;
    await sleep(1); // answered at once, without a daemon
  } else if (answer.kind === "miss") counts.misses += 1;
  else {
    counts.hits += 1;
    const { bytes } = answer;
    const found = bytes.length < HEADER_BYTES ? undefined : bytes.readUInt32LE(VERSION_AT);
    const right =
      found === undefined ||
      (bytes.length === bytes.readUInt32LE(LENGTH_AT) && bytes.equals(contentOf(tag, found, bytes.length)));
    if (!right) counts.wrong.push(`${JSON.stringify(tag)} has bytes that nobody stored`);
    else if (found !== undefined && found < floor)
      counts.wrong.push(`${JSON.stringify(tag)} has version ${found}, want ${floor} or none`);
  }
}

async function change(client: CacheClient, lane: number, random: () => number): Promise<void> {
  const block = between(random, 0, BLOCKS - 1);
  const tag = tagOf(own, lane, block);
  version += 1;
  const mine = version;
  if (random() < 0.7) {
    const lengthBytes = Math.max(HEADER_BYTES, someLength(random));
    const answer = await client.put(tag, contentOf(tag, mine, lengthBytes));
    if (answer.kind !== "stored") return;
    counts.stored += 1;
    floors.set(keyOf(lane, block), mine);
    return;
  }
  const whole = random() < 0.3;
  try {
    await (whole
      ? client.invalidate({ fs: tag.fs, volume: tag.volume, inode: tag.inode })
      : client.remove(tag));
  } catch (error) {
    if (isCacheError(error, "E_UNAVAILABLE") || isCacheError(error, "E_TIMEOUT")) return; // not answered: not promised
    throw error;
  }
  for (let other = 0; other < BLOCKS; other += 1) {
    if (whole || other === block) floors.set(keyOf(lane, other), mine);
  }
}

/** One call at a time, so that a later one comes after what an earlier one was promised. */
async function stay(client: CacheClient, lane: number): Promise<void> {
  const random = seededRandom(own * 1000 + lane);
  while (!ends) {
    const beganMs = performance.now();
    const dice = random();
    const block = between(random, 0, BLOCKS - 1);
    if (dice < 0.4) await change(client, lane, random);
    else if (dice < 0.8) await read(client, tagOf(own, lane, block), floors.get(keyOf(lane, block)) ?? 0);
    else await read(client, tagOf(between(random, 0, Number(count) - 1), lane, block), 0);
    counts.slowestMs = Math.max(counts.slowestMs, performance.now() - beganMs);
  }
}

// The direct way is an option that this program's types may not know yet.
const options = { socketPath, deadlineMs: DEADLINE_MS, direct: "auto" } as ConnectOptions;
const client = await connect(options);
process.on("disconnect", () => process.exit(9)); // whoever started us is gone
process.once("message", () => (ends = true));
process.send?.({ said: "ready" });
try {
  await Promise.all(Array.from({ length: LANES }, (_, lane) => stay(client, lane)));
  await client.close();
  process.send?.({ said: "done", ...counts }, () => process.disconnect());
} catch (error) {
  process.send?.({ said: "failed", error: String(error) });
}
