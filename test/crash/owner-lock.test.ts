/** One owner: everybody else is told who it is, nobody waits, and a dead owner is none. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { suite } from "uvu";
import { openCache, wipeDirectory } from "../../engine/cache.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { isCacheError } from "../../index/core/errors.js";
import { Child, program } from "./children.js";
import { SMALL, expectInOrder, say, withCache, withDirectory } from "./support.js";

const ownerLock = suite("owner lock");
const STARTERS = 8;
const FREE_MS_MAX = 1000;

function busyOf(pid: number): (error: unknown) => boolean {
  return (error) => isCacheError(error, "E_BUSY") && new RegExp(`\\bprocess ${pid}\\b`).test(error.message);
}

async function withStarters(
  directory: string,
  count: number,
  body: (starters: readonly Child[]) => Promise<void>,
): Promise<void> {
  const starters = Array.from({ length: count }, () => new Child("./starter", [directory]));
  try {
    await Promise.all(starters.map((starter) => starter.says("ready")));
    await body(starters);
  } finally {
    await Promise.all(starters.map((starter) => starter.kill()));
  }
}

ownerLock("names the owner's pid to whoever comes second, in this process and in another one", async () => {
  await withDirectory(async (directory) => {
    const mine = busyOf(process.pid);
    await withCache({ directory, ...SMALL }, async () => {
      await assert.rejects(openCache({ directory, ...SMALL }), mine);
      await assert.rejects(wipeDirectory({ directory }), mine);
      await assert.rejects(fsckDirectory({ directory, deep: true }), mine);
      await withStarters(directory, 1, async ([other]) => {
        other?.tell("go");
        const { message } = (await other?.says("busy")) ?? { message: "" };
        assert.match(String(message), new RegExp(`process ${process.pid} `));
        assert.equal(await other?.exit(), 75);
      });
    });
    await expectInOrder(directory);
  });
});

ownerLock(
  "refuses open, wipe and fsck beside an owner in another process, and is free at once when it dies",
  async () => {
    await withDirectory(async (directory) => {
      for (let round = 0; round < 3; round += 1) {
        await withStarters(directory, 1, async ([owner]) => {
          assert.ok(owner !== undefined);
          owner.tell("go");
          await owner.says("owner");
          const lock = statSync(join(directory, "lock")).ino;
          await assert.rejects(openCache({ directory, ...SMALL }), busyOf(owner.pid));
          await assert.rejects(wipeDirectory({ directory }), busyOf(owner.pid));
          await assert.rejects(fsckDirectory({ directory, deep: true }), busyOf(owner.pid));
          await owner.kill();
          const beganMs = performance.now();
          await withCache({ directory, ...SMALL }, async (cache) => {
            assert.ok(performance.now() - beganMs < FREE_MS_MAX, "not free at once");
            assert.equal((await cache.status()).start.kind, "unclean");
          });
          assert.equal(statSync(join(directory, "lock")).ino, lock, "the lock file was replaced");
        });
      }
      await wipeDirectory({ directory });
      await expectInOrder(directory);
    });
  },
);

ownerLock(
  `lets one of ${STARTERS} racing starters win, in a new directory and in one that is there`,
  async () => {
    await withDirectory(async (parent) => {
      const directory = join(parent, "cache");
      for (const kind of ["new", "clean"]) {
        await withStarters(directory, STARTERS, async (starters) => {
          for (const starter of starters) starter.tell("go");
          const won = await Promise.all(starters.map((starter) => starter.getsTo("owner")));
          assert.equal(won.filter(Boolean).length, 1);
          const winner = starters[won.indexOf(true)] as Child;
          assert.equal((await winner.says("owner"))["kind"], kind);
          for (const loser of starters.filter((starter) => starter !== winner)) {
            assert.equal(await loser.exit(), 75);
            const { message } = await loser.says("busy");
            assert.match(String(message), new RegExp(`process ${winner.pid} owns it`));
          }
          assert.equal(readFileSync(join(directory, "lock"), "latin1"), `${winner.pid}\n`);
        });
        await withCache({ directory, ...SMALL }, async () => undefined);
      }
      await expectInOrder(directory);
    });
  },
);

ownerLock("holds between two pid namespaces", async () => {
  const unshare = ["--pid", "--fork", "--kill-child", "--mount-proc"];
  if (spawnSync("unshare", [...unshare, "true"]).status !== 0) {
    say("  SKIPPED: a pid namespace may not be made here (unshare --pid --mount-proc)");
    return;
  }
  await withDirectory(async (directory) => {
    const { script, flags } = program("./starter");
    await withCache({ directory, ...SMALL }, async () => {
      // The other namespace has its own pids, so only the message's number is of use there.
      const other = spawn("unshare", [...unshare, process.execPath, ...flags, script, directory], {
        stdio: ["ignore", "ignore", "inherit", "ipc"],
      });
      try {
        const messages: unknown[] = [];
        other.on("message", (message) => {
          messages.push(message);
          if (messages.length === 1) other.send("go");
        });
        const [status] = (await once(other, "exit")) as [number | null];
        assert.equal(status, 75, JSON.stringify(messages));
        assert.match(JSON.stringify(messages), new RegExp(`process ${process.pid} owns it`));
      } finally {
        other.kill("SIGKILL");
      }
    });
    await expectInOrder(directory);
  });
});

ownerLock("is free again after a stop and after a start that failed", async () => {
  await withDirectory(async (directory) => {
    await withCache({ directory, ...SMALL }, async () => undefined);
    await assert.rejects(openCache({ directory, ...SMALL, capacityBytes: 1 }), (error) =>
      isCacheError(error, "E_CONFIG"),
    );
    await withCache({ directory, ...SMALL }, async (cache) => {
      assert.equal((await cache.status()).start.kind, "clean");
      assert.equal(readFileSync(join(directory, "lock"), "latin1"), `${process.pid}\n`);
    });
  });
});

ownerLock.run();
