/** The operation `cull` on the wire, and how long its caller waits. */
import * as assert from "uvu/assert";
import { suite } from "uvu";
import { isCacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { MemoryCache } from "../model/memory-cache.js";
import { RawClient } from "./raw-client.js";
import { sleep, until, withServer } from "./with-server.js";

const cull = suite("cull");

cull("takes a size, and tells blocks, bytes and what is used now", async () => {
  const cache = new MemoryCache();
  for (let block = 0; block < 3; block += 1) {
    await cache.put({ fs: "f", volume: "v", inode: "i", block }, Buffer.alloc(9));
  }
  await withServer({ cache }, async ({ socketPath }) => {
    const raw = new RawClient(socketPath);
    raw.hello();
    raw.send({ id: 1, op: "cull", usedBytesMax: SLOT_BYTES });
    const { id: _id, ...header } = (await raw.reply(1)).header;
    assert.equal(header, { status: "ok", blocks: 2, bytes: 2 * SLOT_BYTES, usedBytes: SLOT_BYTES });
    for (const [index, usedBytesMax] of [undefined, null, -1, 0.5, "1", 2n ** 53n].entries()) {
      const key = usedBytesMax === undefined ? {} : { usedBytesMax };
      raw.send({ id: 10 + index, op: "cull", ...key });
      assert.is((await raw.reply(10 + index)).header["code"], "E_ARGUMENT");
    }
    raw.destroy();
  });
  assert.is((await cache.status()).slots.used, 1);
});

cull("may take longer than the client's deadline, but not longer than the connection", async () => {
  const held: Array<() => void> = [];
  const hold = (operation: string) =>
    operation === "cull" ? new Promise<void>((resolve) => void held.push(resolve)) : undefined;
  await withServer({ cache: new MemoryCache({ before: hold }) }, async ({ connect, server }) => {
    const client = await connect(100);
    const first = client.cull({ usedBytesMax: 0 });
    await until(() => held.length === 1);
    await sleep(300);
    held[0]?.();
    assert.equal(await first, { blocks: 0, bytes: 0, usedBytes: 0 });

    const second = client.cull({ usedBytesMax: 0 });
    await until(() => held.length === 2);
    const closing = server.close({ drainMs: 0 });
    const error: unknown = await second.catch((reason: unknown) => reason);
    assert.ok(isCacheError(error, "E_UNAVAILABLE"), String(error));
    held[1]?.();
    await closing;
    await client.close();
  });
});

cull.run();
