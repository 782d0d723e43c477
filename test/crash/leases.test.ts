/** Many real processes that miss on one block, and the death of the one that fetches it. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import { roundsOf } from "../support/effort.js";
import { until } from "../support/temp-cache.js";
import { Child } from "./children.js";
import { withDaemons } from "./daemons.js";
import { withDirectory } from "./support.js";

const leases = suite("one fetch for all");
/** Each is a start of Node, which is what this takes. */
const CLIENTS = roundsOf(1) > 1 ? 64 : 24;
/** Starts of Node at a time: more are no faster on a few cores, and time out on them. */
const BATCH = 8;

async function startClients(socketPath: string, into: Child[]): Promise<void> {
  while (into.length < CLIENTS) {
    const batch = Array.from({ length: BATCH }, () => new Child("./fetcher", [socketPath]));
    into.push(...batch);
    await Promise.all(batch.map((child) => child.says("ready")));
  }
}

const fetching = (clients: readonly Child[], block: number): Child[] =>
  clients.filter((client) => client.hasSaid(`fetching ${block}`));

/** All have got the block with the right bytes. @returns how many were served by whom: kinds and their counts. */
async function kindsOf(clients: readonly Child[], block: number): Promise<Record<string, number>> {
  const kinds: Record<string, number> = {};
  for (const { kind, right } of await Promise.all(clients.map((client) => client.says(`got ${block}`)))) {
    assert.equal(right, true);
    kinds[String(kind)] = (kinds[String(kind)] ?? 0) + 1;
  }
  return kinds;
}

leases(
  `${CLIENTS} processes that miss on one block fetch it once, and once more if the first dies`,
  async () => {
    await withDirectory(async (directory) => {
      await withDaemons(async (start) => {
        const daemon = start(directory, ["--capacity", "64MiB"]);
        const watcher = await daemon.connect(10_000);
        const clients: Child[] = [];
        try {
          await startClients(daemon.socketPath, clients);
          for (const client of clients) client.tell(0);
          assert.deepEqual(await kindsOf(clients, 0), { lease: 1, hit: CLIENTS - 1 });
          assert.equal(fetching(clients, 0).length, 1);

          for (const client of clients) client.tell(1);
          const waiting = async () => (await watcher.status()).leases.waiting;
          await until(
            async () => (await waiting()) === CLIENTS - 1 && fetching(clients, 1).length > 0,
            20_000,
          );
          const [holder, ...others] = fetching(clients, 1);
          assert.ok(holder !== undefined && others.length === 0, "one fetches");
          await holder.kill();
          const left = clients.filter((client) => client !== holder);
          await until(async () => (await waiting()) === CLIENTS - 2 && fetching(left, 1).length > 0, 20_000);
          const [next, ...more] = fetching(left, 1);
          assert.ok(next !== undefined && more.length === 0, "one more fetches");
          next.tell("put");
          assert.deepEqual(await kindsOf(left, 1), { lease: 1, hit: CLIENTS - 2 });
          assert.equal(fetching(left, 1).length, 1);

          const status = await watcher.status();
          assert.deepEqual(status.leases, { held: 0, waiting: 0, given: 3 });
          assert.equal(status.puts, 2);
          await watcher.close();
          assert.equal(await daemon.end("SIGTERM"), 0);
        } finally {
          await Promise.all(clients.map((client) => client.kill()));
        }
      });
    });
  },
);

leases("a stop of the daemon does not wait for those who wait for a fetch", async () => {
  await withDirectory(async (directory) => {
    await withDaemons(async (start) => {
      const daemon = start(directory, ["--capacity", "64MiB"]);
      const client = await daemon.connect();
      const tag = { fs: "f", volume: "v", inode: "i", block: 0 };
      assert.equal((await client.getOrLease(tag)).kind, "lease");
      const waiting = client.getOrLease(tag, { waitMs: 60_000 });
      await until(async () => (await client.status()).leases.waiting === 1);
      const beganMs = performance.now();
      assert.equal(await daemon.end("SIGTERM"), 0);
      assert.ok(performance.now() - beganMs < 4000, "a stop takes no longer than without them");
      const result = await waiting;
      assert.equal(result.kind, "bypass");
      await client.close();
    });
  });
});

leases.run();
