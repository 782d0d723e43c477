/** Redis over its Unix socket, everything in its memory and nothing on the drive unless asked for. */
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChildServer, startServer } from "./child-server.js";
import { ReplyClient } from "./reply-client.js";
import type { Store } from "./store.js";

const OK = "+OK";
const NIL = "$-1";
/** Between two looks whether it has loaded. */
const LOADING_MS = 5;

export interface RedisOptions {
  /** Blocks beyond it are evicted, the least recently used first; no bound unless given. */
  readonly memoryBytesMax?: number;
}

/** Starts a server in `directory`, which exists; it has loaded what it saved there. */
export async function startRedis(directory: string, options: RedisOptions = {}): Promise<ChildServer> {
  const socketPath = path.join(directory, "redis.sock");
  const bound =
    options.memoryBytesMax === undefined
      ? []
      : ["--maxmemory", String(options.memoryBytesMax), "--maxmemory-policy", "allkeys-lru"];
  const args = ["--port", "0", "--unixsocket", socketPath, "--dir", directory, "--save", "", ...bound];
  const server = await startServer("redis-server", [...args, "--daemonize", "no"], socketPath);
  const client = await ReplyClient.open(socketPath, () => undefined);
  while ((await client.call([request("PING")])).startsWith("-LOADING")) await sleep(LOADING_MS);
  await client.close();
  return server;
}

export async function redisStore(socketPath: string): Promise<Store & { save(): Promise<void> }> {
  const client = await ReplyClient.open(socketPath, (line) => {
    return line.startsWith("$") && line !== NIL ? Number(line.slice(1)) : undefined;
  });
  const expect = (line: string): void => {
    if (line !== OK) throw new Error(`redis: ${line}`);
  };
  const found = (line: string): boolean => {
    if (!line.startsWith("$")) throw new Error(`redis: ${line}`);
    return line !== NIL && line !== "$0"; // a range of what is not there is empty
  };
  return {
    name: "redis",
    put: (index, bytes) => {
      const [head, end] = [`${request("SET", String(index), 1)}$${bytes.length}\r\n`, "\r\n"];
      return client.call([head, bytes, end]).then(expect);
    },
    get: (index, into) => client.call([request("GET", String(index))], into).then(found),
    range: (index, offsetBytes, into) => {
      const last = String(offsetBytes + into.length - 1);
      const head = request("GETRANGE", String(index), 2);
      return client.call([head + bulk(String(offsetBytes)) + bulk(last)], into).then(found);
    },
    save: () => client.call([request("SAVE")]).then(expect),
    close: () => client.close(),
  };
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`;
}

function request(command: string, key?: string, more = 0): string {
  const parts = 1 + (key === undefined ? 0 : 1) + more;
  return `*${parts}\r\n${bulk(command)}${key === undefined ? "" : bulk(key)}`;
}
