/** The same suite over the real engine: in this process, behind the daemon, and with a client that reads slot files itself. */
import "../support/in-memory.js";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { openCache } from "../../engine/cache.js";
import type { OpenCacheOptions } from "../../engine/cache.js";
import { startTestServer } from "../daemon/with-server.js";
import { conformance } from "./conformance.js";

const CAPACITY_BYTES = 256 * 1024 * 1024;

async function openHere(options: Partial<OpenCacheOptions> = {}) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tagcache-conformance-"));
  const cache = await openCache({ directory, capacityBytes: CAPACITY_BYTES, ...options });
  const done = async (): Promise<void> => {
    await cache.close();
    fs.rmSync(directory, { recursive: true, force: true });
  };
  return { cache, done };
}

conformance("the library", openHere);

conformance("the daemon's client over the engine", async () => {
  const engine = await openHere();
  const { connect, done } = await startTestServer({ cache: engine.cache });
  return {
    cache: await connect(),
    done: async () => {
      await done();
      await engine.done();
    },
  };
});

let directHits = 0;

conformance("a client that reads slot files itself", async () => {
  const engine = await openHere({ publish: true });
  const { direct } = engine.cache;
  assert.ok(direct !== undefined);
  while (direct.publication === undefined) await new Promise((resolve) => setImmediate(resolve));
  const { connect, done } = await startTestServer({ cache: engine.cache, direct });
  return {
    cache: await connect(),
    done: async () => {
      directHits += (await engine.cache.status()).counters.directHits;
      await done();
      await engine.done();
    },
  };
});

const last = suite("direct reads in all of this");
last("were made", () => assert.ok(directHits > 20, `${directHits} direct hits`));
last.run();
