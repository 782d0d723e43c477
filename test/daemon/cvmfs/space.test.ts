import assert from "node:assert/strict";
import { suite } from "uvu";
import { bytesOf, expectSound, pause } from "../../support/temp-cache.js";
import { type Hash, PART, type PluginClient, S, TYPE, hashOf } from "./plugin-client.js";
import { withPlugin } from "./with-plugin.js";

const space = suite("CVMFS space");
const MIB = 1024 * 1024;

async function there(client: PluginClient, hashes: ReadonlyMap<string, Hash>): Promise<string[]> {
  const found: string[] = [];
  for (const [name, hash] of hashes) if ((await client.objectInfo(hash)).status === S.ok) found.push(name);
  return found;
}

space("is told: capacity, what is used, what is open, and how often it was shrunk", async () => {
  await withPlugin({ capacityBytes: 64 * MIB }, async ({ connect }) => {
    const client = await connect();
    assert.deepEqual(await client.info(60), { status: S.ok, size: 64 * MIB, used: 0, pinned: 0, shrinks: 0 });
    const foo = await client.put(Buffer.from("foo"));
    await client.put(bytesOf(1, PART));
    assert.equal(await client.refcount(foo, 1), S.ok);
    assert.deepEqual(await client.info(60), {
      status: S.ok,
      size: 64 * MIB,
      used: PART + 3,
      pinned: 3,
      shrinks: 0,
    });
    assert.deepEqual(await client.shrink(2n ** 64n - 1n), { status: S.ok, used: PART + 3 });
    assert.deepEqual(await client.shrink(0), { status: S.partial, used: 3 });
    assert.equal(await client.refcount(foo, -1), S.ok);
    assert.deepEqual(await client.shrink(0), { status: S.ok, used: 0 });
    assert.deepEqual(await client.info(60), { status: S.ok, size: 64 * MIB, used: 0, pinned: 0, shrinks: 2 });
    assert.equal((await client.info()).shrinks, -1, "not known without a period");
    assert.deepEqual(await client.shrink(0), { status: S.ok, used: 0 });
  });
});

space("is made by volatile objects first, by catalogs last among equals", async () => {
  const hashes = new Map<string, Hash>();
  await withPlugin({}, async ({ connect, cache }) => {
    const client = await connect();
    for (const name of ["c1", "r1", "v1", "c2", "r2", "v2", "c3", "r3", "v3"]) {
      const type = { c: TYPE.catalog, r: TYPE.regular, v: TYPE.volatile }[name.charAt(0)] as number;
      hashes.set(name, await client.put(Buffer.from(name.padEnd(100)), { type }));
    }
    await client.shrink(700);
    assert.deepEqual(await there(client, hashes), ["c1", "r1", "c2", "r2", "c3", "r3", "v3"]);
    await client.shrink(400);
    assert.deepEqual(await there(client, hashes), ["c1", "c2", "c3", "r3"]);
    assert.equal(await client.refcount(hashes.get("r3") as Hash, 0), S.ok);
    await client.shrink(100);
    assert.deepEqual(await there(client, hashes), ["c3"], "a catalog goes when its second turn comes");
    assert.equal(cache.holds.files, 0);
  });
});

space("of what is open is not taken, and clients are asked to let go before it is all", async () => {
  await withPlugin(
    { capacityBytes: 24 * MIB },
    async ({ connect, cache }) => {
      const [client, other] = [await connect(), await connect()];
      const open: Hash[] = [];
      let status: number = S.ok;
      for (let seed = 0; status === S.ok && seed < 40; seed += 1) {
        const content = bytesOf(seed, MIB);
        const hash = hashOf(content);
        status = await client.store(hash, content);
        if (status === S.ok) open.push(hash);
        const share = cache.holds.keptBytes / cache.limits.slotBytesMax;
        if (share < 0.7) assert.deepEqual([client.detaches, other.detaches], [0, 0]);
      }
      assert.equal(status, S.noSpace);
      assert.deepEqual([client.detaches, other.detaches], [1, 1], "all of them, and not again at once");
      assert.ok(
        cache.holds.keptBytes <= cache.holds.bytesMax && open.length >= 18,
        `${open.length} of 1 MiB`,
      );
      assert.equal((await client.info()).used, open.length * MIB, "what did not fit left nothing behind");
      for (const [seed, hash] of open.entries())
        assert.ok((await client.readAll(hash))?.equals(bytesOf(seed, MIB)));
      await cache.put({ fs: "nfs", volume: "v", inode: "i", block: 0 }, bytesOf(1, PART));
      assert.deepEqual(await client.shrink(0), { status: S.partial, used: open.length * MIB });
      assert.equal((await cache.flush({ all: true })).dropped.blocks, 0);
      for (const hash of open) assert.equal(await client.refcount(hash, -1), S.ok);
      assert.equal(await client.store(hashOf("large"), bytesOf(99, MIB)), S.ok);
    },
    expectSound,
  );
});

space("that an object can't have is refused, at once where it says its size", async () => {
  await withPlugin({ capacityBytes: 16 * MIB }, async ({ connect, cache }) => {
    const client = await connect();
    const content = bytesOf(1, 20 * MIB);
    const hash = hashOf(content);
    const part = { id: 5, nr: 1, last: false, data: content.subarray(0, PART) };
    assert.equal(await client.storePart(hash, part, { expected: content.length }), S.noSpace);
    assert.equal(await client.storePart(hash, { ...part, nr: 2 }, {}), S.malformed);
    assert.equal(await client.abort(hash, 5), S.ok);
    assert.equal(
      await client.storePart(hash, { ...part, last: true, data: Buffer.from("x") }, { expected: 2 ** 50 }),
      S.noSpace,
    );
    assert.equal(await client.abort(hash, 5), S.malformed, "its last part ended it");
    assert.equal(await client.store(hash, content, { id: 6 }), S.noSpace);
    assert.equal(await client.abort(hash, 6), S.ok);
    const { validBytes, slots } = await cache.status();
    assert.deepEqual([validBytes, slots.used, cache.holds.bytes], [0, 0, 0]);
    assert.equal(await client.refcount(hash, 1), S.noEntry);
    assert.equal(await client.store(hashOf("b"), bytesOf(2, 10 * MIB)), S.ok);
  });
});

space("is taken from what others cache, and the other way round", async () => {
  await withPlugin({ capacityBytes: 16 * MIB }, async ({ connect, cache }) => {
    const client = await connect();
    for (let block = 0; block < 80; block += 1)
      await cache.put({ fs: "nfs", volume: "v", inode: "i", block }, bytesOf(block, PART));
    const hashes: Hash[] = [];
    for (let seed = 0; seed < 20; seed += 1) hashes.push(await client.put(bytesOf(seed, MIB)));
    assert.equal((await client.objectInfo(hashes[19] as Hash)).status, S.ok);
    assert.equal((await client.objectInfo(hashes[0] as Hash)).status, S.noEntry);
    for (let block = 0; block < 80; block += 1)
      await cache.put({ fs: "nfs", volume: "v", inode: "i", block }, bytesOf(block, PART));
    await pause(20);
    for (const [seed, hash] of hashes.entries()) {
      const found = await client.readAll(hash);
      assert.ok(found === undefined || found.equals(bytesOf(seed, MIB)), "whole, or not there");
    }
  });
});

space.run();
