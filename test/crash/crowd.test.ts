/** More writers than a small cache has room for, each a process of its own. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { roundsOf } from "../support/effort.js";
import { slotFiles } from "../support/temp-cache.js";
import { Child } from "./children.js";
import { withDaemons } from "./daemons.js";
import { expectInOrder, withDirectory } from "./support.js";

const crowd = suite("a crowd of writers");
const WRITERS = 8;
const PUTS = roundsOf(125);
const SLOTS = 64;
const CAPACITY_BYTES = 12 * 1024 * 1024;
/** Of ext4: one block for the list of a file's pieces. */
const FILE_SYSTEM_BYTES = 4096;

crowd(`${WRITERS} processes never exceed, deadlock or starve in a cache of ${SLOTS} slots`, async () => {
  await withDirectory(async (directory) => {
    await withDaemons(async (start) => {
      const daemon = start(directory, ["--capacity", `${CAPACITY_BYTES}`, "--slots", `${SLOTS}`]);
      const watcher = await daemon.connect(10_000);
      const args = (number: number) => [daemon.socketPath, `${number}`, `${PUTS}`];
      const writers = Array.from({ length: WRITERS }, (_, number) => new Child("./writer", args(number)));
      try {
        await Promise.all(writers.map((writer) => writer.says("ready")));
        for (const writer of writers) writer.tell("go");
        const done = Promise.all(writers.map((writer) => writer.says("done")));
        let ended = false;
        void done.finally(() => (ended = true)).catch(() => undefined); // awaited below
        for (let samples = 0; !ended || samples === 0; samples += 1) {
          const { usedBytes, indexBytes, slots } = await watcher.status();
          assert.ok(usedBytes + indexBytes <= CAPACITY_BYTES, `${usedBytes} + ${indexBytes}`);
          assert.ok(slots.total <= SLOTS, `${slots.total} slots`);
          const files = [...slotFiles(directory).values()];
          assert.ok(files.length <= SLOTS, `${files.length} files`);
          const allocated = files.reduce((sum, file) => sum + fs.lstatSync(file).blocks * 512, 0);
          assert.ok(allocated <= CAPACITY_BYTES + SLOTS * FILE_SYSTEM_BYTES, `${allocated} allocated`);
        }
        for (const { stored, wrong, hits, bypassed, slowestMs } of (await done) as unknown as Counts[]) {
          assert.equal(wrong, 0);
          assert.ok(hits > 0);
          // Nobody is told to do without while others are served, and nobody waits long.
          assert.equal(stored, PUTS, `bypassed: ${JSON.stringify(bypassed)}`);
          assert.ok(slowestMs < 2000, `${slowestMs} ms`);
        }
        await watcher.close();
        assert.equal(await daemon.end("SIGTERM"), 0);
      } finally {
        await Promise.all(writers.map((writer) => writer.kill()));
      }
    });
    await expectInOrder(directory);
  });
});

interface Counts {
  readonly stored: number;
  readonly wrong: number;
  readonly hits: number;
  readonly bypassed: Record<string, number>;
  readonly slowestMs: number;
}

crowd.run();
