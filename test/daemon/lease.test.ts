/** Leases on the wire: their limits, their end with a connection, and requests that make no sense. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { LeaseResult } from "../../engine/api.js";
import { LEASE_MS_MAX, LEASE_WAIT_MS_MAX } from "../../engine/lease-api.js";
import { silentLogger } from "../../engine/daemon/logger.js";
import { startServer } from "../../engine/daemon/server.js";
import { MemoryCache } from "../model/memory-cache.js";
import type { Header } from "../../engine/daemon/headers.js";
import { RawClient } from "./raw-client.js";
import { until, withServer } from "./with-server.js";

const lease = suite("leases on the wire");

const names = { fs: Buffer.from("nfs"), volume: Buffer.from("v"), inode: Buffer.from("i") };
const tag = (block: number) => ({ fs: "nfs", volume: "v", inode: "i", block });
const BYTES = Buffer.alloc(5000, 7);

function held(result: LeaseResult) {
  assert.is(result.kind, "lease");
  if (result.kind !== "lease") throw new Error("no lease");
  return result.lease;
}

lease("a connection's leases end with it, and the next takes over", async () => {
  await withServer({}, async ({ connect }) => {
    const [first, second, watcher] = await Promise.all([connect(), connect(), connect()]);
    const mine = held(await first.getOrLease(tag(0), { leaseMs: 60_000 }));
    const waiting = second.getOrLease(tag(0), { waitMs: 60_000 });
    await until(async () => (await watcher.status()).leases.waiting === 1);
    await first.close();
    const next = held(await waiting);
    assert.is(mine.expiresInMs > 0, true, "the client that was closed does not know");
    assert.equal(await next.put(BYTES), { kind: "stored" });
    // Whoever waits and dies is passed over.
    const other = held(await watcher.getOrLease(tag(1)));
    const dead = second.getOrLease(tag(1), { waitMs: 60_000 });
    await until(async () => (await watcher.status()).leases.waiting === 1);
    await Promise.all([second.close(), dead]);
    const third = await connect();
    const last = third.getOrLease(tag(1), { waitMs: 60_000 });
    await until(async () => (await watcher.status()).leases.waiting === 2);
    await other.giveUp();
    await held(await last).giveUp();
    await until(async () => (await watcher.status()).leases.held === 0);
    await Promise.all([third.close(), watcher.close()]);
  });
});

lease("beyond a connection's leases a miss is a plain miss; leases that ended make room", async () => {
  await withServer({ limits: { leasesPerConnection: 2 } }, async ({ connect }) => {
    const client = await connect();
    const first = held(await client.getOrLease(tag(0), { leaseMs: 60_000 }));
    held(await client.getOrLease(tag(1), { leaseMs: 50 }));
    assert.equal(await client.getOrLease(tag(2)), { kind: "miss" });
    assert.is((await client.status()).leases.held, 2, "what was not given is not out");
    await until(async () => (await client.status()).leases.held === 1);
    held(await client.getOrLease(tag(3)));
    assert.equal(await first.put(BYTES), { kind: "stored" });
    held(await client.getOrLease(tag(4)));
    await client.close();
  });
});

lease("beyond the requests that may wait nobody waits, and others are served meanwhile", async () => {
  await withServer({ limits: { waitsPerConnection: 2, waits: 3 } }, async ({ connect }) => {
    const [holder, one, two] = await Promise.all([connect(), connect(), connect()]);
    const mine = held(await holder.getOrLease(tag(0)));
    const wait = () => one.getOrLease(tag(0));
    const waiting = [wait(), wait()];
    assert.equal(await wait(), { kind: "miss" });
    const third = two.getOrLease(tag(0));
    await until(async () => (await holder.status()).leases.waiting === 3);
    assert.equal(await two.getOrLease(tag(0)), { kind: "miss" });
    assert.equal(await two.put(tag(9), BYTES), { kind: "stored" });
    const free = Array.from({ length: 40 }, (_, index) => two.getOrLease(tag(100 + index)));
    for (const each of free) await held(await each).giveUp();
    await mine.put(BYTES);
    for (const each of [...waiting, third]) assert.is((await each).kind, "hit");
    await Promise.all([holder.close(), one.close(), two.close()]);
  });
});

lease("waiting longer than the client's deadline is no timeout, and holds up nothing else", async () => {
  await withServer({}, async ({ connect }) => {
    const [holder, client] = await Promise.all([connect(), connect(300)]);
    const mine = held(await holder.getOrLease(tag(0)));
    const waiting = client.getOrLease(tag(0), { waitMs: 20_000 });
    const beganMs = performance.now();
    while (performance.now() - beganMs < 900) assert.is((await client.get(tag(1))).kind, "miss");
    await mine.put(BYTES);
    const result = await waiting;
    assert.ok(result.kind === "hit" && result.bytes.equals(BYTES));
    await Promise.all([holder.close(), client.close()]);
  });
});

lease("refuses what makes no sense, and the connection goes on", async () => {
  await withServer({}, async ({ socketPath }) => {
    const client = new RawClient(socketPath);
    client.hello();
    let id = 0;
    const code = async (header: Header, payload?: Buffer): Promise<unknown> => {
      id += 1;
      client.send({ id, ...header }, payload);
      const reply = await client.reply(id);
      return reply.header["status"] === "error" ? reply.header["code"] : reply.header["status"];
    };
    const ask = { op: "lease", ...names, block: 0 };
    for (const bad of [
      { ...ask, leaseMs: LEASE_MS_MAX + 1 },
      { ...ask, leaseMs: 0 },
      { ...ask, leaseMs: "1" },
      { ...ask, waitMs: LEASE_WAIT_MS_MAX + 1 },
      { ...ask, waitMs: -1 },
      { ...ask, offset: SLOT_BYTES + 1 },
      { ...ask, block: -1 },
      { ...ask, fs: "text" },
      { op: "leasePut" },
      { op: "leaseGiveUp", lease: -1 },
      { op: "leaseGiveUp", lease: "1" },
    ]) {
      assert.is(await code(bad), "E_ARGUMENT", JSON.stringify(bad));
    }
    assert.is(await code(ask, BYTES), "E_ARGUMENT", "a payload that is not wanted");
    assert.is(await code({ op: "leasePut", lease: 1 }, BYTES), "E_NOT_FOUND");
    assert.is(await code({ op: "leaseGiveUp", lease: 1 }), "E_NOT_FOUND");
    assert.is(await code(ask), "lease");
    assert.is(await code({ op: "leasePut", lease: 1 }), "E_ARGUMENT", "no payload");
    assert.is(await code({ op: "leasePut", lease: 1 }, Buffer.alloc(SLOT_BYTES + 1)), "E_ARGUMENT");
    assert.is(await code({ op: "leasePut", lease: 1 }, BYTES), "stored");
    assert.is(await code({ op: "leasePut", lease: 1 }, BYTES), "E_NOT_FOUND", "a lease is put once");
    assert.is(await code(ask), "hit");
    client.destroy();
  });
});

lease("a lease of an earlier connection stores nothing", async () => {
  await withServer({}, async (first) => {
    const client = await first.connect();
    const mine = held(await client.getOrLease(tag(0)));
    const other = held(await client.getOrLease(tag(1)));
    await first.server.close({ drainMs: 0 });
    await until(async () => (await client.get(tag(0))).kind === "bypass");
    assert.equal(await mine.put(BYTES), { kind: "bypass", reason: "unavailable" });
    const second = await startServer({
      cache: new MemoryCache(),
      socketPath: first.socketPath,
      log: silentLogger,
      version: "2",
      onStopRequest: () => undefined,
    });
    await until(async () => (await client.get(tag(0))).kind === "miss");
    assert.is(other.expiresInMs, 0);
    held(await client.getOrLease(tag(0)));
    assert.equal(await other.put(BYTES), { kind: "bypass", reason: "stale" });
    assert.is(await client.has(tag(0)), false);
    assert.is(await client.has(tag(1)), false);
    await client.close();
    await second.close();
  });
});

lease.run();
