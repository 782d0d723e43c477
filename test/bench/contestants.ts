/** Everything that the benchmark can set up on this machine, each filled with the same blocks, and what is missing. */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { SLOT_BYTES } from "../../engine/cache.js";
import { cacacheStore } from "./stores/cacache.js";
import type { ChildServer } from "./stores/child-server.js";
import { lmdbStore } from "./stores/lmdb.js";
import { memcachedStore, startMemcached } from "./stores/memcached.js";
import { rawStore } from "./stores/raw.js";
import { redisStore, startRedis } from "./stores/redis.js";
import { sqliteStore } from "./stores/sqlite.js";
import type { Store } from "./stores/store.js";
import { clientStore, startDaemon } from "./stores/tagcache.js";

/** Those that SAME_PLACE names come before those that share with them. */
export const STORE_NAMES = [
  "raw",
  "raw-checked",
  "socket",
  "direct",
  "direct-unverified",
  "sqlite",
  "lmdb",
  "cacache",
  "redis",
  "memcached",
] as const;
export type StoreName = (typeof STORE_NAMES)[number];

/** How a process becomes a client of a store: its directory, and its socket where it has one. */
export interface Place {
  readonly directory: string;
  readonly socketPath?: string;
}

export type Opened = Store | string;

/** Opens a store that its server, if it has one, was started for. @returns the store, or why there is none. */
export async function openStore(name: StoreName, { directory, socketPath = "" }: Place): Promise<Opened> {
  switch (name) {
    case "raw":
    case "raw-checked":
      return rawStore(path.join(directory, "raw"), { checked: name === "raw-checked" });
    case "direct":
      return clientStore(name, socketPath, { direct: "auto" });
    case "direct-unverified":
      return clientStore(name, socketPath, { direct: "auto", verify: false });
    case "socket":
      return clientStore(name, socketPath, { direct: "off" });
    case "sqlite":
      return sqliteStore(directory);
    case "lmdb":
      return lmdbStore(directory);
    case "cacache":
      return cacacheStore(directory);
    case "redis":
      return redisStore(socketPath);
    case "memcached":
      return memcachedStore(socketPath);
  }
}

export interface ServerOptions {
  /** Of blocks, where the server keeps to a bound. */
  readonly capacityBytes: number;
  /** Of blocks beyond which Redis is to evict; no bound unless given. */
  readonly bounded?: boolean;
}

/** Starts the server of a store, in a directory of its own. @returns it, nothing where there is none, or why it can't. */
export async function startServerOf(
  name: StoreName,
  under: string,
  options: ServerOptions,
): Promise<{ readonly place: Place; readonly server?: ChildServer } | string> {
  const directory = path.join(under, name);
  fs.mkdirSync(directory, { recursive: true });
  const program = { redis: "redis-server", memcached: "memcached" }[name as string];
  if (program !== undefined && versionOf(program) === undefined) return `${program} is not installed`;
  const server = await serverIn(name, directory, options);
  return server === undefined
    ? { place: { directory } }
    : { place: { directory, socketPath: server.socketPath }, server };
}

function serverIn(
  name: StoreName,
  directory: string,
  options: ServerOptions,
): Promise<ChildServer> | undefined {
  const { capacityBytes, bounded } = options;
  if (name === "socket") return startDaemon(directory, capacityBytes);
  if (name === "redis")
    return startRedis(directory, bounded === true ? { memoryBytesMax: capacityBytes } : {});
  if (name !== "memcached") return undefined;
  return startMemcached(directory, { memoryBytes: MEMCACHED_BYTES, fileBytes: capacityBytes });
}

const MEMCACHED_BYTES = 64 * 1024 ** 2;

/** Stores that are other clients of the same server, or read the same files. */
export const SAME_PLACE: Readonly<Partial<Record<StoreName, StoreName>>> = {
  direct: "socket",
  "direct-unverified": "socket",
  "raw-checked": "raw",
};

/** The version that a program says it has, or undefined where there is none. */
export function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim().split("\n")[0] : undefined;
}

/** Stores blocks 0 to `count` - 1, and does so again for what the store did not keep, for a while. */
export async function fill(store: Store, count: number, content: readonly Buffer[]): Promise<void> {
  const into = Buffer.allocUnsafeSlow(SLOT_BYTES);
  for (let tries = 0; tries < FILL_TRIES_MAX; tries += 1) {
    let stored = 0;
    for (let index = 0; index < count; index += 1) {
      if (tries > 0 && (await store.get(index, into))) continue;
      await store.put(index, content[index % content.length] as Buffer);
      stored += 1;
    }
    if (tries > 0 && stored === 0) return;
    if (store.name !== "memcached") return;
  }
  throw new Error(`${store.name} does not keep ${count} blocks`);
}

/** memcached drops what it could not write to its file in time. */
const FILL_TRIES_MAX = 20;
