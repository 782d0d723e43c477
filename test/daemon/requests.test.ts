import * as assert from "uvu/assert";
import { suite } from "uvu";
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { MemoryCache } from "../model/memory-cache.js";
import { HELLO, RawClient } from "./raw-client.js";
import { until, withServer } from "./with-server.js";

const requests = suite("requests");

const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i") };

async function withRaw(
  options: Parameters<typeof withServer>[0],
  body: (raw: RawClient) => Promise<void>,
): Promise<void> {
  await withServer(options, async ({ socketPath }) => {
    const raw = new RawClient(socketPath);
    try {
      raw.hello();
      await body(raw);
    } finally {
      raw.destroy();
    }
  });
}

requests("answers hello with version, cache, epoch and limits", async () => {
  await withRaw({}, async (raw) => {
    const { header } = await raw.reply(0);
    assert.is(header["status"], "ok");
    assert.is(header["protocol"], 1);
    assert.is(header["version"], "1.2.3");
    assert.is(header["epoch"], 1);
    assert.match(header["cacheId"] as string, /^[0-9a-f]{32}$/);
    assert.equal(header["limits"], {
      headerBytes: 160 * 1024,
      payloadBytes: 4 * 1024 * 1024,
      requests: 256,
      bytes: 16 * 1024 * 1024,
      handles: 16_384,
    });
  });
});

requests("picks its version out of a range that reaches beyond it", async () => {
  await withServer({}, async ({ socketPath }) => {
    const raw = new RawClient(socketPath);
    raw.send({ ...HELLO, versionMin: 0, versionMax: 9, unheardOf: { of: [1] } });
    assert.is((await raw.reply(0)).header["protocol"], 1);
    raw.destroy();
  });
});

requests("ignores header keys it does not know", async () => {
  await withRaw({}, async (raw) => {
    raw.send({ id: 1, op: "get", ...NAMES, block: 0, colour: "blue", deep: { a: [null, 1.5, true] } });
    assert.is((await raw.reply(1)).header["status"], "miss");
  });
});

requests("refuses an unknown operation, payload and all, and goes on", async () => {
  await withRaw({}, async (raw) => {
    raw.send({ id: 1, op: "levitate" }, Buffer.alloc(100_000));
    raw.send({ id: 2, op: "constructor" });
    raw.send({ id: 3, op: "ping" });
    for (const id of [1, 2]) assert.is((await raw.reply(id)).header["code"], "E_OPERATION");
    assert.is((await raw.reply(3)).header["status"], "ok");
  });
});

requests("refuses wrong values by request, and goes on", async () => {
  await withRaw({}, async (raw) => {
    const wrong = [
      { op: "get", ...NAMES },
      { op: "get", ...NAMES, block: "7" },
      { op: "get", ...NAMES, block: -1 },
      { op: "get", ...NAMES, block: 1.5 },
      { op: "get", ...NAMES, block: 2n ** 45n },
      { op: "get", ...NAMES, block: 2n ** 64n - 1n },
      { op: "get", ...NAMES, fs: "nfs", block: 0 },
      { op: "get", ...NAMES, fs: Buffer.alloc(0), block: 0 },
      { op: "get", ...NAMES, inode: Buffer.alloc(65_536), block: 0 },
      { op: "get", ...NAMES, block: 0, offset: SLOT_BYTES + 1 },
      { op: "get", ...NAMES, block: 0, length: SLOT_BYTES + 1 },
      { op: "get", ...NAMES, block: 0, length: [] },
      { op: "put", ...NAMES, block: 0 },
      { op: "acquireVolume", ...NAMES, coherency: Buffer.alloc(4097) },
      { op: "relinquishVolume", handle: 1, invalidate: 1 },
      { op: "read", handle: -1, offset: 0, length: 1 },
    ];
    for (const [index, header] of wrong.entries()) raw.send({ id: index + 1, ...header });
    raw.send({ id: 100, op: "put", ...NAMES, block: 0 }, Buffer.alloc(SLOT_BYTES + 1));
    raw.send({ id: 101, op: "ping" }, Buffer.alloc(5));
    const codes = [];
    for (let id = 1; id <= wrong.length; id += 1) codes.push((await raw.reply(id)).header["code"]);
    const handleAbsent = codes.splice(14, 1);
    assert.equal(handleAbsent, ["E_NOT_FOUND"]);
    assert.ok(
      codes.every((code) => code === "E_ARGUMENT"),
      JSON.stringify(codes),
    );
    for (const id of [100, 101]) assert.is((await raw.reply(id)).header["code"], "E_ARGUMENT");
  });
});

requests("sends ids back as they came, up to 64 bits", async () => {
  await withRaw({}, async (raw) => {
    for (const id of [2n ** 53n + 1n, 2n ** 64n - 1n]) {
      raw.send({ id, op: "ping" });
      await until(() => raw.frames.some(({ header }) => header["id"] === id));
    }
  });
});

requests("replies out of order, as operations finish", async () => {
  let release: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const cache = new MemoryCache({ before: (operation) => (operation === "has" ? gate : undefined) });
  await withRaw({ cache }, async (raw) => {
    raw.send({ id: 1, op: "has", ...NAMES, block: 0 });
    raw.send({ id: 2, op: "ping" });
    await raw.reply(2);
    assert.is(raw.frames.length, 2);
    release();
    await raw.reply(1);
  });
});

requests("answers what it has received when the client has said its last", async () => {
  await withRaw({}, async (raw) => {
    raw.send({ id: 1, op: "put", ...NAMES, block: 0 }, Buffer.from("bytes"));
    raw.send({ id: 2, op: "get", ...NAMES, block: 0 });
    raw.socket.end();
    assert.is((await raw.reply(2)).payload.toString(), "bytes");
    await raw.untilClosed();
  });
});

requests("sends of a read what is there, and nothing of what is missing", async () => {
  await withRaw({}, async (raw) => {
    raw.send({ id: 1, op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume });
    const volume = (await raw.reply(1)).header["handle"] as number;
    raw.send({ id: 2, op: "acquireCookie", handle: volume, inode: NAMES.inode, size: 3 * SLOT_BYTES });
    const cookie = (await raw.reply(2)).header["handle"] as number;
    raw.send({ id: 3, op: "write", handle: cookie, offset: SLOT_BYTES }, Buffer.alloc(SLOT_BYTES, 7));
    assert.equal((await raw.reply(3)).header["stored"], [[BigInt(SLOT_BYTES), SLOT_BYTES]]);
    raw.send({ id: 4, op: "read", handle: cookie, offset: SLOT_BYTES - 10, length: SLOT_BYTES + 20 });
    const { header, payload } = await raw.reply(4);
    assert.is(header["length"], SLOT_BYTES + 20);
    assert.equal(header["missing"], [
      [BigInt(SLOT_BYTES - 10), 10],
      [BigInt(2 * SLOT_BYTES), 10],
    ]);
    assert.ok(payload.equals(Buffer.alloc(SLOT_BYTES, 7)));
  });
});

requests("bounds handles of a connection and of all, and ends them with the connection", async () => {
  const cache = new MemoryCache();
  await withServer(
    { cache, limits: { handlesPerConnection: 3, handles: 5, handlesGranted: 1 } },
    async ({ socketPath, connect }) => {
      const first = new RawClient(socketPath);
      first.hello();
      for (let id = 1; id <= 4; id += 1)
        first.send({ id, op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume });
      assert.is((await first.reply(4)).header["code"], "E_LIMIT");
      const client = await connect();
      const volume = await client.acquireVolume("nfs", "v");
      await volume.acquireCookie("a");
      try {
        await volume.acquireCookie("b");
        assert.unreachable();
      } catch (error) {
        assert.ok(error instanceof CacheError && error.code === "E_LIMIT");
      }
      first.destroy();
      await until(async () => {
        try {
          await volume.acquireCookie("b");
          return true;
        } catch {
          return false; // the server has not seen the end of the connection yet
        }
      });
      await volume.relinquish();
      const again = await client.acquireVolume("nfs", "v");
      await again.acquireCookie("a");
      await again.acquireCookie("b");
      await client.close();
    },
  );
});

requests("keeps one connection's handles from another", async () => {
  await withServer({}, async ({ socketPath, connect }) => {
    const client = await connect();
    await client.acquireVolume("nfs", "v");
    const raw = new RawClient(socketPath);
    raw.hello();
    raw.send({ id: 1, op: "invalidateVolume", handle: 1 });
    assert.is((await raw.reply(1)).header["code"], "E_NOT_FOUND");
    raw.destroy();
    await client.close();
  });
});

requests("turns a failure of the cache into its code, an unknown one into E_INTERNAL", async () => {
  const cache = new MemoryCache({
    before: (operation) => {
      if (operation === "get") throw new CacheError("E_IO", "Cannot read: EIO");
      if (operation === "has") throw new TypeError("a bug");
    },
  });
  await withRaw({ cache }, async (raw) => {
    raw.send({ id: 1, op: "get", ...NAMES, block: 0 });
    raw.send({ id: 2, op: "has", ...NAMES, block: 0 });
    assert.is((await raw.reply(1)).header["code"], "E_IO");
    const { header } = await raw.reply(2);
    assert.is(header["code"], "E_INTERNAL");
    assert.not(JSON.stringify(header["message"]).includes("a bug"));
  });
});

requests("passes a stop on after it has answered", async () => {
  await withServer({}, async ({ connect, stopRequests }) => {
    const client = await connect();
    await client.stop();
    await until(() => stopRequests.count === 1);
    await client.close();
  });
});

requests.run();
