/** A daemon that stands still under the load of many processes: each of their requests is answered in time all the same. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { Child } from "./children.js";
import { withDaemons } from "./daemons.js";
import { withDirectory } from "./support.js";

const deadlines = suite("deadlines");
const CLIENTS = 8;
const DEADLINE_MS = 500;
/** What an answer may be late by the client itself: it computes for tens of milliseconds where many share a processor. */
const LATE_MS = 100;

interface Counts {
  readonly served: number;
  readonly bypassed: Record<string, number>;
  readonly lateMs: number;
  readonly latestRawMs: number;
}

deadlines(`with the daemon stopped, ${CLIENTS} loaded clients wait no longer than they said`, async () => {
  await withDirectory(async (directory) => {
    await withDaemons(async (start) => {
      const daemon = start(directory, ["--capacity", "128MiB"]);
      await (await daemon.connect(10_000)).close();
      const args = [daemon.socketPath, `${DEADLINE_MS}`];
      const clients = Array.from({ length: CLIENTS }, () => new Child("./hurried", args));
      try {
        await Promise.all(clients.map((client) => client.says("ready")));
        for (const client of clients) client.tell("go");
        await sleep(1000);
        daemon.process.kill("SIGSTOP");
        await Promise.all(clients.map((client) => client.says("bypassed")));
        await sleep(1500);
        for (const client of clients) client.tell("look");
        daemon.process.kill("SIGCONT");
        await Promise.all(clients.map((client) => client.says("back")));
        for (const client of clients) client.tell("stop");
        const all = await Promise.all(clients.map((client) => client.says("done")));
        for (const { served, bypassed, lateMs, latestRawMs } of all as unknown as Counts[]) {
          const told = JSON.stringify({ served, bypassed, lateMs, latestRawMs });
          assert.ok(served > 0 && (bypassed["timeout"] ?? 0) > 0, told);
          assert.ok(lateMs <= LATE_MS, told);
        }
        assert.equal(await daemon.end("SIGTERM"), 0);
      } finally {
        await Promise.all(clients.map((client) => client.kill()));
      }
    });
  });
});

deadlines.run();
