/**
 * A CVMFS client against a client of our own protocol: the same daemon, the same content, one connection and one request at
 * a time, interleaved. Ratios are of throughput.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { SLOT_BYTES } from "../../engine/cache.js";
import { type CacheClient, connect } from "../../engine/daemon/client.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { type Hash, PluginClient, S, hashOf } from "../daemon/cvmfs/plugin-client.js";
import type { Result } from "./result.js";
import { median, seeded } from "./rounds.js";
import os from "node:os";

const BAR = 0.6;
const MIB = 1024 ** 2;
const OBJECT_BYTES = 24 * MIB;
const BLOCKS = OBJECT_BYTES / SLOT_BYTES;
const SMALL_ROUNDS = 15;
const LARGE_ROUNDS = 7;
const BATCH = 1000;
const START_MS_MAX = 20_000;
const NATIVE = { fs: "bench", volume: "volume" } as const;

interface Clients {
  readonly native: CacheClient;
  readonly plugin: PluginClient;
  readonly content: Buffer;
  readonly hash: Hash;
}

/** Object info and reads of 4 KiB, and 24 MiB stored and read. */
export async function cvmfsResults(): Promise<Result[]> {
  return withDaemon(async (clients) => {
    await fill(clients);
    return [
      result(
        "cvmfs-info",
        await paired(SMALL_ROUNDS, () => infos(clients)),
        "has over our own protocol, throughput",
      ),
      result("cvmfs-read-4k", await paired(SMALL_ROUNDS, () => pages(clients)), "get of 4 KiB, throughput"),
      result(
        "cvmfs-store-24m",
        await paired(LARGE_ROUNDS, () => stores(clients)),
        "puts of 256 KiB, throughput",
      ),
      result(
        "cvmfs-read-24m",
        await paired(LARGE_ROUNDS, () => reads(clients)),
        "gets of 256 KiB, throughput",
      ),
    ];
  });
}

/** Milliseconds of each. */
interface Pair {
  readonly ours: number;
  readonly theirs: number;
  readonly operations: number;
}

async function fill({ native, plugin, content, hash }: Clients): Promise<void> {
  await storeNative(native, "file", content);
  await want(plugin.store(hash, content, { expected: content.length }), S.ok);
}

async function infos({ native, plugin, hash }: Clients): Promise<Pair> {
  const tag = { ...NATIVE, inode: "file", block: 0 };
  const theirs = await timed(BATCH, async () => want(native.has(tag), true));
  const ours = await timed(BATCH, async () =>
    want(
      plugin.objectInfo(hash).then(({ status }) => status),
      S.ok,
    ),
  );
  return { ours, theirs, operations: BATCH };
}

async function pages({ native, plugin, hash }: Clients): Promise<Pair> {
  const random = seeded(3);
  const into = Buffer.allocUnsafe(PAGE_BYTES);
  const place = (): number => (random() % (OBJECT_BYTES / PAGE_BYTES)) * PAGE_BYTES;
  const theirs = await timed(BATCH, async () => {
    const at = place();
    const tag = { ...NATIVE, inode: "file", block: Math.floor(at / SLOT_BYTES) };
    const got = await native.get(tag, { offsetBytes: at % SLOT_BYTES, lengthBytes: PAGE_BYTES, into });
    if (got.kind !== "hit") throw new Error(`want a hit, got ${got.kind}`);
  });
  const ours = await timed(BATCH, async () => {
    const { data } = await plugin.read(hash, place(), PAGE_BYTES);
    if (data.length !== PAGE_BYTES) throw new Error(`want 4 KiB, got ${data.length} bytes`);
  });
  return { ours, theirs, operations: BATCH };
}

/** Each time under names that are new, and dropped afterwards. */
async function stores({ native, plugin, content }: Clients): Promise<Pair> {
  const other = { algorithm: 2, digest: hashOf(content).digest };
  const theirs = await timed(1, () => storeNative(native, "new", content));
  await native.flush({ ...NATIVE, inode: "new" });
  const ours = await timed(1, () => want(plugin.store(other, content, { expected: content.length }), S.ok));
  await want(plugin.refcount(other, -1), S.ok);
  await native.flush({ fs: "cvmfs", volume: "rmd160" });
  return { ours, theirs, operations: 1 };
}

async function reads({ native, plugin, hash }: Clients): Promise<Pair> {
  const into = Buffer.allocUnsafe(SLOT_BYTES);
  const theirs = await timed(BLOCKS, async (block) => {
    const got = await native.get({ ...NATIVE, inode: "file", block }, { into });
    if (got.kind !== "hit") throw new Error(`want a hit, got ${got.kind}`);
  });
  const ours = await timed(BLOCKS, async (block) => {
    const { data } = await plugin.read(hash, block * SLOT_BYTES, SLOT_BYTES);
    if (data.length !== SLOT_BYTES) throw new Error(`want 256 KiB, got ${data.length} bytes`);
  });
  return { ours, theirs, operations: 1 };
}

async function storeNative(native: CacheClient, inode: string, content: Buffer): Promise<void> {
  for (let block = 0; block < BLOCKS; block += 1) {
    const put = await native.put(
      { ...NATIVE, inode, block },
      content.subarray(block * SLOT_BYTES, (block + 1) * SLOT_BYTES),
    );
    if (put.kind !== "stored") throw new Error(`want it stored, got ${put.reason}`);
  }
}

async function want<T>(answer: Promise<T>, wanted: T): Promise<void> {
  const found = await answer;
  if (found !== wanted) throw new Error(`want ${String(wanted)}, got ${String(found)}`);
}

/** @returns milliseconds of all together. */
async function timed(count: number, operation: (index: number) => Promise<void>): Promise<number> {
  const beganMs = performance.now();
  for (let index = 0; index < count; index += 1) await operation(index);
  return performance.now() - beganMs;
}

/** Both, in turn; the first round is not counted. */
async function paired(rounds: number, round: () => Promise<Pair>): Promise<Pair> {
  const pairs: Pair[] = [];
  for (let number = -1; number < rounds; number += 1) {
    const pair = await round();
    if (number >= 0) pairs.push(pair);
  }
  const [first] = pairs as [Pair];
  return {
    ours: median(pairs.map(({ ours }) => ours)),
    theirs: median(pairs.map(({ theirs }) => theirs)),
    operations: first.operations,
  };
}

function result(name: string, { ours, theirs, operations }: Pair, against: string): Result {
  const us = (ms: number): number => Math.round((ms * 100_000) / operations) / 100;
  const ratio = Math.round((theirs / ours) * 100) / 100;
  const measured = {
    name,
    unit: "us",
    value: us(ours),
    floor: us(theirs),
    ratio,
    bar: BAR,
    against,
    atLeast: true,
  } as const;
  return measured;
}

async function withDaemon<T>(body: (clients: Clients) => Promise<T>): Promise<T> {
  const directory = fs.mkdtempSync(path.join(process.env["BENCH_DIR"] ?? os.tmpdir(), "tagcache-cvmfs-"));
  const [cache, socket] = [path.join(directory, "cache"), path.join(directory, "plugin")];
  const main = path.join(import.meta.dirname, "../../cli/tagcache.cjs");
  const args = [
    "serve",
    "--dir",
    cache,
    "--capacity",
    "256MiB",
    "--cvmfs",
    `unix=${socket}`,
    "--log-level",
    "warn",
  ];
  const daemon = spawn(process.execPath, [main, ...args], {
    env: { ...process.env, TAGCACHE_CONFIG: "/dev/null" },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const exited = once(daemon, "exit");
  try {
    const native = await answering(() => connect({ socketPath: path.join(cache, "sock"), direct: "off" }));
    const plugin = await answering(() => PluginClient.connect(`unix=${socket}`, "bench", { reuse: true }));
    const random = seeded(7);
    const content = Buffer.from(Uint32Array.from({ length: OBJECT_BYTES / 4 }, random).buffer);
    try {
      return await body({ native, plugin, content, hash: hashOf(content) });
    } finally {
      await plugin.close();
      await native.close();
    }
  } finally {
    daemon.kill("SIGTERM");
    await exited;
    fs.rmSync(directory, { recursive: true });
  }
}

async function answering<T>(attempt: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + START_MS_MAX; ;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > endMs) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
