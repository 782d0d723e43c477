/** A daemon, a process that takes all it can get, and one that behaves: that one is served in time whatever the other does. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { Child } from "../crash/children.js";
import { withDaemons } from "../crash/daemons.js";
import { roundsOf } from "../support/effort.js";
import { MIB, bytesOf, expectSound, tagOf, withPlace } from "../support/temp-cache.js";

const hostile = suite("a hostile process beside a good one");

/** No call of the good one may take longer; some ten times what was seen on a busy machine. */
const NOTICED_MS = 2500;
const WAY_MS = 100 * roundsOf(1);
const LIMITS = ["--connections", "300", "--request-memory", "64MiB"];
/**
 * Over what a daemon has at rest: 64 MiB in flight, a block and a header of each of 300 connections (122 MiB), 131,072 handles
 * (some 100 MiB), and what the collector has not come to.
 */
const GROWTH_MAX = 400 * MIB;
const BLOCK = bytesOf(7, SLOT_BYTES);

function residentBytes(pid: number): number {
  const kib = /^RssAnon:\s+([0-9]+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))?.[1];
  return Number(kib) * 1024;
}

/** Reads and writes for a while. @returns the longest that a call took, in milliseconds. */
async function behave(client: CacheClient, ms: number): Promise<number> {
  let longestMs = 0;
  const endMs = performance.now() + ms;
  for (let round = 0; performance.now() < endMs; round += 1) {
    const tag = tagOf(round % 8, "good", "good");
    const beganMs = performance.now();
    const { kind } = await client.put(tag, BLOCK);
    const found = await client.get(tag);
    longestMs = Math.max(longestMs, performance.now() - beganMs);
    assert.equal(kind, "stored");
    // Others may fill the cache between the two calls.
    if (found.kind === "hit") assert.ok(found.bytes.equals(BLOCK));
    else assert.equal(found.kind, "miss");
  }
  return longestMs;
}

hostile("is not noticed by it, and takes no more than its share of memory", () =>
  withPlace((directory) =>
    withDaemons(async (start) => {
      const daemon = start(directory, ["--capacity", "64MiB", "--log-level", "error", ...LIMITS]);
      const client = await daemon.connect(20_000);
      const child = new Child("../daemon/hostile-child", [daemon.socketPath]);
      try {
        await behave(client, 50);
        const restBytes = residentBytes(daemon.pid);
        let mostBytes = restBytes;
        for (const way of (await child.says("ready"))["ways"] as string[]) {
          child.tell({ way });
          await child.says(`at ${way}`);
          const longestMs = await behave(client, WAY_MS);
          assert.ok(longestMs < NOTICED_MS, `${way}: ${Math.round(longestMs)} ms`);
          mostBytes = Math.max(mostBytes, residentBytes(daemon.pid));
          child.tell({ stop: way });
          await child.says(`stopped ${way}`);
        }
        assert.ok(
          mostBytes - restBytes < GROWTH_MAX,
          `grew by ${Math.round((mostBytes - restBytes) / MIB)} MiB`,
        );
        assert.ok((await behave(client, 50)) < NOTICED_MS);
      } finally {
        await child.kill();
        await client.close();
      }
      assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
      assert.deepEqual(daemon.lines, []);
      await expectSound(directory);
    }),
  ),
);

hostile.run();
