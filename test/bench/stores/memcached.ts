/** memcached with extstore over its Unix socket: keys in memory, most values in a file on the drive. */
import path from "node:path";
import { userInfo } from "node:os";
import { type ChildServer, startServer } from "./child-server.js";
import { SLOT_BYTES } from "../../../engine/cache.js";
import { ReplyClient } from "./reply-client.js";
import type { Store } from "./store.js";

const MIB = 1024 ** 2;

export interface MemcachedOptions {
  /** For keys, and values that are not in the file yet. */
  readonly memoryBytes: number;
  readonly fileBytes: number;
}

/** Starts a server in `directory`, which exists. */
export function startMemcached(directory: string, options: MemcachedOptions): Promise<ChildServer> {
  const socketPath = path.join(directory, "memcached.sock");
  const file = `ext_path=${path.join(directory, "extstore")}:${Math.ceil(options.fileBytes / MIB)}M`;
  const args = [
    "-s",
    socketPath,
    "-a",
    "600",
    "-u",
    userInfo().username,
    "-m",
    String(options.memoryBytes / MIB),
  ];
  return startServer(
    "memcached",
    [...args, "-t", "2", "-o", `${file},ext_wbuf_size=16,ext_max_sleep=1000`],
    socketPath,
  );
}

export async function memcachedStore(socketPath: string): Promise<Store> {
  const client = await ReplyClient.open(socketPath, (line) => {
    return line.startsWith("VA ") ? Number(line.split(" ")[1]) : undefined;
  });
  /** For whole values of which a part is wanted; as many as are in flight at once. */
  const free: Buffer[] = [];
  const found = (line: string): boolean => {
    if (!line.startsWith("VA ") && line !== "EN") throw new Error(`memcached: ${line}`);
    return line !== "EN";
  };
  return {
    name: "memcached",
    lossy: true,
    put: async (index, bytes) => {
      const line = await client.call([`ms ${index} ${bytes.length}\r\n`, bytes, "\r\n"]);
      if (line !== "HD") throw new Error(`memcached: ${line}`);
    },
    get: (index, into) => client.call([`mg ${index} v\r\n`], into).then(found),
    /** It has no ranges: the whole value has to come. */
    range: async (index, offsetBytes, into) => {
      const whole = free.pop() ?? Buffer.allocUnsafeSlow(SLOT_BYTES);
      const there = found(await client.call([`mg ${index} v\r\n`], whole));
      free.push(whole);
      if (there) whole.copy(into, 0, offsetBytes, offsetBytes + into.length);
      return there;
    },
    close: () => client.close(),
  };
}
