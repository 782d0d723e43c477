/** A cache behind a daemon of its own, in this process, as its client sees it. */
import type { BlockCache } from "../../engine/api.js";
import { startTestServer } from "../daemon/with-server.js";

/** @returns a client; its close ends the server and the cache too. */
export async function openServed(cache: BlockCache): Promise<BlockCache> {
  const server = await startTestServer({ cache });
  const client = await server.connect();
  return new Proxy<BlockCache>(client, {
    get(target, key) {
      if (key === "close") return closeAll;
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });

  async function closeAll(): Promise<void> {
    try {
      await client.close();
      await server.done();
    } finally {
      await cache.close();
    }
  }
}
