/** The same suite over the real engine, in this process and behind the daemon. */
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { openCache } from "../../engine/cache.js";
import { startTestServer } from "../daemon/with-server.js";
import { conformance } from "./conformance.js";

const CAPACITY_BYTES = 256 * 1024 * 1024;

async function openHere() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "tagcache-conformance-"));
  const cache = await openCache({ directory, capacityBytes: CAPACITY_BYTES });
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
