/** A client that behaves, beside those that do not: it must not notice them. */
import * as assert from "uvu/assert";
import type { Test } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { sleep, until, withServer } from "./with-server.js";
import type { TestServer } from "./with-server.js";

export const BLOCK = Buffer.alloc(SLOT_BYTES, 0x5a);
/** No call of the good client may take so long; generous, for machines that run other things. */
export const NOTICED_MS = 2000;

/** Puts and gets until told to stop; every answer has to be right and in time. */
export async function beGood(client: CacheClient, done: { value: boolean }): Promise<number> {
  let rounds = 0;
  for (; !done.value || rounds < 5; rounds += 1) {
    const startMs = performance.now();
    const tag = { fs: "good", volume: "v", inode: "i", block: rounds % 4 };
    assert.equal(await client.put(tag, BLOCK), { kind: "stored" });
    const result = await client.get(tag);
    assert.ok(result.kind === "hit" && result.bytes.equals(BLOCK));
    assert.ok(performance.now() - startMs < NOTICED_MS, "the good client noticed");
    await sleep(1);
  }
  return rounds;
}

/** A test in which a good client is served all the time, and nothing is left of the others in the end. */
export function beside(
  hostile: Test,
  behaviour: string,
  options: Parameters<typeof withServer>[0],
  body: (server: TestServer) => Promise<void>,
): void {
  hostile(behaviour, async () => {
    await withServer(options, async (server) => {
      const client = await server.connect();
      const done = { value: false };
      const good = beGood(client, done);
      try {
        await body(server);
      } finally {
        done.value = true;
        await good;
        await client.close();
      }
      await until(() => server.server.connections === 0);
      assert.equal(server.server.inFlight, { requests: 0, bytes: 0 });
    });
  });
}
