import "../../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../../engine/cache.js";
import { bytesOf, expectSound, openAt, randomOf, slotFiles, until } from "../../support/temp-cache.js";
import { type Hash, PART, type PluginClient, S, TYPE, hashOf } from "./plugin-client.js";
import { bytesOfField, numberOf } from "./wire.js";
import { withPlugin } from "./with-plugin.js";

const objects = suite("CVMFS objects");
const FOO = Buffer.from("foo");

objects("a handshake tells session, part size, capabilities and the daemon's process", async () => {
  await withPlugin({}, async ({ connect }) => {
    const [one, two] = [await connect("repo:instance"), await connect()];
    assert.equal(numberOf(one.handshake, 1), S.ok);
    assert.match(bytesOfField(one.handshake, 2).toString(), /^tagcache /);
    const [version, part, capabilities, pid] = [3, 5, 6, 8].map((field) => numberOf(one.handshake, field));
    assert.deepEqual([version, part, capabilities, pid], [1, PART, 127, process.pid]);
    assert.ok(one.session >= 0);
    assert.notEqual(one.session, two.session);
    const first = one.session;
    await one.greet("again");
    assert.notEqual(one.session, first, "every handshake begins a session");
  });
});

objects("are stored, opened, read, closed, and not found before and under another algorithm", async () => {
  await withPlugin({}, async ({ connect }) => {
    const client = await connect();
    const hash = hashOf(FOO);
    assert.equal(await client.refcount(hash, 1), S.noEntry);
    assert.equal(await client.refcount(hash, 0), S.noEntry);
    assert.equal(await client.refcount(hash, -1), S.noEntry);
    assert.deepEqual(await client.objectInfo(hash), { status: S.noEntry });
    assert.equal((await client.read(hash, 0, 10)).status, S.noEntry);
    assert.equal(await client.store(hash, FOO, { type: TYPE.catalog, expected: 3 }), S.ok);
    assert.equal(await client.refcount(hash, -1), S.ok, "a commit leaves it open once");
    assert.equal(await client.refcount(hash, -1), S.badCount);
    assert.equal(await client.refcount(hash, 0), S.ok);
    assert.deepEqual(await client.objectInfo(hash), { status: S.ok, type: TYPE.catalog, size: 3 });
    assert.equal(await client.refcount(hash, 5), S.ok);
    assert.equal(await client.refcount(hash, -6), S.badCount);
    assert.equal(await client.refcount(hash, -5), S.ok);
    for (const algorithm of [2, 3]) {
      const other = { ...hash, algorithm };
      assert.equal(await client.refcount(other, 1), S.noEntry);
      assert.equal(await client.store(other, Buffer.from([algorithm]), {}), S.ok);
    }
    for (const algorithm of [2, 3])
      assert.deepEqual(await client.readAll({ ...hash, algorithm }), Buffer.from([algorithm]));
    assert.deepEqual(await client.readAll(hash), FOO);
  });
});

objects("are read at any offset up to their end, and not past it", async () => {
  await withPlugin({}, async ({ connect }) => {
    const client = await connect();
    for (const size of [24 * 1024 * 1024, 24 * 1024 * 1024 + 1]) {
      const content = bytesOf(size, size);
      const hash = await client.put(content, { expected: size });
      assert.deepEqual(await client.objectInfo(hash), { status: S.ok, type: TYPE.regular, size });
      assert.equal(await client.refcount(hash, 1), S.ok);
      const random = randomOf(size);
      const below = (count: number): number => Math.floor(random() * count);
      for (let step = 0; step < 30; step += 1) {
        const [offset, length] = [below(size), below(PART) + 1];
        const { status, data } = await client.read(hash, offset, length);
        assert.equal(status, S.ok);
        assert.ok(data.equals(content.subarray(offset, offset + length)), `${length} bytes at ${offset}`);
      }
      assert.ok((await client.readAll(hash))?.equals(content));
      for (const [offset, length] of [
        [size, PART],
        [size, 0],
        [0, 0],
      ] as const) {
        const { status, data } = await client.read(hash, offset, length);
        assert.deepEqual([status, data.length], [S.ok, 0]);
      }
      assert.equal((await client.read(hash, size - 1, 9)).data.length, 1);
      assert.equal((await client.read(hash, size + 1, 0)).status, S.outOfBounds);
      assert.equal((await client.read(hash, 2n ** 64n - 1n, 1)).status, S.outOfBounds);
      assert.equal((await client.read(hash, 0, PART + 1)).status, S.malformed);
      assert.equal(await client.refcount(hash, -1), S.ok);
    }
  });
});

objects("may be empty", async () => {
  await withPlugin({}, async ({ connect }) => {
    const client = await connect();
    const hash = hashOf("");
    assert.equal(await client.store(hash, Buffer.alloc(0)), S.ok);
    assert.deepEqual(await client.objectInfo(hash), { status: S.ok, type: TYPE.regular, size: 0 });
    assert.deepEqual(await client.read(hash, 0, 1), { status: S.ok, data: Buffer.alloc(0) });
    assert.equal((await client.read(hash, 1, 1)).status, S.outOfBounds);
    assert.equal(await client.refcount(hash, -1), S.ok);
    assert.deepEqual((await client.list(TYPE.regular)).length, 1);
  });
});

objects("are there only when their last part is, whole, whoever stores them at the same time", async () => {
  await withPlugin({}, async ({ connect, cache }) => {
    const [one, two] = [await connect(), await connect()];
    const content = bytesOf(7, 3 * PART + 5);
    const hash = hashOf(content);
    const part = (nr: number, id: number, bytes: Buffer = content) => {
      const data = bytes.subarray((nr - 1) * PART, nr * PART);
      return { id, nr, last: nr === 4, data };
    };
    for (const nr of [1, 2, 3]) {
      assert.equal(await one.storePart(hash, part(nr, 5), { type: 0 }), S.ok);
      assert.equal(await one.storePart(hash, part(nr, 6, bytesOf(8, content.length)), { type: 0 }), S.ok);
      assert.equal(await two.storePart(hash, part(nr, 5), { type: 0 }), S.ok);
      assert.equal(await two.refcount(hash, 1), S.noEntry);
    }
    assert.equal((await one.info()).used, 0, "what is being stored is not there yet");
    assert.equal(await one.storePart(hash, part(4, 5)), S.ok);
    assert.equal(
      await one.storePart(hash, part(4, 6)),
      S.ok,
      "it is there: what came with other bytes is dropped",
    );
    assert.equal(await two.storePart(hash, part(4, 5)), S.ok);
    assert.ok((await two.readAll(hash))?.equals(content));
    assert.equal((await one.info()).used, content.length);
    assert.equal(await one.refcount(hash, -2), S.ok);
    assert.equal(await one.refcount(hash, -1), S.badCount, "references are counted by session");
    assert.equal(await two.refcount(hash, -1), S.ok);
    assert.equal(cache.holds.stagedBytes, 0);
  });
});

objects("can be given up, stored again under the same number, and never by halves", async () => {
  await withPlugin(
    {},
    async ({ connect, cache }) => {
      const client = await connect();
      const hash = hashOf(FOO);
      const part = { id: 7, nr: 1, last: false, data: bytesOf(1, PART) };
      assert.equal(await client.abort(hash, 7), S.malformed);
      assert.equal(await client.storePart(hash, part), S.ok);
      assert.equal(await client.storePart(hash, part), S.malformed, "a first part twice");
      assert.equal(await client.storePart(hash, { ...part, nr: 3 }), S.malformed, "a part too far");
      assert.equal(
        await client.storePart(hashOf("other"), { ...part, nr: 2 }),
        S.malformed,
        "another object",
      );
      assert.equal(await client.storePart(hash, { ...part, nr: 2, data: FOO }), S.malformed, "a short part");
      assert.equal(await client.abort(hash, 7), S.ok);
      assert.equal(await client.abort(hash, 7), S.malformed);
      assert.equal(await client.storePart(hash, { ...part, nr: 2 }), S.malformed, "no transaction");
      assert.equal(await client.storePart(hash, { ...part, nr: 0, last: true, data: FOO }), S.malformed);
      assert.equal(await client.refcount(hash, 0), S.noEntry);
      assert.deepEqual([(await cache.status()).validBytes, cache.holds.stagedBytes], [0, 0]);
      assert.equal(await client.store(hash, FOO, { id: 7, expected: 2n ** 64n - 1n }), S.ok);
      const late = await client.storePart(hash, { ...part, id: 9, data: bytesOf(2, PART + 1), last: true });
      assert.equal(late, S.malformed, "more than a part");
      assert.equal(await client.storePart(hash, { ...part, id: 10 }), S.ok);
      await client.close(); // while it is storing
      await until(() => cache.holds.stagedBytes === 0 && cache.holds.files === 0, 20_000);
      assert.equal((await cache.status()).validBytes, 3);
    },
    expectSound,
  );
});

objects("are listed by type in batches, with what is open", async () => {
  await withPlugin({ capacityBytes: 256 * 1024 * 1024 }, async ({ connect }) => {
    const client = await connect();
    const wanted = new Map<string, boolean>();
    const long = "x".repeat(3000);
    for (let number = 0; number < 1000; number += 1) {
      const content = Buffer.from(`object ${number}`);
      const hash = hashOf(content, (number % 3) + 1);
      const isOpen = number % 10 === 0;
      assert.equal(
        await client.store(hash, content, {
          type: number % 50 === 0 ? 1 : 0,
          description: `${number} ${long}`,
        }),
        S.ok,
      );
      if (!isOpen) assert.equal(await client.refcount(hash, -1), S.ok);
      if (number % 50 !== 0) wanted.set(`${number} ${long}`, isOpen);
    }
    const first = await client.listPart(0, TYPE.regular);
    assert.equal(first.last, false, "a megabyte at a time");
    assert.equal((await client.listPart(first.id, TYPE.catalog)).status, S.malformed, "of another type");
    const found = await client.list(TYPE.regular);
    assert.deepEqual(new Map(found.map(({ description, pinned }) => [description, pinned])), wanted);
    assert.equal((await client.list(TYPE.catalog)).length, 20);
    assert.deepEqual(await client.list(TYPE.volatile), []);
    assert.equal((await client.listPart(12345, TYPE.regular)).status, S.malformed);
    assert.equal((await client.listPart(0, 3)).status, S.malformed);
  });
});

objects("survive a restart, and breadcrumbs a wipe and every unclean end too", async () => {
  const content = bytesOf(3, PART + 1);
  let hash: Hash | undefined;
  const crumb = {
    status: S.ok,
    fqrn: "repo.cern.ch",
    digest: hashOf("catalog").digest.toString("hex"),
    algorithm: 3,
  };
  await withPlugin(
    {},
    async ({ connect, cache }) => {
      const client = await connect();
      assert.deepEqual(await client.loadBreadcrumb("repo.cern.ch"), { status: S.noEntry });
      const root = hashOf("catalog", 3);
      assert.equal(await client.storeBreadcrumb("repo.cern.ch", root, 1), S.ok);
      assert.deepEqual(await client.loadBreadcrumb("repo.cern.ch"), {
        ...crumb,
        timestamp: 1n,
        revision: undefined,
      });
      const largest = 2n ** 64n - 1n;
      assert.equal(await client.storeBreadcrumb("repo.cern.ch", root, largest, largest), S.ok);
      assert.equal(
        await client.storeBreadcrumb("repo.cern.ch", { algorithm: 3, digest: FOO }, 1),
        S.malformed,
      );
      assert.equal(await client.storeBreadcrumb("x".repeat(1025), root, 1), S.malformed);
      assert.equal(await client.storeBreadcrumb("", root, 1), S.malformed);
      await cache.wipe();
      assert.deepEqual(await client.loadBreadcrumb("repo.cern.ch"), {
        ...crumb,
        timestamp: largest,
        revision: largest,
      });
      hash = await client.put(content, { type: TYPE.catalog, description: "a catalog" });
    },
    async (directory) => {
      const cache = await openAt(directory);
      const look = cache.look({ fs: "cvmfs", volume: "sha1", inode: (hash as Hash).digest });
      assert.deepEqual([look?.whole, look?.sizeBytes], [true, BigInt(content.length)]);
      assert.deepEqual(look?.attributes, Buffer.concat([Buffer.of(1, 1), Buffer.from("a catalog")]));
      await cache.close();
    },
  );
});

objects("with a byte that was changed on the drive are found corrupt, and stored anew", async () => {
  await withPlugin({}, async ({ connect, directory }) => {
    const client = await connect();
    const content = bytesOf(5, 2 * PART);
    const hash = hashOf(content);
    assert.equal(await client.store(hash, content), S.ok);
    for (const file of slotFiles(directory).values()) {
      const descriptor = fs.openSync(file, "r+");
      fs.writeSync(descriptor, Buffer.of(1, 2, 3), 0, 3, 1000);
      fs.closeSync(descriptor);
    }
    assert.equal((await client.read(hash, 0, 4096)).status, S.corrupted);
    assert.equal(await client.refcount(hash, 1), S.noEntry, "whoever opens it finds it missing");
    assert.deepEqual(await client.objectInfo(hash), { status: S.noEntry });
    assert.equal(await client.store(hash, content), S.ok);
    assert.ok((await client.readAll(hash))?.equals(content));
    assert.equal(await client.refcount(hash, -2), S.ok, "what was open before is open still");
    assert.equal(await client.refcount(hash, -1), S.badCount);
  });
});

objects("refuse malformed hashes, types and foreign sessions", async () => {
  await withPlugin({}, async ({ connect }) => {
    const [client, other] = [await connect(), await connect()];
    const good = hashOf(FOO);
    for (const hash of [
      { algorithm: 0, digest: good.digest },
      { algorithm: 4, digest: good.digest },
      { algorithm: 1, digest: good.digest.subarray(1) },
      { algorithm: 1, digest: Buffer.concat([good.digest, FOO]) },
    ]) {
      const statuses = [
        await client.refcount(hash, 1),
        (await client.read(hash, 0, 1)).status,
        (await client.objectInfo(hash)).status,
        await client.store(hash, FOO),
      ];
      assert.deepEqual(statuses, [S.malformed, S.malformed, S.malformed, S.malformed]);
    }
    assert.equal(await client.store(good, FOO, { type: 3 }), S.malformed);
    client.session = other.session;
    const foreign = [
      await client.refcount(good, 1),
      (await client.read(good, 0, 1)).status,
      (await client.objectInfo(good)).status,
      await client.store(good, FOO),
      await client.abort(good, 1),
      (await client.info()).status,
      (await client.shrink(0)).status,
      (await client.listPart(0, 0)).status,
      await client.storeBreadcrumb("a", good, 1),
      (await client.loadBreadcrumb("a")).status,
    ];
    assert.deepEqual(foreign, Array(10).fill(S.forbidden));
  });
});

objects("of 16 clients at once are all stored and read right", async () => {
  await withPlugin(
    { capacityBytes: 256 * 1024 * 1024 },
    async ({ connect, cache }) => {
      const clients = await Promise.all(Array.from({ length: 16 }, (_, place) => connect(`client ${place}`)));
      const contents = Array.from({ length: 16 }, (_, seed) =>
        bytesOf(seed, Math.floor((seed * PART) / 5) + seed),
      );
      const work = async (client: PluginClient, seed: number): Promise<void> => {
        const random = randomOf(seed);
        for (let step = 0; step < 5; step += 1) {
          const content = contents[Math.floor(random() * contents.length)] as Buffer;
          const hash = hashOf(content);
          const opened = await client.refcount(hash, 1);
          if (opened === S.noEntry) assert.equal(await client.store(hash, content), S.ok);
          else assert.equal(opened, S.ok);
          assert.ok((await client.readAll(hash))?.equals(content));
          assert.equal(await client.refcount(hash, -1), S.ok);
        }
      };
      await Promise.all(clients.map(work));
      assert.deepEqual([cache.holds.files, cache.holds.bytes, cache.holds.stagedBytes], [0, 0, 0]);
      assert.ok(SLOT_BYTES === PART);
    },
    expectSound,
  );
});

objects.run();
