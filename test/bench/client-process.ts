/** One client of a store, started by clients.ts: `client-process.js STORE DIRECTORY SOCKET warm|new`. */
import { SLOT_BYTES } from "../../engine/cache.js";
import { PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { ClientReport, ClientTask } from "./clients.js";
import { type StoreName, openStore } from "./contestants.js";
import { percentile, seeded } from "./rounds.js";
import type { Store } from "./stores/store.js";
import { BLOCKS } from "./working-set.js";

const random = seeded(process.pid);
const block = Buffer.allocUnsafeSlow(SLOT_BYTES);
const page = block.subarray(0, PAGE_BYTES);
/** Timer events and messages get a turn after so many operations of a store that needs none. */
const TURN = 64;

/** Before a client is ready it has read all blocks in turn for so much of its own processor time: compiled, and files open. */
const WARM_CPU_MS = 400;

async function warm(store: Store): Promise<void> {
  const ranMs = (): number => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  };
  for (const endMs = ranMs() + WARM_CPU_MS; ranMs() < endMs;) {
    for (let index = 0; index < BLOCKS && ranMs() < endMs; index += 1) {
      await store.get(index, block);
      await store.range(index, 0, page);
    }
  }
}

async function work(store: Store, { workload, ms, blocks = BLOCKS }: ClientTask): Promise<ClientReport> {
  const one = (): boolean | Promise<boolean> =>
    workload === "whole"
      ? store.get(random() % blocks, block)
      : store.range(random() % blocks, (random() % SLOT_PAGES) * PAGE_BYTES, page);
  const took: number[] = [];
  const beganMs = performance.now();
  let beforeMs = beganMs;
  while (beforeMs - beganMs < ms) {
    const answer = one();
    const there = typeof answer === "boolean" ? answer : await answer;
    if (!there && store.lossy !== true) throw new Error("want a hit, got a miss");
    const nowMs = performance.now();
    took.push((nowMs - beforeMs) * 1000);
    beforeMs = nowMs;
    if (took.length % TURN === 0 && typeof answer === "boolean") await new Promise(setImmediate);
  }
  return { count: took.length, ms: beforeMs - beganMs, p99Us: percentile(took, 99) };
}

const [name, directory = "", socketPath = "", state] = process.argv.slice(2);
const store = await openStore(name as StoreName, { directory, socketPath });
if (typeof store === "string") throw new Error(store);
if (state === "warm") await warm(store);
process.on("message", (task: ClientTask) => {
  void work(store, task).then((report) => process.send?.(report)); // a failure ends the process, and its parent says so
});
process.on("disconnect", () => process.exit());
process.send?.("ready");
