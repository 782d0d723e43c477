/**
 * How late the daemon's event loop is while 8 client processes read blocks that are not in the page cache:
 * `node dist/test/bench/cold.js [--json FILE]`. Once after a restart, when the daemon takes nothing for hot; and once with
 * the pages dropped behind its back, when it takes everything for hot and is wrong. The lag is the daemon's own histogram.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { randomFillSync } from "node:crypto";
import { pathToFileURL } from "node:url";
import { SLOT_BYTES } from "../../engine/cache.js";
import { Clients } from "./clients.js";
import { fill } from "./contestants.js";
import { rounded } from "./result.js";
import { clientStore, startDaemon } from "./stores/tagcache.js";
import { BLOCKS, CAPACITY_BYTES, benchDirectory } from "./working-set.js";

const CLIENTS = 8;
const MS = 2000;
const BAR_MS = 5;
const METRIC = "tagcache_eventloop_lag_seconds";

export interface ColdResult {
  readonly name: string;
  /** 99 of 100 looks at the loop found it no later than this, in milliseconds: the bound of a bucket. */
  readonly lagP99Ms: number;
  readonly barMs: number;
  readonly looks: number;
  readonly hitsPerSecond: number;
}

export async function measureCold(): Promise<ColdResult[]> {
  const directory = benchDirectory();
  const metrics = `127.0.0.1:${await freePort()}`;
  const start = () => startDaemon(directory, CAPACITY_BYTES, ["--metrics", metrics]);
  const content = Array.from({ length: 16 }, () => randomFillSync(Buffer.allocUnsafeSlow(SLOT_BYTES)));
  let daemon = await start();
  try {
    const store = await clientStore("socket", daemon.socketPath, { direct: "off" });
    await fill(store, BLOCKS, content);
    await store.close();
    await daemon.stop(); // what is written is on the drive then, so that its pages can be dropped
    dropPages(path.join(directory, "slots"));
    daemon = await start();
    const place = { directory, socketPath: daemon.socketPath };
    const restarted = await measureOnce("cold-lag-after-restart", place, metrics);
    dropPages(path.join(directory, "slots"));
    return [restarted, await measureOnce("cold-lag-taken-for-hot", place, metrics)];
  } finally {
    await daemon.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function measureOnce(
  name: string,
  place: { readonly directory: string; readonly socketPath: string },
  metrics: string,
): Promise<ColdResult> {
  const clients = await Clients.start("socket", place, CLIENTS);
  try {
    const before = await lagOf(metrics);
    const { operationsPerSecond } = await clients.run(CLIENTS, { workload: "whole", ms: MS });
    const after = await lagOf(metrics);
    const counts = after.map(({ bound, count }, index) => ({
      bound,
      count: count - (before[index]?.count ?? 0),
    }));
    const looks = counts.at(-1)?.count ?? 0;
    const { bound = Number.POSITIVE_INFINITY } = counts.find(({ count }) => count >= looks * 0.99) ?? {};
    return {
      name,
      lagP99Ms: rounded(bound * 1000),
      barMs: BAR_MS,
      looks,
      hitsPerSecond: Math.round(operationsPerSecond),
    };
  } finally {
    await clients.stop();
  }
}

/** The cumulative buckets of the lag, the one without a bound last. */
async function lagOf(metrics: string): Promise<Array<{ bound: number; count: number }>> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const buckets = [...text.matchAll(new RegExp(`^${METRIC}_bucket\\{le="([^"]+)"\\} (\\d+)`, "gm"))];
  if (buckets.length === 0) throw new Error(`the daemon's metrics have no ${METRIC}`);
  return buckets.map(([, bound, count]) => ({
    bound: bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound),
    count: Number(count),
  }));
}

/** Takes the files' clean pages out of the page cache. */
function dropPages(root: string): void {
  for (const name of fs.readdirSync(root, { recursive: true, encoding: "utf8" })) {
    const file = path.join(root, name);
    if (!fs.statSync(file).isFile()) continue;
    const args = [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
    const { status, stderr } = spawnSync("dd", args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`dd: ${stderr}`);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  for (const { name, lagP99Ms, barMs, looks, hitsPerSecond } of await measureCold()) {
    const judged = lagP99Ms <= barMs ? "" : ": MISSED";
    console.log(
      `${name}: p99 ${lagP99Ms} ms of ${looks} looks, bar ${barMs} ms${judged}; ${hitsPerSecond} hits/s`,
    );
  }
}
