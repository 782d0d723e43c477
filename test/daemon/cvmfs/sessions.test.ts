import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { suite } from "uvu";
import { bytesOf, expectSound, pause, until } from "../../support/temp-cache.js";
import { PART, type PluginClient, S, TYPE, hashOf } from "./plugin-client.js";
import { type Plugin, withPlugin } from "./with-plugin.js";

const sessions = suite("CVMFS sessions");
const CONTENT = bytesOf(1, PART + 1);
const HASH = hashOf(CONTENT);
/** Other tests may have the machine meanwhile. */
const PATIENT_MS = 20_000;

/** A client with one object open three times. */
async function opened({ connect }: Plugin, name: string): Promise<PluginClient> {
  const client = await connect(name);
  assert.equal(await client.store(HASH, CONTENT), S.ok);
  assert.equal(await client.refcount(HASH, 2), S.ok);
  return client;
}

sessions("that end, by quitting or by dying, let go of all they had open", async () => {
  await withPlugin({}, async (plugin) => {
    for (const end of ["quit", "die"]) {
      const client = await opened(plugin, "test");
      assert.equal((await client.info()).pinned, CONTENT.length);
      if (end === "quit") client.quit();
      else client.socket.destroy();
      await client.closed;
      await until(() => plugin.cache.holds.files === 0, PATIENT_MS);
      const next = await plugin.connect("test");
      assert.equal(await next.refcount(HASH, -1), S.badCount);
      assert.deepEqual(await next.shrink(0), { status: S.ok, used: 0 });
      assert.equal(await next.refcount(HASH, 0), S.noEntry);
    }
  });
});

sessions("that announced a reload hand over what they had open to the next one of their name", async () => {
  await withPlugin(
    {},
    async (plugin) => {
      const old = await opened(plugin, "repo:one");
      const bystander = await plugin.connect("repo:two");
      old.ioctl(1);
      await old.info();
      await old.close();
      await pause(50);
      assert.deepEqual(await bystander.shrink(0), { status: S.partial, used: CONTENT.length });
      const next = await plugin.connect("repo:one");
      next.ioctl(-1);
      assert.ok((await next.readAll(HASH))?.equals(CONTENT));
      assert.equal(await bystander.refcount(HASH, -1), S.badCount);
      assert.equal(await next.refcount(HASH, -3), S.ok);
      assert.equal(await next.refcount(HASH, -1), S.badCount);
      assert.deepEqual(await bystander.shrink(0), { status: S.ok, used: 0 });
      assert.equal(await next.refcount(HASH, 1), S.noEntry);
      const again = await opened(plugin, "repo:one");
      await again.close(); // no reload: all at once
      await until(() => plugin.cache.holds.files === 0, PATIENT_MS);
    },
    expectSound,
  );
});

sessions("of another name take over what a reload left, when they say that it is over", async () => {
  await withPlugin({}, async (plugin) => {
    const old = await opened(plugin, "one");
    old.ioctl(1);
    await old.info();
    await old.close();
    const next = await plugin.connect("another");
    assert.equal(await next.refcount(HASH, -1), S.ok, "a close counts, whoever it comes from");
    next.ioctl(-1);
    assert.equal((await next.info()).pinned, CONTENT.length);
    await next.close();
    await until(() => plugin.cache.holds.files === 0, PATIENT_MS);
  });
});

sessions("that announced a reload and do not come back are let go after a while", async () => {
  let idle = 0;
  const onIdle = (): void => {
    idle += 1;
  };
  await withPlugin({ reloadGraceMs: 300, onIdle }, async (plugin) => {
    const probe = connect(plugin.server.locator.slice("unix=".length));
    await once(probe, "connect");
    probe.destroy();
    await until(() => plugin.server.connections === 0, PATIENT_MS);
    assert.equal(idle, 0, "who shakes no hand is no client");
    const old = await opened(plugin, "one");
    old.ioctl(1);
    await old.info();
    await old.close();
    await until(() => plugin.server.connections === 0, PATIENT_MS);
    assert.deepEqual([plugin.cache.holds.files, idle], [1, 0], "somebody will be back");
    await until(() => plugin.cache.holds.files === 0, PATIENT_MS);
    assert.equal(idle, 1);
    const other = await plugin.connect("two");
    other.ioctl(-1); // of nothing
    other.ioctl(-1);
    other.ioctl(1);
    other.ioctl(-1);
    assert.equal((await other.info()).status, S.ok);
    await other.close();
    await until(() => idle === 2, PATIENT_MS);
  });
});

sessions("are as many as there are handshakes, and a new one on a connection ends the old one", async () => {
  await withPlugin({}, async (plugin) => {
    const client = await opened(plugin, "one");
    await client.greet("one");
    assert.equal(await client.refcount(HASH, -1), S.badCount);
    await until(() => plugin.cache.holds.files === 0, PATIENT_MS);
    assert.equal(await client.refcount(HASH, 1), S.ok);
  });
});

sessions("get all their answers, however many requests are under way", async () => {
  await withPlugin({}, async ({ connect }) => {
    const client = await connect();
    const hash = await client.put(CONTENT, { type: TYPE.catalog });
    const reads = Array.from({ length: 1000 }, async (_, place) => {
      const offset = (place * 977) % PART;
      const { status, data } = await client.read(hash, offset, 100_000);
      assert.equal(status, S.ok);
      assert.ok(data.equals(CONTENT.subarray(offset, offset + 100_000)));
    });
    await Promise.all([...reads, client.info(), client.list(TYPE.catalog)]);
  });
});

sessions.run();
