/** A stop in the middle of everything: in time, clean, durable in the right order, and with all that was stored. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { type BlockCache, SLOT_BYTES, openCache } from "../../engine/cache.js";
import { readCheckpoint } from "../../engine/coherency/checkpoint.js";
import { type SlotIo, nodeIo } from "../../engine/slots/io.js";
import { STATE } from "../../engine/slots/slot-table.js";
import { isCacheError } from "../../index/core/errors.js";
import { program } from "./children.js";
import {
  SMALL,
  type Stored,
  contentOf,
  expectHits,
  expectInOrder,
  putSome,
  seededRandom,
  withCache,
  withDirectory,
} from "./support.js";

const cleanStop = suite("clean stop");
const WRITERS = 8;
const BLOCKS_A_WRITER = 300;
const LOAD_MS = 700;
const STOP_MS_MAX = 10_000;
/** Room for every block of every writer, so that nothing is culled. */
const LARGE = { capacityBytes: 1024 ** 3, slotsMax: 8192 } as const;

/** Writes and overwrites until the cache is closed; what was answered `stored` last is what must be there. */
async function write(cache: BlockCache, writer: number): Promise<Stored[]> {
  const stored = new Map<number, Stored>();
  for (let step = 0; ; step += 1) {
    const tag = { fs: "f", volume: "v", inode: `writer ${writer}`, block: (step * 7) % BLOCKS_A_WRITER };
    const lengthBytes = SLOT_BYTES - (step % 3) * 1000;
    try {
      const answer = await cache.put(tag, contentOf(tag, step, lengthBytes));
      if (answer.kind === "stored") stored.set(tag.block, { tag, version: step, lengthBytes });
    } catch (error) {
      if (isCacheError(error, "E_CLOSED")) return [...stored.values()];
      throw error;
    }
  }
}

cleanStop("stops in time under eight writers, and has every block that was answered as stored", async () => {
  await withDirectory(async (directory) => {
    const cache = await openCache({ directory, ...LARGE });
    const writers = Array.from({ length: WRITERS }, (_, writer) => write(cache, writer));
    await sleep(LOAD_MS);
    const beganMs = performance.now();
    await cache.close();
    const stopMs = performance.now() - beganMs;
    assert.ok(stopMs < STOP_MS_MAX, `the stop took ${stopMs} ms`);
    const stored = (await Promise.all(writers)).flat();
    assert.ok(stored.length >= WRITERS);
    await withCache({ directory, ...LARGE }, async (again) => {
      assert.equal((await again.status()).start.kind, "clean");
      await expectHits(again, stored);
    });
    await expectInOrder(directory);
  });
});

interface Call {
  readonly what: "write" | "sync";
  readonly slot: number;
  readonly beganMs: number;
  readonly endedMs: number;
}

/** The real file calls, noted by slot with the times between which they ran. */
function recordingIo(calls: Call[], around: (what: Call["what"]) => Promise<void> | void = () => {}): SlotIo {
  const slots = new Map<number, number>();
  const noted = async <T>(what: Call["what"], fd: number, body: () => Promise<T>): Promise<T> => {
    const beganMs = performance.now();
    await around(what);
    const result = await body();
    calls.push({ what, slot: slots.get(fd) ?? -1, beganMs, endedMs: performance.now() });
    return result;
  };
  const named = (path: string, fd: number): number => {
    slots.set(fd, Number(path.slice(path.lastIndexOf("/") + 1)));
    return fd;
  };
  return {
    ...nodeIo,
    openSync: (path, flags) => named(path, nodeIo.openSync(path, flags)),
    open: async (path, flags) => named(path, await nodeIo.open(path, flags)),
    write: (...args) => noted("write", args[0], () => nodeIo.write(...args)),
    fdatasync: (fd) => noted("sync", fd, () => nodeIo.fdatasync(fd)),
  };
}

function digestOf(file: string): string {
  return createHash("sha256").update(readFileSync(file)).digest("hex");
}

cleanStop(
  "has synced every slot after its last write before checkpoint and mark are written, in this order",
  async () => {
    await withDirectory(async (directory) => {
      const calls: Call[] = [];
      const checkpointFile = join(directory, "checkpoint");
      const ledgerFile = join(directory, "ledger", "data.mdb");
      let opened = "";
      const early: string[] = [];
      const look = (what: Call["what"]) => {
        if (what === "sync" && existsSync(checkpointFile)) early.push("checkpoint");
        if (what === "sync" && digestOf(ledgerFile) !== opened) early.push("mark");
      };
      const cache = await openCache({ directory, ...SMALL, io: recordingIo(calls, look) });
      opened = digestOf(ledgerFile);
      const random = seededRandom(7);
      for (let round = 0; round < 4; round += 1) {
        await putSome(cache, random, { fs: "f", count: 60 });
        await sleep(round === 1 ? 1500 : 20); // once so long that the background has synced something
      }
      await cache.close();
      assert.deepEqual(early, []);
      const checkpoint = readCheckpoint(checkpointFile);
      assert.ok(typeof checkpoint !== "string");
      const used = [...checkpoint.slots.states.entries()].filter(([, state]) => state === STATE.used);
      assert.ok(used.length > 30);
      for (const [slot] of used) {
        const of = (what: Call["what"]) => calls.filter((call) => call.slot === slot && call.what === what);
        const written = Math.max(...of("write").map(({ endedMs }) => endedMs));
        const synced = Math.max(...of("sync").map(({ beganMs }) => beganMs));
        assert.ok(synced >= written, `slot ${slot} was written after its last sync`);
      }
      const mtimeNs = (file: string) => statSync(file, { bigint: true }).mtimeNs;
      assert.notEqual(digestOf(ledgerFile), opened);
      assert.ok(mtimeNs(ledgerFile) >= mtimeNs(checkpointFile), "the mark was written before the checkpoint");
      const indexFile = join(directory, "index", String(checkpoint.epoch), "data.mdb");
      assert.ok(mtimeNs(checkpointFile) >= mtimeNs(indexFile), "the index was written after the checkpoint");
    });
  },
);

cleanStop("waits for a slow sync, and neither checkpoint nor mark is written meanwhile", async () => {
  await withDirectory(async (directory) => {
    const ledgerFile = join(directory, "ledger", "data.mdb");
    let release = () => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const io = recordingIo([], (what) => (what === "sync" ? held : undefined));
    const cache = await openCache({ directory, ...SMALL, io });
    const opened = digestOf(ledgerFile);
    await putSome(cache, seededRandom(3), { fs: "f", count: 10 });
    let ended = false;
    const closing = cache.close().then(() => {
      ended = true;
    });
    await sleep(150);
    assert.equal(ended, false);
    assert.equal(existsSync(join(directory, "checkpoint")), false);
    assert.equal(digestOf(ledgerFile), opened);
    release();
    await closing;
    await expectInOrder(directory);
  });
});

cleanStop("is not clean after a sync that failed, be it the last one or one long before", async () => {
  for (const waitMs of [0, 1600]) {
    await withDirectory(async (directory) => {
      let failing = true;
      const io = recordingIo([], (what) => {
        if (what === "sync" && failing) {
          failing = false;
          throw Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" });
        }
      });
      const cache = await openCache({ directory, ...SMALL, io });
      await putSome(cache, seededRandom(4), { fs: "f", count: 10 });
      await sleep(waitMs);
      await assert.rejects(cache.close(), (error) => isCacheError(error, "E_IO"));
      await withCache({ directory, ...SMALL }, async (again) => {
        const { kind, action } = (await again.status()).start;
        assert.deepEqual([kind, action], ["unclean", "wipe"]);
      });
      await expectInOrder(directory);
    });
  }
});

cleanStop(
  "is clean when it comes in the middle of a wipe, of another wipe, and of everything else",
  async () => {
    for (let round = 0; round < 12; round += 1) {
      await withDirectory(async (directory) => {
        const random = seededRandom(round);
        const cache = await openCache({ directory, ...SMALL });
        const before = await putSome(cache, random, { fs: "before", count: 20 });
        const { epoch } = await cache.status();
        const settled = Promise.allSettled([
          cache.wipe(),
          cache.wipe(),
          putSome(cache, random, { fs: "during", count: 20 }),
          ...before.slice(0, 5).map(({ tag }) => cache.remove(tag)),
        ]);
        const delayMs = [undefined, 0, 1, 3, 6, 12][round % 6];
        if (delayMs !== undefined) await sleep(delayMs);
        await cache.close();
        await settled;
        await expectInOrder(directory);
        await withCache({ directory, ...SMALL }, async (again) => {
          const status = await again.status();
          assert.deepEqual([status.start.kind, status.start.action], ["clean", "none"]);
          assert.ok(status.epoch >= epoch);
          const after = await putSome(again, random, { fs: "after", count: 5 });
          await expectHits(again, after);
        });
      });
    }
  },
);

cleanStop("wipes twice when it is asked twice at once, and goes on", async () => {
  await withDirectory(async (directory) => {
    const stored = await withCache({ directory, ...SMALL }, async (cache) => {
      const before = await putSome(cache, seededRandom(1), { fs: "before", count: 20 });
      const { epoch } = await cache.status();
      await Promise.all([cache.wipe(), cache.wipe(), cache.wipe()]);
      assert.ok((await cache.status()).epoch > epoch);
      for (const { tag } of before) assert.equal((await cache.get(tag)).kind, "miss");
      return putSome(cache, seededRandom(2), { fs: "after", count: 20 });
    });
    assert.equal(stored.length, 20);
    await expectInOrder(directory);
    await withCache({ directory, ...SMALL }, (cache) => expectHits(cache, stored));
  });
});

cleanStop("a process that has nothing else to do ends after the stop, not in the middle of it", async () => {
  await withDirectory(async (directory) => {
    const { script, flags } = program("./stopper");
    for (const turns of ["1", "2", "3", "4", "6", "8"]) {
      const run = spawnSync(process.execPath, [...flags, script, directory, turns], { encoding: "utf8" });
      assert.equal(run.stdout, "closed\n", run.stderr);
    }
    const cache = await openCache({ directory, ...LARGE });
    try {
      assert.equal((await cache.status()).start.kind, "clean");
    } finally {
      await cache.close();
    }
  });
});

cleanStop.run();
