/** A cache served to CVMFS clients on a real socket, for tests. */
import path from "node:path";
import type { OwnedCache } from "../../../engine/api.js";
import type { OpenCacheOptions } from "../../../engine/cache.js";
import {
  type CvmfsServer,
  type CvmfsServerOptions,
  startCvmfsServer,
} from "../../../engine/daemon/cvmfs/server.js";
import { silentLogger } from "../../../engine/daemon/logger.js";
import { openAt, withPlace } from "../../support/temp-cache.js";
import { PluginClient } from "./plugin-client.js";

export interface Plugin {
  readonly cache: OwnedCache;
  readonly server: CvmfsServer;
  readonly directory: string;
  readonly connect: (name?: string) => Promise<PluginClient>;
}

type Options = Partial<OpenCacheOptions> &
  Pick<Partial<CvmfsServerOptions>, "onIdle" | "reloadGraceMs"> & {
    /** Stands between the server and the cache. */
    readonly wrap?: (cache: OwnedCache) => OwnedCache;
  };

/** Runs the body with a served cache; closes clients, server and cache whatever happens, and leaves the directory to `after`. */
export async function withPlugin(
  options: Options,
  body: (plugin: Plugin) => Promise<void>,
  after: (directory: string) => Promise<void> = async () => undefined,
): Promise<void> {
  await withPlace(async (directory) => {
    const { onIdle, reloadGraceMs, wrap = (whole) => whole, ...cacheOptions } = options;
    const cache = await openAt(directory, cacheOptions);
    const clients: PluginClient[] = [];
    const server = await startCvmfsServer({
      cache: wrap(cache),
      address: { kind: "unix", path: path.join(directory, "cvmfs") },
      log: silentLogger,
      version: "1.2.3",
      ...(onIdle !== undefined && { onIdle }),
      ...(reloadGraceMs !== undefined && { reloadGraceMs }),
    });
    try {
      const connect = async (name?: string): Promise<PluginClient> => {
        const client = await PluginClient.connect(server.locator, name);
        clients.push(client);
        return client;
      };
      await body({ cache, server, directory, connect });
    } finally {
      await Promise.all(clients.map((client) => client.close()));
      await server.close({ drainMs: 200 });
      await cache.close();
    }
    await after(directory);
  });
}
