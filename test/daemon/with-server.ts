/** A server on a real socket in a directory of its own, for tests. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BlockCache, DirectSource } from "../../engine/api.js";
import { connect } from "../../engine/daemon/client.js";
import type { CacheClient, ConnectOptions } from "../../engine/daemon/client.js";
import { silentLogger } from "../../engine/daemon/logger.js";
import { startServer } from "../../engine/daemon/server.js";
import type { ConfigService, Server, ServerLimits } from "../../engine/daemon/server.js";
import { MemoryCache } from "../model/memory-cache.js";

export interface TestServer {
  readonly server: Server;
  readonly socketPath: string;
  readonly stopRequests: { count: number };
  readonly connect: (deadlineMs?: number, options?: Partial<ConnectOptions>) => Promise<CacheClient>;
  /** Closes the server and removes the directory. */
  readonly done: () => Promise<void>;
}

/** Long enough for a machine that is busy with other tests. */
export const PATIENT_MS = 10_000;

export async function startTestServer(
  options: {
    readonly cache?: BlockCache;
    readonly direct?: DirectSource;
    readonly limits?: Partial<ServerLimits>;
    readonly config?: ConfigService;
  } = {},
): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), "tagcache-daemon-"));
  const socketPath = join(directory, "sock");
  const stopRequests = { count: 0 };
  const server = await startServer({
    cache: options.cache ?? new MemoryCache(),
    socketPath,
    log: silentLogger,
    version: "1.2.3",
    onStopRequest: () => {
      stopRequests.count += 1;
    },
    ...(options.direct !== undefined && { direct: options.direct }),
    ...(options.limits !== undefined && { limits: options.limits }),
    ...(options.config !== undefined && { config: options.config }),
  });
  return {
    server,
    socketPath,
    stopRequests,
    connect: (deadlineMs = PATIENT_MS, more = {}) => connect({ socketPath, deadlineMs, ...more }),
    done: async () => {
      await server.close({ drainMs: 200 });
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Runs `body` with a server that is closed whatever happens. */
export async function withServer(
  options: Parameters<typeof startTestServer>[0],
  body: (server: TestServer) => Promise<void>,
): Promise<void> {
  const server = await startTestServer(options);
  try {
    await body(server);
  } finally {
    await server.done();
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Waits until `condition` holds; the test fails after `ms`. */
export async function until(condition: () => boolean | Promise<boolean>, ms = PATIENT_MS): Promise<void> {
  const startMs = performance.now();
  while (!(await condition())) {
    if (performance.now() - startMs > ms) throw new Error(`Waited ${ms} ms for: ${condition.toString()}`);
    await sleep(5);
  }
}
