/** tagcache as a library in this process, and its daemon, started as its users start it. */
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { BlockCache, GetResult, PutResult, Tag } from "../../../engine/cache.js";
import { type CacheClient, type ConnectOptions, connect } from "../../../engine/daemon/client.js";
import { type ChildServer, startServer } from "./child-server.js";
import type { Store } from "./store.js";

const PROGRAM = fileURLToPath(new URL("../../../cli/tagcache.cjs", import.meta.url));
const BLOCKS_A_FILE = 64;
/** A bypass would be taken for a miss: the machine may be busy, and nobody waits here but the clock. */
const DEADLINE_MS = 30_000;

/** The tag of block `index` of the benchmark's working set, and beyond it. */
export function benchTag(index: number): Tag {
  const inode = `file-${Math.floor(index / BLOCKS_A_FILE)}`;
  return { fs: "bench", volume: "volume", inode, block: index % BLOCKS_A_FILE };
}

/** Starts the daemon on a cache in `directory`. */
export function startDaemon(
  directory: string,
  capacityBytes: number,
  more: readonly string[] = [],
): Promise<ChildServer> {
  const socketPath = path.join(directory, "sock");
  const args = ["serve", "--dir", directory, "--capacity", String(capacityBytes), ...more];
  return startServer(process.execPath, [PROGRAM, ...args], socketPath);
}

/** `direct`: whether the client may read slots itself; `verify`: whether it checks what it reads so. */
export interface DirectOptions {
  readonly direct: "auto" | "off";
  readonly verify?: boolean;
}

export function daemonClient(socketPath: string, options: DirectOptions): Promise<CacheClient> {
  return connect({ socketPath, deadlineMs: DEADLINE_MS, ...options } as ConnectOptions);
}

/** A client of a daemon. */
export async function clientStore(name: string, socketPath: string, options: DirectOptions): Promise<Store> {
  const client = await daemonClient(socketPath, options);
  return cacheStore(name, client, () => client.close());
}

export function cacheStore(name: string, cache: BlockCache, close: () => Promise<void>): Store {
  const tags: Tag[] = [];
  const tag = (index: number): Tag => (tags[index] ??= benchTag(index));
  return {
    name,
    cache,
    put: (index, bytes) => cache.put(tag(index), bytes).then(expectStored),
    get: (index, into) => cache.get(tag(index), { into }).then(found),
    range: (index, offsetBytes, into) =>
      cache.get(tag(index), { offsetBytes, lengthBytes: into.length, into }).then(found),
    close,
  };
}

function expectStored(result: PutResult): void {
  if (result.kind !== "stored") throw new Error(`want it stored, got ${result.reason}`);
}

function found(result: GetResult): boolean {
  if (result.kind === "bypass") throw new Error(`want a hit or a miss, got ${result.reason}`);
  return result.kind === "hit";
}
