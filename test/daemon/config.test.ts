/** The operations `config` and `configSet`, over a service that keeps a map. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { CacheError, isCacheError } from "../../index/core/errors.js";
import type { ConfigService } from "../../engine/daemon/server.js";
import { RawClient } from "./raw-client.js";
import { sleep, withServer } from "./with-server.js";

const config = suite("config operations");

/** Takes any key but `dir`; waits before it answers when told to. */
function service(waitMs = 0): ConfigService {
  const values = new Map([["capacity", "10GiB"]]);
  const entries = () =>
    [...values].map(([key, value]) =>
      key === "capacity"
        ? { key, value, source: "file", origin: "/etc/t.toml:3" }
        : { key, value, source: "set" },
    );
  return {
    entries,
    set: async (changes) => {
      await sleep(waitMs);
      if (changes.has("dir")) throw new CacheError("E_CONFIG", "Cannot set dir: it needs a restart");
      for (const [key, value] of changes) values.set(key, value);
      return entries();
    },
  };
}

async function codeOf(call: Promise<unknown>): Promise<unknown> {
  const error: unknown = await call.catch((reason: unknown) => reason);
  return isCacheError(error) ? error.code : error;
}

config("a client reads and changes settings, and is told what was refused", async () => {
  await withServer({ config: service() }, async ({ connect }) => {
    const client = await connect();
    const first = { key: "capacity", value: "10GiB", source: "file", origin: "/etc/t.toml:3" };
    assert.equal(await client.config(), [first]);
    const changes = new Map([
      ["brun", "9%"],
      ["shares", "afs=10..50,grüße=..1"],
    ]);
    const wanted = [...changes].map(([key, value]) => ({ key, value, source: "set" }));
    assert.equal(await client.setConfig(changes), [first, ...wanted]);
    assert.equal(await client.config(), [first, ...wanted]);
    assert.is(await codeOf(client.setConfig(new Map([["dir", "/x"]]))), "E_CONFIG");
    await client.close();
    assert.is(await codeOf(client.config()), "E_CLOSED");
    assert.is(await codeOf(client.setConfig(new Map())), "E_CLOSED");
  });
});

config("a change may take longer than the client's deadline", async () => {
  await withServer({ config: service(400) }, async ({ connect }) => {
    const client = await connect(100);
    assert.is((await client.setConfig(new Map([["brun", "9%"]]))).length, 2);
    await client.close();
  });
});

config("refuses what is no map of text, and everything where there is no service", async () => {
  await withServer({ config: service() }, async ({ socketPath }) => {
    const raw = new RawClient(socketPath);
    raw.hello();
    for (const [index, changes] of [null, 1, "a", ["a"], Buffer.from("a"), { a: 1 }, { a: null }].entries()) {
      raw.send({ id: 10 + index, op: "configSet", changes });
      assert.is((await raw.reply(10 + index)).header["code"], "E_ARGUMENT");
    }
    raw.send({ id: 1, op: "configSet" });
    assert.is((await raw.reply(1)).header["code"], "E_ARGUMENT");
    raw.send({ id: 2, op: "configSet", changes: {} });
    assert.is(((await raw.reply(2)).header["config"] as unknown[]).length, 1);
    raw.destroy();
  });
  await withServer({}, async ({ connect }) => {
    const client = await connect();
    assert.is(await codeOf(client.config()), "E_OPERATION");
    assert.is(await codeOf(client.setConfig(new Map([["brun", "9%"]]))), "E_OPERATION");
    assert.ok((await client.ping()).ms >= 0);
    await client.close();
  });
});

config.run();
