/**
 * The child that gets killed. It says `ready`, is told what to do, does it and says so. With `dieAtCall` it kills itself
 * right before the so-manieth call of node:fs, which is how every single step of a start or a stop gets its turn.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import type { OwnedCache } from "../../engine/cache.js";
import type { Message } from "./children.js";

export type Task =
  /** Opens, says `opened`, and stays. */
  | "open"
  /** Opens, says `opened`; when told `go` it closes and says `closed`. */
  | "close"
  /** Opens, says `opened`; when told `go` it wipes and says `wiped`. */
  | "wipe"
  /** Opens, fills the cache, says `opened`; when told `go` it shrinks and says `shrunk`. */
  | "shrink"
  /** Wipes a directory that nobody owns and says `wiped`. */
  | "wipeDirectory"
  /** Opens, says `opened` and keeps a mixed load going. */
  | "load";

export interface Order {
  readonly task: Task;
  readonly directory: string;
  readonly seed: number;
  readonly capacityBytes: number;
  readonly slotsMax: number;
  /** Counted from `go` for tasks that wait for it, else from the start. */
  readonly dieAtCall?: number;
  /** Kills itself in the turn in which the last step resolves. */
  readonly dieWhenDone?: boolean;
}

/** Calls that change something or order a change; named as node:fs does. */
const CALLS = [
  "openSync",
  "closeSync",
  "mkdirSync",
  "rmSync",
  "renameSync",
  "fsyncSync",
  "writeSync",
  "writeFileSync",
  "ftruncateSync",
  "accessSync",
  "readdirSync",
  "ftruncate",
  "unlink",
] as const;

let calls = 0;
let dieAtCall = Number.POSITIVE_INFINITY;

function countCalls(): void {
  const table = fs as unknown as Record<string, (...args: unknown[]) => unknown>;
  for (const name of CALLS) {
    const original = table[name] as (...args: unknown[]) => unknown;
    table[name] = (...args) => {
      calls += 1;
      if (calls === dieAtCall) process.kill(process.pid, "SIGKILL");
      return original(...args);
    };
  }
  syncBuiltinESMExports();
}

function say(said: string, more: Record<string, unknown> = {}): void {
  process.send?.({ said, ...more } satisfies Message);
}

function told(): Promise<unknown> {
  return new Promise((resolve) => process.once("message", resolve));
}

countCalls();
// Only now: engine and index take some functions of node:fs as they are loaded.
const { openCache, wipeDirectory } = await import("../../engine/cache.js");
const { mixedLoad } = await import("./load.js");

process.on("disconnect", () => process.exit(9)); // whoever started us is gone

async function obey(order: Order): Promise<void> {
  const { task, directory, capacityBytes, slotsMax } = order;
  const armed = order.dieAtCall ?? Number.POSITIVE_INFINITY;
  const waits = task === "close" || task === "wipe" || task === "shrink";
  const arm = () => {
    calls = 0;
    dieAtCall = armed;
  };
  if (!waits) arm();
  if (task === "wipeDirectory") {
    const { epoch } = await wipeDirectory({ directory });
    say("wiped", { epoch, calls });
    return;
  }
  const cache: OwnedCache = await openCache({ directory, capacityBytes, slotsMax });
  if (task === "shrink") await fill(cache);
  const { epoch, start } = await cache.status();
  say("opened", { epoch, kind: start.kind, ms: start.ms, calls });
  if (task === "load") await mixedLoad(cache, order.seed);
  if (!waits) return;
  await told();
  arm();
  if (task === "close") await cache.close();
  else if (task === "wipe") await cache.wipe();
  else await cache.configure({ capacityBytes: capacityBytes / 2, slotsMax: Math.floor(slotsMax / 4) });
  if (order.dieWhenDone === true) process.kill(process.pid, "SIGKILL");
  say({ close: "closed", wipe: "wiped", shrink: "shrunk" }[task as "close"], { calls });
}

/** With blocks of all sizes, more than there is room for. */
async function fill(cache: OwnedCache): Promise<void> {
  for (let block = 0; block < cache.limits.slotsMax; block += 1) {
    await cache.put(
      { fs: "fill", volume: "v", inode: "f", block },
      Buffer.alloc(1 + ((block * 977) % 100_000), block),
    );
  }
}

const first = told();
say("ready");
try {
  await obey((await first) as Order);
} catch (error) {
  say("failed", { error: String(error) });
}
