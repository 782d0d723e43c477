/**
 * SIGKILL of daemons at random moments, one after another, while clients stay: no client sees a byte that nobody stored, or
 * one that was made stale and answered as such before the kill. Two kills here, 1,000 in make torture.
 */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { KEYS } from "../../cli/config/keys.js";
import { roundsOf, tellDone } from "../support/effort.js";
import { until } from "../support/temp-cache.js";
import { Child } from "./children.js";
import { type Daemon, withDaemons } from "./daemons.js";
import type { ResidentCounts } from "./resident.js";
import { between, expectInOrder, say, seedOfRun, seededRandom, withDirectory } from "./support.js";

const killDaemon = suite("kills of the daemon");
const EFFORT = roundsOf(1);
const KILLS = EFFORT > 1 ? 100 * EFFORT : 2;
const CLIENTS = 2;
/** Long enough for clients to find the next daemon now and then, short enough to be in the middle of things. */
const LIFE_MS = [20, 900] as const;
/** Between the last look at the counters and the kill, so that kills are not in step with looks. */
const STATUS_GAP_MS = 20;
const ARGS = ["--capacity", "32MiB", "--log-level", "error", "--on-unclean"];
/** A call ends by its deadline, and may then have waited for a lease of the processor. */
const SLOWEST_MS_MAX = 4000;
const REGIMES = (["wipe", "verify"] as const).filter(
  (regime) => KEYS["on-unclean"].grammar.read(regime).kind === "value",
);

async function totalOf(clients: readonly Child[]): Promise<ResidentCounts> {
  const total: ResidentCounts = { hits: 0, misses: 0, bypassed: 0, stored: 0, slowestMs: 0, wrong: [] };
  for (const client of clients) client.tell("end");
  for (const client of clients) {
    const counts = (await client.says("done")) as unknown as ResidentCounts;
    for (const name of ["hits", "misses", "bypassed", "stored"] as const) total[name] += counts[name];
    total.slowestMs = Math.max(total.slowestMs, counts.slowestMs);
    total.wrong.push(...counts.wrong);
  }
  return total;
}

for (const onUnclean of REGIMES) {
  const kills = Math.ceil(KILLS / REGIMES.length);
  killDaemon(`clients that stay see nothing wrong over ${kills} kills, with ${onUnclean}`, async () => {
    const seed = seedOfRun();
    const random = seededRandom(seed);
    say(`  CRASH_SEED=${seed}`);
    await withDirectory(async (directory) => {
      await withDaemons(async (start) => {
        const serve = (): Daemon => start(directory, [...ARGS, onUnclean]);
        let daemon = serve();
        let directHits = 0;
        await (await daemon.connect()).close();
        const args = (number: number) => [daemon.socketPath, String(number), String(CLIENTS)];
        const clients = Array.from({ length: CLIENTS }, (_, number) => new Child("./resident", args(number)));
        try {
          for (const client of clients) await client.says("ready");
          for (let kill = 0; kill < kills; kill += 1) {
            const watcher = await daemon.connect();
            await sleep(between(random, ...LIFE_MS));
            const told = async (): Promise<number> => (await watcher.status()).counters.directHits;
            // The first daemon dies beside direct readers, however few the kills are.
            if (kill === 0) await until(async () => (await told()) > 0);
            directHits += await told();
            await watcher.close();
            await sleep(between(random, 0, STATUS_GAP_MS));
            await daemon.end("SIGKILL");
            daemon = serve();
            await (await daemon.connect()).close();
          }
          await sleep(LIFE_MS[1]);
          const total = await totalOf(clients);
          assert.deepEqual(total.wrong, []);
          assert.ok(total.hits > kills && total.stored > kills && total.bypassed > 0, JSON.stringify(total));
          assert.ok(total.slowestMs < SLOWEST_MS_MAX, `a call took ${total.slowestMs} ms`);
          assert.ok(directHits > 0, "the clients read slot files themselves");
          say(`  ${JSON.stringify({ ...total, directHits })}`);
          tellDone(kills, "kills of a daemon beside direct readers");
        } finally {
          for (const client of clients) await client.kill();
        }
        assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
      });
      await expectInOrder(directory);
    });
  });
}

killDaemon.run();
