/** What handles and names leave in memory: nothing once they are given up, and no more than themselves before. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { CookieHandle, VolumeHandle } from "../../engine/api.js";
import { keptBytes } from "../../index/core/names.js";
import { pause, withCache } from "../support/temp-cache.js";
import { usedBytes } from "../support/used-bytes.js";

const memory = suite("memory of handles");
const ROUNDS = 60;
const HANDLES = 30;
const WARM = 20;
/** The least of so many tells what stays. */
const SAMPLES = 10;
/** 80 KiB for each wipe would be 2.4 MB, 8 KiB for each handle 15 MB. */
const GROWTH_BYTES_MAX = 1.5 * 1024 * 1024;

memory("handles that are given up after a wipe leave nothing", async () => {
  await withCache({}, async (cache) => {
    const round = async (number: number): Promise<void> => {
      const held: Array<VolumeHandle | CookieHandle> = [];
      for (let handle = 0; handle < HANDLES; handle += 1) {
        // As a daemon gets them: among other bytes that come and go.
        const [name, coherency] = [Buffer.from(`volume ${number} ${handle}`), Buffer.from("version")];
        const volume = await cache.acquireVolume("test", name, { coherency });
        held.push(await volume.acquireCookie(`file ${handle}`, { coherency }), volume);
      }
      await cache.wipe();
      for (const handle of held) await handle.relinquish();
    };
    const used: number[] = [];
    for (let number = 0; number < ROUNDS; number += 1) {
      await round(number);
      await pause(10); // buffers are given back in turns of their own
      used.push(usedBytes());
    }
    const least = (from: number): number => Math.min(...used.slice(from, from + SAMPLES));
    const growth = least(ROUNDS - SAMPLES) - least(WARM);
    assert.ok(growth < GROWTH_BYTES_MAX, `memory grew by ${growth} bytes`);
  });
});

memory("a name that is kept has memory of its own", () => {
  const name = Buffer.from("a name");
  const kept = keptBytes(name);
  assert.deepEqual(kept, name);
  assert.equal(kept.buffer.byteLength, name.length);
  name.fill(0);
  assert.equal(kept.toString(), "a name");
});

memory.run();
