/** Calls on one block take effect in the order they were made, however long each one's write takes. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { Tag } from "../../engine/api.js";
import { FaultyIo } from "../support/faulty-io.js";
import { withCache } from "../support/temp-cache.js";

const test = suite("order");
const tag: Tag = { fs: "test", volume: "volume", inode: "file", block: 0 };
const older = Buffer.alloc(4096, 1);
const newer = Buffer.alloc(4096, 2);

test("a put that was overtaken by a later put does not come back", async () => {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    const hold = io.hold("write");
    const first = cache.put(tag, older);
    await hold.reached;
    assert.equal((await cache.put(tag, newer)).kind, "stored");
    hold.release();
    assert.equal((await first).kind, "stored");
    const found = await cache.get(tag);
    assert.ok(found.kind === "hit" && found.bytes.equals(newer));
  });
});

test("a put that was overtaken by a remove does not come back", async () => {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    await cache.put(tag, newer);
    const hold = io.hold("write");
    const first = cache.put(tag, older);
    await hold.reached;
    assert.equal(await cache.remove(tag), true);
    hold.release();
    await first;
    assert.equal((await cache.get(tag)).kind, "miss");
  });
});

test("a put overtaken by one that was removed since does not come back", async () => {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    const hold = io.hold("write");
    const first = cache.put(tag, older);
    await hold.reached;
    await cache.put(tag, newer);
    await cache.remove(tag);
    hold.release();
    await first;
    assert.equal((await cache.get(tag)).kind, "miss");
  });
});

test.run();
