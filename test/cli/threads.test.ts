import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { MAIN, startDaemon, withDirectory } from "./run-cli.js";

const test = suite("threads of serve");

const threadsOf = (pid: number | undefined): number => readdirSync(`/proc/${pid}/task`).length;

async function threadsWith(env: Record<string, string>): Promise<{ threads: number; log: string }> {
  let found = { threads: 0, log: "" };
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(join(directory, "cache"), [], env);
    // The pool is made whole at its first use, and a start reads and writes.
    found = { threads: threadsOf(daemon.child.pid), log: daemon.log() };
    const owner = readFileSync(join(directory, "cache", "lock"), "utf8");
    assert.match(owner, new RegExp(`\\b${daemon.child.pid}\\b`), "the process that was started is the owner");
    daemon.child.kill("SIGTERM");
    assert.equal(await daemon.exited, 0);
  });
  return found;
}

test("there are 16 for slow calls unless the environment says otherwise, which is warned of if few", async () => {
  assert.match(MAIN, /tagcache\.cjs$/);
  const usual = await threadsWith({ UV_THREADPOOL_SIZE: "" });
  const one = await threadsWith({ UV_THREADPOOL_SIZE: "1" });
  const many = await threadsWith({ UV_THREADPOOL_SIZE: "40" });
  assert.equal(usual.threads - one.threads, 15);
  assert.equal(many.threads - one.threads, 39);
  assert.doesNotMatch(usual.log, /few threads/);
  assert.match(one.log, /few threads .*threads=1 want=8/);
});

test.run();
