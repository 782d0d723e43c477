/** The daemon's ends, good and bad, seen from its clients and from the next daemon. */
import assert from "node:assert/strict";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import { type BlockCache, SLOT_BYTES } from "../../engine/cache.js";
import type { CacheClient } from "../../engine/daemon/client.js";
import { type Daemon, withDaemons } from "./daemons.js";
import {
  type Stored,
  contentOf,
  expectHits,
  expectInOrder,
  expectMisses,
  putSome,
  seededRandom,
  withDirectory,
} from "./support.js";

const daemonEnds = suite("ends of the daemon");
const CLIENTS = 4;
const STARTERS = 6;
const BLOCKS_A_WRITER = 100;
const LOAD_MS = 500;
const STOP_MS_MAX = 10_000;
const DEADLINE_MS = 2000;
const ARGS = ["--capacity", "512MiB"];

interface Writing {
  readonly stored: Map<number, Stored>;
  readonly reasons: Set<string>;
  slowestMs: number;
}

/** Puts and reads back through one client until told to end; every answer must be a right one. */
async function write(client: BlockCache, writer: number, ends: () => boolean): Promise<Writing> {
  const writing: Writing = { stored: new Map(), reasons: new Set(), slowestMs: 0 };
  for (let step = 0; !ends(); step += 1) {
    const tag = { fs: "f", volume: `v${writer}`, inode: "i", block: step % BLOCKS_A_WRITER };
    const lengthBytes = SLOT_BYTES - (step % 5) * 4000;
    const beganMs = performance.now();
    const answer = await client.put(tag, contentOf(tag, step, lengthBytes));
    writing.slowestMs = Math.max(writing.slowestMs, performance.now() - beganMs);
    if (answer.kind === "stored") writing.stored.set(tag.block, { tag, version: step, lengthBytes });
    else {
      writing.reasons.add(answer.reason);
      await sleep(1); // answered at once, without a daemon
    }
  }
  return writing;
}

/** Keeps four clients writing, two puts in flight each, lets `act` happen meanwhile, and a moment later ends. */
async function underLoad(
  clients: readonly CacheClient[],
  act: () => Promise<void>,
): Promise<readonly Writing[]> {
  let ends = false;
  const writers = clients.flatMap((client, number) =>
    [0, 1].map((half) => write(client, 2 * number + half, () => ends)),
  );
  try {
    await sleep(LOAD_MS);
    await act();
    await sleep(100);
  } finally {
    ends = true;
  }
  return Promise.all(writers);
}

async function withClients(daemon: Daemon, body: (clients: CacheClient[]) => Promise<void>): Promise<void> {
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => daemon.connect(DEADLINE_MS)));
  try {
    await body(clients);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function startOf(daemon: Daemon): Promise<{ kind: string; epoch: number }> {
  const client = await daemon.connect();
  const { start, epoch } = await client.status();
  await client.close();
  return { kind: start.kind, epoch };
}

daemonEnds("stops clean on SIGTERM and SIGINT, with exit status 0", async () => {
  await withDirectory(async (directory) => {
    await withDaemons(async (start) => {
      let kind = "new";
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const daemon = start(directory, ARGS);
        assert.equal((await startOf(daemon)).kind, kind);
        assert.equal(await daemon.end(signal), 0, daemon.lines.join("\n"));
        assert.ok(daemon.lines.some((line) => line.includes("stopped clean")));
        kind = "clean";
      }
    });
    await expectInOrder(directory);
  });
});

daemonEnds("stops in time while four clients write, and has every block that it called stored", async () => {
  await withDirectory(async (directory) => {
    await withDaemons(async (start) => {
      const daemon = start(directory, ARGS);
      await withClients(daemon, async (clients) => {
        let stopMs = 0;
        const writings = await underLoad(clients, async () => {
          const beganMs = performance.now();
          assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
          stopMs = performance.now() - beganMs;
        });
        assert.ok(stopMs < STOP_MS_MAX, `the stop took ${stopMs} ms`);
        const next = start(directory, ARGS);
        const client = await next.connect();
        assert.equal((await client.status()).start.kind, "clean");
        const stored = writings.flatMap((writing) => [...writing.stored.values()]);
        assert.ok(stored.length > CLIENTS);
        await expectHits(client, stored);
        await client.close();
        assert.equal(await next.end("SIGTERM"), 0);
      });
    });
    await expectInOrder(directory);
  });
});

daemonEnds(
  "is bypassed by its clients after SIGKILL; the next one wipes before it answers and says why",
  async () => {
    await withDirectory(async (directory) => {
      await withDaemons(async (start) => {
        const daemon = start(directory, ARGS);
        const { epoch } = await startOf(daemon);
        await withClients(daemon, async (clients) => {
          const writings = await underLoad(clients, async () => {
            await daemon.end("SIGKILL");
          });
          for (const { reasons, slowestMs } of writings) {
            assert.ok(reasons.size > 0 && !reasons.has("io-error"), [...reasons].join());
            assert.ok(slowestMs < 2 * DEADLINE_MS, `a put took ${slowestMs} ms`);
          }
          const next = start(directory, ARGS);
          const first = await next.connect(); // answered as soon as anybody is
          const stored = writings.flatMap((writing) => [...writing.stored.values()]);
          await expectMisses(
            first,
            stored.map(({ tag }) => tag),
          );
          const status = await first.status();
          assert.deepEqual([status.start.kind, status.start.action], ["unclean", "wipe"]);
          assert.equal(status.epoch, epoch + 1);
          assert.ok(
            next.lines.some((line) => / info wiped at start: the last owner did not stop clean/.test(line)),
            next.lines.join("\n"),
          );
          // The old clients come back by themselves.
          const [old] = clients as [CacheClient];
          let after: Stored[] = [];
          for (let tries = 0; after.length === 0 && tries < 100; tries += 1) {
            await sleep(50);
            after = await putSome(old, seededRandom(1), { fs: "after", count: 10 });
          }
          assert.equal(after.length, 10);
          await expectHits(first, after);
          await first.close();
          assert.equal(await next.end("SIGTERM"), 0);
        });
      });
      await expectInOrder(directory);
    });
  },
);

daemonEnds(
  `serves once when ${STARTERS} start at once; the others say who does and exit with 75`,
  async () => {
    await withDirectory(async (parent) => {
      const directory = `${parent}/cache`;
      await withDaemons(async (start) => {
        const daemons = Array.from({ length: STARTERS }, () => start(directory, ARGS));
        // The one that serves does not end.
        const losers: Daemon[] = [];
        await new Promise<void>((resolve, reject) => {
          for (const daemon of daemons) {
            daemon.exit().then(() => {
              losers.push(daemon);
              if (losers.length === STARTERS - 1) resolve();
            }, reject);
          }
        });
        const winner = daemons.find((daemon) => !losers.includes(daemon));
        assert.ok(winner !== undefined);
        for (const loser of losers) {
          assert.equal(await loser.exit(), 75, loser.lines.join("\n"));
          assert.equal(loser.lines.length, 1, loser.lines.join("\n"));
          assert.match(loser.lines[0] ?? "", new RegExp(`process ${winner.pid} owns it`));
        }
        assert.equal((await startOf(winner)).kind, "new");
        assert.equal(await winner.end("SIGTERM"), 0);
      });
      await expectInOrder(directory);
    });
  },
);

daemonEnds(
  "ends with one line and status 70 on a bug, and the next one wipes; the same after SIGABRT",
  async () => {
    await withDirectory(async (directory) => {
      await withDaemons(async (start) => {
        const first = start(directory, ARGS, "./bomb");
        await startOf(first);
        const before = first.lines.length;
        assert.equal(await first.end("SIGUSR2"), 70);
        const lines = first.lines.slice(before).filter((line) => !line.includes(" info "));
        assert.equal(lines.length, 1, first.lines.join("\n"));
        assert.match(lines[0] ?? "", /a bug on purpose, told in two lines/);
        const second = start(directory, ARGS);
        assert.equal((await startOf(second)).kind, "unclean");
        assert.equal(await second.end("SIGABRT"), null);
        const third = start(directory, ARGS);
        assert.equal((await startOf(third)).kind, "unclean");
        assert.equal(await third.end("SIGTERM"), 0);
      });
      await expectInOrder(directory);
    });
  },
);

daemonEnds.run();
