/** CVMFS clients and their daemon, killed at random points. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { PluginClient, S, TYPE } from "../daemon/cvmfs/plugin-client.js";
import { bytesOf, expectSound, until } from "../support/temp-cache.js";
import { Child } from "./children.js";
import { type Daemon, withDaemons } from "./daemons.js";
import { between, say, seededRandom, seedOfRun, withDirectory } from "./support.js";

const kills = suite("kills of CVMFS clients and their daemon");
const CLIENTS = 3;
const KILLS = 3;
const DAEMON_KILLS = 1;
/** Other tests may have the machine meanwhile. */
const PATIENT_MS = 60_000;

async function answering(daemon: Daemon, locator: string): Promise<PluginClient> {
  let client: PluginClient | undefined;
  await until(async () => {
    assert.ok(!daemon.ended, daemon.lines.join("\n"));
    client = await PluginClient.connect(locator, "witness").catch(() => undefined);
    return client !== undefined;
  }, PATIENT_MS);
  return client as PluginClient;
}

kills("leave no reference and no part of an object behind, and never a wrong byte", async () => {
  const seed = seedOfRun();
  say(`seed ${seed}`);
  const random = seededRandom(seed);
  await withDirectory(async (place) => {
    const directory = join(place, "cache");
    const locator = `unix=${join(place, "cvmfs")}`;
    const args = ["--capacity", "32MiB", "--cvmfs", locator];
    await withDaemons(async (start) => {
      let daemon = start(directory, args);
      let witness = await answering(daemon, locator);
      const workers = new Map<number, Child>();
      const crumbs = new Map<number, number>();
      const newWorker = (number: number): void => {
        workers.set(number, new Child("./cvmfs-worker", [locator, String(seed + number)]));
      };
      try {
        for (let number = 0; number < CLIENTS; number += 1) newWorker(number);
        for (let kill = 0; kill < KILLS; kill += 1) {
          await sleep(between(random, 20, 200));
          const [number, worker] = [...workers][between(random, 0, workers.size - 1)] as [number, Child];
          await worker.says("connected");
          await worker.kill();
          workers.delete(number);
          newWorker(CLIENTS + kill);
        }
        for (let kill = 0; kill < DAEMON_KILLS; kill += 1) {
          await sleep(between(random, 100, 400));
          for (const [number, worker] of workers) crumbs.set(number, worker.last("timestamp") as number);
          await daemon.end("SIGKILL");
          daemon = start(directory, args);
          witness = await answering(daemon, locator);
          for (const [number, timestamp] of crumbs) {
            if (timestamp === undefined) continue;
            const found = await witness.loadBreadcrumb(`repo ${seed + number}`);
            assert.equal(found.status, S.ok);
            assert.ok((found.timestamp as bigint) >= BigInt(timestamp), "what was acknowledged is there");
          }
        }
        for (const worker of workers.values()) worker.tell("end");
        for (const worker of workers.values()) await worker.says("done");
      } finally {
        await Promise.all([...workers.values()].map((worker) => worker.kill()));
      }
      await until(async () => (await witness.info()).pinned === 0, PATIENT_MS);
      for (const type of Object.values(TYPE))
        for (const { pinned } of await witness.list(type)) assert.equal(pinned, false);
      assert.deepEqual(await witness.shrink(0), { status: S.ok, used: 0 });
      const kept = await witness.put(bytesOf(1, 1000));
      assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
      daemon = start(directory, args);
      witness = await answering(daemon, locator);
      assert.ok((await witness.readAll(kept))?.equals(bytesOf(1, 1000)));
      assert.equal(await daemon.end("SIGTERM"), 0);
    });
    await expectSound(directory);
  });
});

kills.run();
