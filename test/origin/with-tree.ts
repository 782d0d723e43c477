/** A directory for one test, with a session over a cache in memory and a clock that makes its files old enough. */
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OriginOptions } from "../../engine/origin/origin.js";
import { Origin } from "../../engine/origin/origin.js";
import { OriginSession } from "../../engine/origin/session.js";
import { MemoryCache } from "./memory-cache.js";

export interface TreeContext {
  readonly directory: string;
  readonly cache: MemoryCache;
  readonly session: OriginSession;
  readonly path: (name: string) => Buffer;
}

/** Wall clock, an hour ahead: whatever the test writes now is an hour old. */
export function inAnHour(): bigint {
  return BigInt(Date.now() + 3_600_000) * 1_000_000n;
}

/** Runs `body` in a fresh directory; checks that no cookie was left behind. */
export async function withTree(
  body: (context: TreeContext) => Promise<void>,
  options: OriginOptions = {},
): Promise<void> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "tagcache-origin-")));
  const cache = new MemoryCache();
  const session = new OriginSession(cache.cache, new Origin({ nowNs: inAnHour, ...options }));
  try {
    await body({ directory, cache, session, path: (name) => Buffer.from(join(directory, name)) });
    await session.close();
    if (cache.openCookies !== 0) throw new Error(`${cache.openCookies} cookies were not given up`);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
