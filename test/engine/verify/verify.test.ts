/** Owners that die, and the next ones, which keep everything and use what passes its checks. */
import "../../support/in-memory.js";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import { BlockIndex } from "../../../index/block-index.js";
import { readSignature } from "../../../engine/coherency/signature.js";
import type { OwnedCache } from "../../../engine/cache.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  slotFiles,
  store,
  tagOf,
  until,
  withPlace,
} from "../../support/temp-cache.js";
import type { Deed } from "./dying-owner.js";

const verify = suite("verify after an unclean end");
const VERIFY = { onUnclean: "verify" } as const;
const BYTES = 100_000;

function die(directory: string, deeds: readonly Deed[], onUnclean = "verify") {
  const source = import.meta.filename.endsWith(".ts");
  const script = fileURLToPath(new URL(`dying-owner${source ? ".ts" : ".js"}`, import.meta.url));
  const run = spawnSync(
    process.execPath,
    [...(source ? ["--import", "tsx"] : []), script, directory, onUnclean, JSON.stringify(deeds)],
    { encoding: "utf8" },
  );
  assert.equal(run.signal, "SIGKILL", run.stderr);
  return JSON.parse(run.stdout) as { action: string; reason?: string; epoch: number };
}

const puts = (count: number, seed = 0): Deed[] =>
  Array.from({ length: count }, (_, block) => ({ put: block, seed: seed + block, bytes: BYTES }));

/** The last commits may not have been flushed yet: what the next owner has is right, and all but the last is there. */
async function opened(
  directory: string,
  body: (cache: OwnedCache) => Promise<void>,
  options = {},
): Promise<void> {
  const cache = await openAt(directory, { ...VERIFY, ...options });
  try {
    await body(cache);
  } finally {
    await cache.close();
  }
  await expectSound(directory);
}

verify("keeps what was stored, in a new epoch, and tells what nobody has checked", async () => {
  await withPlace(async (directory) => {
    // What is removed is flushed, and all that came before with it.
    const { epoch } = die(directory, [...puts(20), { put: 20, seed: 0, bytes: 10 }, { remove: 20 }]);
    await opened(directory, async (cache) => {
      const { start, epoch: next, trust } = await cache.status();
      assert.deepEqual([start.kind, start.action, start.reason], ["unclean", "verify", undefined]);
      assert.equal(next, epoch + 1);
      assert.equal(trust.onUnclean, "verify");
      for (let block = 0; block < 20; block += 1)
        expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
      assert.equal((await cache.get(tagOf(20))).kind, "miss");
      await until(async () => !(await cache.status()).trust.surveying);
      const { slots, trust: then, corrupt } = await cache.status();
      assert.deepEqual([slots.used, slots.unknown, then.uncheckedBlocks, corrupt], [20, 0, 0, 0]);
    });
  });
});

verify("scrubs what nobody has asked for, and drops what is not what was stored", async () => {
  await withPlace(async (directory) => {
    die(directory, [...puts(8), { put: 8, seed: 0, bytes: 10 }, { remove: 8 }]);
    fs.writeFileSync(slotFiles(directory).get(2) as string, bytesOf(99, BYTES));
    fs.truncateSync(slotFiles(directory).get(5) as string, 10);
    await opened(directory, async (cache) => {
      await until(async () => (await cache.status()).trust.scrub.blocks === 8);
      const { trust, corrupt, slots } = await cache.status();
      assert.deepEqual([trust.uncheckedBlocks, trust.scrub.corrupt, corrupt], [0, 2, 2]);
      await until(async () => (await cache.status()).slots.used === 6);
      assert.equal(slots.unknown, 0);
      const answers = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map((block) => cache.get(tagOf(block))));
      assert.deepEqual(
        answers.map(({ kind }) => kind),
        ["hit", "hit", "miss", "hit", "hit", "miss", "hit", "hit"],
      );
    });
  });
});

verify("slots that came back empty, torn, missing, or with an older tenant's bytes are misses", async () => {
  await withPlace(async (directory) => {
    die(directory, [...puts(6), { put: 6, seed: 0, bytes: 10 }, { remove: 6 }]);
    const file = (slot: number) => slotFiles(directory).get(slot) as string;
    fs.truncateSync(file(0), 0);
    fs.truncateSync(file(1), BYTES / 2);
    fs.copyFileSync(file(3), file(2));
    fs.rmSync(file(4));
    await opened(directory, async (cache) => {
      for (const block of [0, 1, 2]) assert.deepEqual(await cache.get(tagOf(block)), { kind: "miss" });
      assert.notEqual((await cache.get(tagOf(4))).kind, "hit");
      await until(async () => !(await cache.status()).trust.surveying);
      // What is missing is no fault of a slot: the slot is free, and its block counted as one that fails its checksum.
      const { corrupt, slots } = await cache.status();
      assert.deepEqual([corrupt, slots.quarantined, slots.used], [4, 0, 2], JSON.stringify(slots));
      for (const block of [3, 5]) expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
      for (let block = 0; block < 6; block += 1) await store(cache, tagOf(block), bytesOf(50 + block, BYTES));
      for (let block = 0; block < 6; block += 1) {
        expectHit(await cache.get(tagOf(block)), bytesOf(50 + block, BYTES));
      }
      await until(async () => (await cache.status()).slots.unknown === 0);
    });
  });
});

verify("what was overwritten, removed or invalidated does not come back", async () => {
  await withPlace(async (directory) => {
    die(directory, [...puts(4), ...puts(2, 100), { remove: 3 }]);
    die(directory, [{ put: 5, seed: 5, bytes: BYTES }, { cull: 0 }, ...puts(1, 200)]);
    await opened(directory, async (cache) => {
      // Block 0 was culled and stored again: what was told to be stored replaced what was there.
      const first = await cache.get(tagOf(0));
      if (first.kind === "hit") assert.ok(first.bytes.equals(bytesOf(200, BYTES)));
      assert.equal((await cache.get(tagOf(3))).kind, "miss");
      const second = await cache.get(tagOf(1));
      if (second.kind === "hit") assert.ok(second.bytes.equals(bytesOf(101, BYTES)));
    });
    die(directory, [...puts(4), { invalidate: true }]);
    await opened(directory, async (cache) => {
      for (let block = 0; block < 6; block += 1) assert.equal((await cache.get(tagOf(block))).kind, "miss");
    });
  });
});

verify("is refused for an index that was not written for it, for the whole session", async () => {
  await withPlace(async (directory) => {
    die(directory, puts(2), "wipe");
    const first = die(directory, puts(2));
    assert.equal(first.action, "wipe");
    assert.match(first.reason ?? "", /not written to be verified/);
    assert.equal(die(directory, []).action, "verify");
    assert.equal(die(directory, puts(2), "wipe").action, "wipe");
    assert.equal(die(directory, []).action, "wipe");
    assert.equal(die(directory, []).action, "verify");
  });
});

verify("goes on from a clean stop in either way, and keeps all", async () => {
  await withPlace(async (directory) => {
    const wiping = await openAt(directory);
    await store(wiping, tagOf(0), bytesOf(0, BYTES));
    await wiping.close();
    assert.equal(
      die(directory, [{ put: 1, seed: 1, bytes: BYTES }, { remove: 9 }, ...puts(1)]).action,
      "none",
    );
    await opened(directory, async (cache) => {
      assert.equal((await cache.status()).start.action, "verify");
      expectHit(await cache.get(tagOf(0)), bytesOf(0, BYTES));
    });
    const again = await openAt(directory);
    assert.equal((await again.status()).start.kind, "clean");
    expectHit(await again.get(tagOf(0)), bytesOf(0, BYTES));
    await again.close();
  });
});

verify(
  "numbers are never given twice, and of two entries of one slot the newer one wins if it is there",
  async () => {
    await withPlace(async (directory) => {
      const { epoch } = die(directory, [...puts(4), { put: 9, seed: 0, bytes: 10 }, { remove: 9 }]);
      const { cacheId } = readSignature(directory) as { cacheId: Buffer };
      const place = path.join(directory, "index", String(epoch));
      const index = BlockIndex.open({
        directory: place,
        mapBytes: 2 ** 26,
        cacheId,
        epoch,
        create: false,
        regime: "recoverable",
      });
      const entries = [...index.entries()];
      const most = Math.max(...entries.map(({ entry }) => entry.sequence));
      const [first, second, third, fourth] = entries.map(({ entry }) => entry);
      assert.ok(first && second && third && fourth);
      index.putEntry(1, 1, { ...second, slot: first.slot }); // newer, and its bytes are not there
      index.putEntry(1, 2, { ...third, slot: fourth.slot }); // older, and its bytes are not there
      await index.sync();
      await index.close();
      await opened(directory, async (cache) => {
        await until(async () => !(await cache.status()).trust.surveying);
        for (const block of [0, 3]) expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
        for (const block of [1, 2]) assert.equal((await cache.get(tagOf(block))).kind, "miss");
        await store(cache, tagOf(5), bytesOf(5, BYTES));
        const { entry } = await cache.explain(tagOf(5));
        assert.ok(entry && entry.sequence > most && entry.epoch === epoch + 1);
      });
    });
  },
);

verify("a writer into a full cache need not wait for the end of the survey", async () => {
  await withPlace(async (directory) => {
    die(directory, [...puts(300), { remove: 0 }]);
    await opened(directory, async (cache) => {
      for (let block = 0; block < 20; block += 1) {
        await store(cache, tagOf(1000 + block), bytesOf(block, BYTES));
        expectHit(await cache.get(tagOf(1000 + block)), bytesOf(block, BYTES));
      }
    });
  });
});

verify(
  "a survey that a clean stop cuts short goes on with the next owner, as one that a wipe ends does not",
  async () => {
    await withPlace(async (directory) => {
      die(directory, [...puts(30), { put: 40, seed: 0, bytes: 10 }, { remove: 40 }]);
      await opened(directory, async () => undefined);
      await opened(directory, async (cache) => {
        assert.equal((await cache.status()).start.kind, "clean");
        for (let block = 0; block < 30; block += 1)
          expectHit(await cache.get(tagOf(block)), bytesOf(block, BYTES));
      });
      die(directory, [...puts(30, 100), { remove: 40 }]);
      await opened(directory, async (cache) => {
        await cache.wipe();
        assert.equal((await cache.status()).trust.surveying, false);
        await store(cache, tagOf(0), bytesOf(1, BYTES));
        expectHit(await cache.get(tagOf(0)), bytesOf(1, BYTES));
        assert.equal((await cache.get(tagOf(1))).kind, "miss");
      });
    });
  },
);

verify("a damaged index is found before it is mapped, wiped with one line, and its owner lives", async () => {
  await withPlace(async (directory) => {
    const { epoch } = die(directory, [...puts(30), { remove: 0 }]);
    const data = path.join(directory, "index", String(epoch), "data.mdb");
    const bytes = fs.readFileSync(data);
    for (let at = 2 * 4096; at < bytes.length; at += 4096) bytes.writeUInt16LE(0xffff, at + 18); // page flags
    fs.writeFileSync(data, bytes);
    const lines: string[] = [];
    await opened(
      directory,
      async (cache) => {
        const { start } = await cache.status();
        assert.deepEqual([start.kind, start.action], ["unclean", "wipe"]);
        assert.match(start.reason ?? "", /its pages are damaged: it has page \d+ with flags 65535$/);
      },
      { log: (level: string, message: string) => level !== "debug" && lines.push(message) },
    );
    assert.equal(lines.filter((line) => /damaged/.test(line)).length, 1);
  });
});

verify.run();
