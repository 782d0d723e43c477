import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { appendFileSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { suite } from "uvu";
import type { ReadOptions } from "../../engine/origin/read.js";
import { readThrough } from "../../engine/origin/read.js";
import type { OriginSession } from "../../engine/origin/session.js";
import { checkFile, warmFile } from "../../engine/origin/warm.js";
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { withTree } from "./with-tree.js";

const test = suite("files through the cache");
const now = () => BigInt(Date.now()) * 1_000_000n;

/** deepEqual would print every byte. */
function assertSame(found: Buffer, wanted: Buffer, message = "bytes differ"): void {
  assert.equal(found.length, wanted.length);
  assert.ok(found.equals(wanted), message);
}

async function read(session: OriginSession, path: Buffer, options: ReadOptions = {}, onChunk = () => {}) {
  const file = await session.origin.open(path);
  assert.ok(file.kind === "file");
  const chunks: Buffer[] = [];
  const report = await readThrough(
    session,
    file,
    (bytes) => {
      chunks.push(bytes);
      onChunk();
    },
    options,
  );
  await file.close();
  return { report, bytes: Buffer.concat(chunks) };
}

test("warming stores every block once; again it is already there", async () => {
  await withTree(async ({ path, session, cache }) => {
    const sizes = [1, 4096, SLOT_BYTES, SLOT_BYTES + 1, 5 * SLOT_BYTES, 9 * SLOT_BYTES + 17];
    for (const size of sizes) writeFileSync(path(`f${size}`), randomBytes(size));
    for (const size of sizes) {
      const first = await warmFile(session, path(`f${size}`));
      assert.equal(first.outcome, "stored", `${size}`);
      assert.equal(first.storedBytes, size);
      assert.equal(first.storedBlocks, Math.ceil(size / SLOT_BYTES));
      const calls = cache.calls.length;
      const second = await warmFile(session, path(`f${size}`));
      assert.equal(second.outcome, "present");
      assert.equal(second.readBytes, 0);
      assert.ok(!cache.calls.slice(calls).includes("write"));
      assertSame((await read(session, path(`f${size}`))).bytes, readFileSync(path(`f${size}`)));
    }
  });
});

test("warming stores only the blocks that are missing", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("file"), randomBytes(6 * SLOT_BYTES));
    await warmFile(session, path("file"));
    const [content] = [...cache.files.values()];
    content?.blocks.delete(1);
    content?.blocks.delete(4);
    const result = await warmFile(session, path("file"));
    assert.equal(result.outcome, "stored");
    assert.equal(result.storedBlocks, 2);
    assert.equal(result.readBytes, 2 * SLOT_BYTES);
  });
});

test("an empty file needs no word to the cache", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("empty"), "");
    const warmed = await warmFile(session, path("empty"));
    assert.ok(warmed.outcome === "skipped" && warmed.reason === "empty");
    assert.equal((await checkFile(session, path("empty"))).outcome, "checked");
    assert.equal((await read(session, path("empty"))).bytes.length, 0);
    assert.deepEqual(cache.calls, []);
  });
});

test("reading fills the cache, and the second time needs no origin", async () => {
  await withTree(async ({ path, session }) => {
    const bytes = randomBytes(9 * SLOT_BYTES + 100);
    writeFileSync(path("file"), bytes);
    const first = await read(session, path("file"));
    assertSame(first.bytes, bytes);
    assert.equal(first.report.missBlocks, 10);
    assert.equal(first.report.storedBlocks, 10);
    const second = await read(session, path("file"));
    assertSame(second.bytes, bytes);
    assert.equal(second.report.hitBlocks, 10);
    assert.equal(second.report.missBlocks, 0);
  });
});

test("reading a range gives that range", async () => {
  await withTree(async ({ path, session }) => {
    const bytes = randomBytes(6 * SLOT_BYTES + 5);
    writeFileSync(path("file"), bytes);
    const range = { offsetBytes: BigInt(2 * SLOT_BYTES), lengthBytes: BigInt(3 * SLOT_BYTES) };
    for (const round of [1, 2]) {
      const part = await read(session, path("file"), range);
      assertSame(part.bytes, bytes.subarray(2 * SLOT_BYTES, 5 * SLOT_BYTES), `round ${round}`);
    }
    const tail = await read(session, path("file"), {
      offsetBytes: BigInt(6 * SLOT_BYTES),
      lengthBytes: 999_999n,
    });
    assertSame(tail.bytes, bytes.subarray(6 * SLOT_BYTES));
  });
});

test("another coherency gives the new bytes", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), "old content");
    await warmFile(session, path("file"));
    writeFileSync(path("file"), "new content");
    const { bytes, report } = await read(session, path("file"));
    assert.equal(bytes.toString(), "new content");
    assert.equal(report.hitBlocks, 0);
    assert.equal((await read(session, path("file"))).report.hitBlocks, 1);
  });
});

test("a file that changes while it is read is handed out as it becomes, and not stored", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), Buffer.alloc(12 * SLOT_BYTES, 1));
    let chunks = 0;
    const { bytes, report } = await read(session, path("file"), {}, () => {
      chunks += 1;
      if (chunks === 1) writeFileSync(path("file"), Buffer.alloc(13 * SLOT_BYTES, 2));
    });
    assert.equal(report.changed, true);
    assert.equal(bytes.length, 13 * SLOT_BYTES);
    assert.ok(bytes.subarray(4 * SLOT_BYTES).every((byte) => byte === 2));
    assert.equal(report.storedBlocks, 4, "what was read before the change belongs to the old coherency data");
    const again = await read(session, path("file"));
    assert.equal(again.report.hitBlocks, 0);
    assert.ok(again.bytes.every((byte) => byte === 2));
  });
});

test("cached content is not used once the file has changed under a reader", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), Buffer.alloc(12 * SLOT_BYTES, 1));
    await warmFile(session, path("file"));
    let chunks = 0;
    const { bytes } = await read(session, path("file"), {}, () => {
      chunks += 1;
      if (chunks === 1) writeFileSync(path("file"), Buffer.alloc(12 * SLOT_BYTES, 2));
    });
    assert.ok(bytes.subarray(4 * SLOT_BYTES).every((byte) => byte === 2));
  });
});

test("a file that shrinks ends where it ends", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), Buffer.alloc(12 * SLOT_BYTES, 1));
    let chunks = 0;
    const { bytes } = await read(session, path("file"), {}, () => {
      chunks += 1;
      if (chunks === 1) truncateSync(path("file"), 5 * SLOT_BYTES);
    });
    assert.equal(bytes.length, 5 * SLOT_BYTES);
  });
});

test("a file that changes while it is warmed is given up", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("file"), randomBytes(12 * SLOT_BYTES));
    const note = cache.note.bind(cache);
    cache.note = (call) => {
      if (call === "write") appendFileSync(path("file"), "!");
      note(call);
    };
    const result = await warmFile(session, path("file"));
    assert.ok(result.outcome === "skipped" && result.reason === "changed");
    cache.note = note;
    assert.equal((await read(session, path("file"))).report.hitBlocks, 0);
  });
});

test("racy content is handed out and not stored", async () => {
  await withTree(
    async ({ path, session, cache }) => {
      writeFileSync(path("file"), "fresh");
      const result = await warmFile(session, path("file"));
      assert.ok(result.outcome === "skipped" && result.reason === "racy");
      const { bytes, report } = await read(session, path("file"));
      assert.equal(bytes.toString(), "fresh");
      assert.equal(report.storedBlocks, 0);
      assert.equal(cache.files.size, 0, "no trace of it is left");
    },
    { nowNs: now },
  );
});

test("checking tells what is cached and leaves no trace", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("file"), randomBytes(3 * SLOT_BYTES));
    const before = await checkFile(session, path("file"));
    assert.ok(before.outcome === "checked" && before.cachedBlocks === 0 && before.blocks === 3);
    assert.equal(cache.files.size, 0);
    await warmFile(session, path("file"));
    [...cache.files.values()][0]?.blocks.delete(2);
    const after = await checkFile(session, path("file"));
    assert.ok(after.outcome === "checked" && after.cachedBlocks === 2);
    symlinkSync("file", path("link"));
    assert.equal((await checkFile(session, path("link"))).outcome, "skipped");
    assert.equal((await checkFile(session, path("none"))).outcome, "failed");
  });
});

test("a kernel file that says it is empty is read to its end, and not stored", async () => {
  await withTree(async ({ session, cache }) => {
    const { bytes } = await read(session, Buffer.from("/proc/version"));
    assert.match(bytes.toString(), /^Linux version/);
    assert.deepEqual(cache.calls, []);
    const result = await warmFile(session, Buffer.from("/proc/version"));
    assert.ok(result.outcome === "skipped" && result.reason === "memory-or-kernel");
  });
});

test("a cache that fails costs no byte", async () => {
  await withTree(async ({ path, session, cache }) => {
    const content = randomBytes(9 * SLOT_BYTES);
    writeFileSync(path("file"), content);
    let calls = 0;
    const note = cache.note.bind(cache);
    cache.note = (call) => {
      calls += 1;
      if (calls > 4) throw new CacheError("E_UNAVAILABLE", "No daemon answers");
      note(call);
    };
    const { bytes, report } = await read(session, path("file"));
    assertSame(bytes, content);
    assert.equal(report.error?.code, "E_UNAVAILABLE");
    const warmed = await warmFile(session, path("file"));
    assert.ok(warmed.outcome === "failed" && warmed.error.code === "E_UNAVAILABLE");
    cache.openCookies = 0;
  });
});

test("what the cache does not take is a failure of warming, not of reading", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("file"), "content");
    cache.bypass = "no-space";
    const warmed = await warmFile(session, path("file"));
    assert.ok(warmed.outcome === "failed");
    assert.match(warmed.error.message, /bypass, no-space$/);
    const { bytes, report } = await read(session, path("file"));
    assert.equal(bytes.toString(), "content");
    assert.equal(report.bypass, "no-space");
  });
});

test("a sink that fails ends the reading with its own error", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), "content");
    const file = await session.origin.open(path("file"));
    assert.ok(file.kind === "file");
    const failing = readThrough(session, file, () => Promise.reject(new CacheError("E_IO", "full")));
    await assert.rejects(failing, /full/);
    await file.close();
  });
});

test("a wipe in between costs no file", async () => {
  await withTree(async ({ path, session, cache }) => {
    writeFileSync(path("file"), "content");
    await warmFile(session, path("file"));
    await cache.wipe();
    assert.equal((await warmFile(session, path("file"))).outcome, "stored");
  });
});

test.run();
