/**
 * How late the daemon's event loop is while 8 client processes read blocks that are not in the page cache:
 * `node dist/test/bench/cold.js`. Right after a restart, when the daemon takes nothing for hot; with the pages dropped
 * behind its back, when it takes everything for hot and is wrong; and, for comparison, with all of it in memory, since nine
 * processes on few processors wait for those too. The lag is the daemon's own histogram.
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
import { median } from "./rounds.js";
import { clientStore, startDaemon } from "./stores/tagcache.js";
import { benchDirectory } from "./working-set.js";

const CLIENTS = 8;
/** 1.5 GiB: in a second only some of them are read twice, and are not cold the second time. */
const COLD_BLOCKS = 6144;
const COLD_CAPACITY_BYTES = 2 * 1024 ** 3;
const MS = 1000;
const TIMES = 4;
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

type Buckets = ReadonlyArray<{ readonly bound: number; readonly count: number }>;

/** What several runs of one kind came to. */
class Lags {
  #counts: Buckets = [];
  readonly #speeds: number[] = [];

  add(before: Buckets, after: Buckets, hitsPerSecond: number): void {
    this.#counts = after.map(({ bound, count }, index) => ({
      bound,
      count: (this.#counts[index]?.count ?? 0) + count - (before[index]?.count ?? 0),
    }));
    this.#speeds.push(hitsPerSecond);
  }

  result(name: string): ColdResult {
    const looks = this.#counts.at(-1)?.count ?? 0;
    const { bound = Number.POSITIVE_INFINITY } =
      this.#counts.find(({ count }) => count >= looks * 0.99) ?? {};
    return {
      name,
      lagP99Ms: rounded(bound * 1000),
      barMs: BAR_MS,
      looks,
      hitsPerSecond: Math.round(median(this.#speeds)),
    };
  }
}

export async function measureCold(): Promise<ColdResult[]> {
  const directory = benchDirectory();
  const slots = path.join(directory, "slots");
  const metrics = `127.0.0.1:${await freePort()}`;
  const start = () => startDaemon(directory, COLD_CAPACITY_BYTES, ["--metrics", metrics]);
  const content = Array.from({ length: 16 }, () => randomFillSync(Buffer.allocUnsafeSlow(SLOT_BYTES)));
  const [restarted, takenForHot, hot] = [new Lags(), new Lags(), new Lags()];
  let daemon = await start();
  try {
    const store = await clientStore("socket", daemon.socketPath, { direct: "off" });
    await fill(store, COLD_BLOCKS, content);
    await store.close();
    const place = { directory, socketPath: daemon.socketPath };
    const task = { workload: "whole", blocks: COLD_BLOCKS } as const;
    for (let time = 0; time < TIMES; time += 1) {
      await daemon.stop(); // what is written is on the drive then, so that its pages can be dropped
      dropPages(slots);
      daemon = await start();
      const clients = await Clients.start("socket", place, CLIENTS, { warm: false });
      try {
        for (const [lags, drop] of [
          [restarted, false],
          [hot, false],
          [takenForHot, true],
        ] as const) {
          if (drop) dropPages(slots);
          const before = await lagOf(metrics);
          const { operationsPerSecond } = await clients.run(CLIENTS, { ...task, ms: MS });
          lags.add(before, await lagOf(metrics), operationsPerSecond);
          // What is left is read, so that the next run begins with all of it in memory.
          await clients.run(CLIENTS, { ...task, ms: 4 * MS });
        }
      } finally {
        await clients.stop();
      }
    }
  } finally {
    await daemon.stop();
    fs.rmSync(directory, { recursive: true, force: true });
  }
  return [
    restarted.result("cold-lag-after-restart"),
    takenForHot.result("cold-lag-taken-for-hot"),
    hot.result("hot-lag"),
  ];
}

/** The cumulative buckets of the lag, the one without a bound last. */
async function lagOf(metrics: string): Promise<Buckets> {
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  const buckets = [...text.matchAll(new RegExp(`^${METRIC}_bucket\\{le="([^"]+)"\\} (\\d+)`, "gm"))];
  if (buckets.length === 0) throw new Error(`the daemon's metrics have no ${METRIC}`);
  return buckets.map(([, bound, count]) => ({
    bound: bound === "+Inf" ? Number.POSITIVE_INFINITY : Number(bound),
    count: Number(count),
  }));
}

const DROP = `import os, sys
for at, _, names in os.walk(sys.argv[1]):
    for name in names:
        fd = os.open(os.path.join(at, name), os.O_RDONLY)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)`;

/** Takes the files' clean pages out of the page cache. Node has no call for that, Python has. */
function dropPages(root: string): void {
  const { status, stderr, error } = spawnSync("python3", ["-c", DROP, root], { encoding: "utf8" });
  if (status !== 0) throw new Error(`python3 could not drop pages: ${error?.message ?? stderr}`);
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
