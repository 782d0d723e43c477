/** A child that reads blocks of a cache under change and checks every byte, until told to stop. See stress.ts. */
import assert from "node:assert/strict";
import { setImmediate as turn, setTimeout as sleep } from "node:timers/promises";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { connect } from "../../engine/daemon/client.js";
import { randomOf } from "../support/temp-cache.js";
import { BLOCKS, Floors, checkVersion, tagOf } from "./versions.js";

const [socketPath = "", floorsPath = "", seed = "0", verify = "true"] = process.argv.slice(2);
const TELL_EVERY = 500;

let over = false;
process.on("message", () => (over = true));

async function run(): Promise<void> {
  const client = await connect({ socketPath, deadlineMs: 20_000, verify: verify === "true" });
  const floors = new Floors(floorsPath);
  const random = randomOf(Number(seed));
  const into = Buffer.alloc(SLOT_BYTES);
  let [hits, misses, bytes] = [0, 0, 0];
  process.send?.({ said: "ready" });
  // The latest version seen of a block: time does not run backwards for one reader either.
  const seen = new Float64Array(BLOCKS);
  for (let reads = 1; !over; reads += 1) {
    // Most often one of a few blocks, so that reads and changes meet.
    const number = Math.floor(random() * (random() < 0.25 ? BLOCKS : 12));
    const whole = random() < 0.15;
    const from = whole ? 0 : Math.floor(random() * 64) * 4096 + (random() < 0.3 ? 1024 : 0);
    const lengthBytes = whole ? SLOT_BYTES : Math.min(4096, SLOT_BYTES - from);
    const floor = Math.max(floors.of(number), seen[number] as number);
    const got = await client.get(tagOf(number), { offsetBytes: from, lengthBytes, into });
    if (got.kind === "hit") {
      hits += 1;
      bytes += got.bytes.length;
      const version = checkVersion(got.bytes, { number, from, lengthBytes, floor });
      if (version !== undefined) seen[number] = version;
    } else {
      misses += 1;
      await sleep(1); // what is missing comes back in a moment
      assert.ok(got.kind === "miss" || ["closing", "stale"].includes(got.reason), JSON.stringify(got));
    }
    if (reads % TELL_EVERY === 0) {
      process.send?.({ said: "progress", hits, misses, bytes });
      await turn();
    }
  }
  await client.close();
  floors.close();
  process.send?.({ said: "done", hits, misses, bytes });
  process.disconnect();
}

run().catch((error: unknown) => {
  process.send?.({
    said: "failed",
    error: `verify ${verify}: ${error instanceof Error ? error.stack : String(error)}`,
  });
});
