/** Clients that take as much as they can get: each has its share, and the others keep theirs. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { PAYLOAD_BYTES_MAX, SMALL_REQUEST_BYTES } from "../../engine/daemon/limits.js";
import { BLOCK, beside } from "./beside.js";
import { frameOf, HELLO, RawClient } from "./raw-client.js";
import { sleep, until } from "./with-server.js";

const shares = suite("shares of hostile clients");

const MIB = 1024 * 1024;
const NAMES = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i") };

async function greeted(socketPath: string): Promise<RawClient> {
  const raw = new RawClient(socketPath);
  raw.hello();
  await raw.reply(0);
  return raw;
}

beside(
  shares,
  "a frame that comes byte by byte is given up after its time",
  { limits: { stallMs: 5000, frameMs: 300 } },
  async ({ socketPath }) => {
    const raw = await greeted(socketPath);
    const put = frameOf({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
    for (let at = 0; !raw.ended && !raw.closed; at += 1) {
      raw.socket.write(put.subarray(at, at + 1));
      await sleep(5);
      assert.ok(at < 4000, "it is waited for no longer");
    }
    const { header } = await raw.reply(undefined);
    assert.is(header["code"], "E_TIMEOUT");
    assert.match(header["message"] as string, /a frame was not whole after 300 ms/);
  },
);

beside(
  shares,
  "replies that are taken drop by drop are given up after their time",
  { limits: { stallMs: 5000, frameMs: 300 } },
  async ({ socketPath, server }) => {
    const raw = await greeted(socketPath);
    raw.send({ id: 1, op: "put", ...NAMES, block: 0 }, BLOCK);
    await raw.reply(1);
    raw.socket.pause();
    for (let id = 2; id < 62; id += 1) raw.send({ id, op: "get", ...NAMES, block: 0 });
    raw.socket.on("data", () => raw.socket.pause());
    await until(() => {
      raw.socket.resume(); // one piece more
      return server.connections === 1;
    });
    assert.ok(raw.frames.length < 60, `it took ${raw.frames.length} of them`);
    raw.destroy();
  },
);

beside(
  shares,
  "half of the largest frames on many connections take no more than what all share",
  { limits: { stallMs: 5000, bytes: 8 * MIB } },
  async ({ socketPath, server }) => {
    const raws = await Promise.all(Array.from({ length: 40 }, () => greeted(socketPath)));
    const write = { id: 1, op: "write", handle: 1, offset: 0 };
    const begun = frameOf(write, Buffer.alloc(PAYLOAD_BYTES_MAX)).subarray(0, 1000);
    for (const raw of raws) raw.socket.write(begun);
    await until(() => server.inFlight.requests >= 40);
    const { bytes } = server.inFlight;
    assert.ok(bytes > 4 * MIB && bytes <= 8 * MIB + 42 * SMALL_REQUEST_BYTES, `in flight: ${bytes}`);
    // Whoever is refused is told so when the frame is whole, and goes on.
    const last = raws.at(-1) as RawClient;
    last.socket.write(Buffer.alloc(PAYLOAD_BYTES_MAX + frameOf(write).length - begun.length));
    assert.is((await last.reply(1)).header["code"], "E_LIMIT");
    last.send({ id: 2, op: "ping" });
    assert.is((await last.reply(2)).header["status"], "ok");
    for (const raw of raws) raw.destroy();
  },
);

beside(
  shares,
  "headers count, those of requests and those of replies",
  { limits: { stallMs: 5000 } },
  async ({ socketPath, server }) => {
    const raw = await greeted(socketPath);
    const inode = Buffer.alloc(60_000, 0x61);
    const put = frameOf({ id: 1, op: "put", ...NAMES, inode, block: 0 }, BLOCK);
    raw.socket.write(put.subarray(0, put.length - 1));
    await until(() => server.inFlight.bytes >= SLOT_BYTES + inode.length);
    raw.socket.write(put.subarray(put.length - 1));
    assert.is((await raw.reply(1)).header["status"], "stored");
    raw.send({ id: 2, op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume });
    const volume = (await raw.reply(2)).header["handle"];
    raw.send({ id: 3, op: "acquireCookie", handle: volume ?? 0, inode: NAMES.inode });
    const cookie = (await raw.reply(3)).header["handle"] ?? 0;
    raw.send({ id: 4, op: "setXattr", handle: cookie, name: Buffer.from("x"), value: inode });
    await raw.reply(4);
    raw.socket.pause();
    for (let id = 5; id < 205; id += 1) {
      raw.send({ id, op: "getXattr", handle: cookie, name: Buffer.from("x") });
    }
    await until(() => server.inFlight.bytes > 100 * inode.length);
    raw.destroy();
  },
);

beside(
  shares,
  "who holds nothing and is idle gives way to newcomers, the others stay",
  { limits: { connections: 5, idleMs: 300 } },
  async ({ socketPath, connect }) => {
    const holder = await greeted(socketPath);
    holder.send({ id: 1, op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume });
    await holder.reply(1);
    const leaser = await greeted(socketPath);
    leaser.send({ id: 1, op: "lease", ...NAMES, block: 77 });
    assert.is((await leaser.reply(1)).header["status"], "lease");
    const idle = await greeted(socketPath);
    const busy = await greeted(socketPath);
    let pings = 0;
    const timer = setInterval(() => busy.send({ id: (pings += 1), op: "ping" }), 20);
    try {
      await until(async () => {
        const newcomer = await connect().catch(() => undefined); // refused while nobody was idle for so long
        await newcomer?.close();
        return newcomer !== undefined;
      });
    } finally {
      clearInterval(timer);
    }
    assert.is((await idle.reply(undefined)).header["code"], "E_LIMIT");
    for (const raw of [holder, leaser, busy]) assert.not.ok(raw.ended || raw.closed);
    for (const raw of [holder, leaser, busy]) raw.destroy();
  },
);

beside(
  shares,
  "who takes all handles leaves every other connection some",
  { limits: { handles: 50, handlesGranted: 8 } },
  async ({ socketPath, connect }) => {
    const raws = await Promise.all(Array.from({ length: 4 }, () => greeted(socketPath)));
    for (let id = 1; id <= 60; id += 1) {
      for (const raw of raws) raw.send({ id, op: "acquireVolume", fs: NAMES.fs, volume: NAMES.volume });
    }
    for (const raw of raws) assert.is((await raw.reply(60)).header["code"], "E_LIMIT");
    const client = await connect();
    const volume = await client.acquireVolume("nfs", "mine");
    for (let file = 1; file < 8; file += 1) {
      const cookie = await volume.acquireCookie(`file ${file}`);
      assert.equal((await cookie.write(0n, BLOCK)).bypass, undefined);
    }
    await client.close();
    for (const raw of raws) raw.destroy();
  },
);

beside(
  shares,
  "who comes and goes without a pause keeps nobody from the daemon",
  { limits: { connections: 8 } },
  async ({ socketPath, connect }) => {
    let over = false;
    const storm = (async () => {
      for (; !over; await sleep(1)) {
        const raws = Array.from({ length: 12 }, () => new RawClient(socketPath));
        for (const raw of raws) raw.socket.write(frameOf(HELLO), () => raw.destroy());
      }
    })();
    for (let turn = 0; turn < 2; turn += 1) {
      const startMs = performance.now();
      await until(async () => {
        const client = await connect().catch(() => undefined); // the storm may have all of them for a moment
        await client?.ping();
        await client?.close();
        return client !== undefined;
      });
      assert.ok(performance.now() - startMs < 5000);
    }
    over = true;
    await storm;
  },
);

shares.run();
