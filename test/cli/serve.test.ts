import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { onlyLine, run, startDaemon, withDirectory } from "./run-cli.js";

const test = suite("serve");
const TAG = ["--fs", "f", "--volume", "v", "--inode", "i", "--block", "0"];

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} stops clean, and the next start finds everything`, async () => {
    await withDirectory(async (directory) => {
      const daemon = await startDaemon(directory);
      await daemon.run(["put", ...TAG], { input: "kept" });
      daemon.child.kill(signal);
      assert.equal(await daemon.exited, 0);
      assert.match(daemon.log(), new RegExp(`stopping asked=${signal}`));
      const next = await startDaemon(directory);
      assert.match(next.log(), /start=clean action=none/);
      assert.equal((await next.run(["get", ...TAG])).stdout, "kept");
      next.child.kill("SIGTERM");
      assert.equal(await next.exited, 0);
    });
  });
}

test("a second signal changes nothing", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    daemon.child.kill("SIGTERM");
    daemon.child.kill("SIGINT");
    assert.equal(await daemon.exited, 0);
  });
});

test("a third signal ends it at once, and the next start wipes and says so", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    await daemon.run(["put", ...TAG], { input: "lost" });
    // Stopped, so that all three are waiting for it when it goes on.
    daemon.child.kill("SIGSTOP");
    daemon.child.kill("SIGTERM");
    daemon.child.kill("SIGINT");
    daemon.child.kill("SIGCONT");
    // Two of one kind would be one if they came while it is stopped.
    const again = setInterval(() => daemon.child.kill("SIGTERM"), 1);

    assert.equal(await daemon.exited, 130);
    clearInterval(again);
    assert.match(daemon.log(), /ended at once; the next start will wipe/);
    const next = await startDaemon(directory);
    // Unless the third came when all was done but the end.
    const whole = /start=clean action=none/.test(next.log());
    if (!whole) assert.match(next.log(), /start=unclean action=wipe/);
    assert.equal((await next.run(["get", ...TAG])).status, whole ? 0 : 1);
    next.child.kill("SIGTERM");
    await next.exited;
  });
});

test("goes on without a reader of its log, and still stops clean", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    await daemon.run(["put", ...TAG], { input: "kept" });
    daemon.child.stderr.destroy();
    for (const level of ["debug", "info"]) await daemon.run(["config", "set", `log-level=${level}`]);
    daemon.child.kill("SIGTERM");
    assert.equal(await daemon.exited, 0);
    const next = await startDaemon(directory);
    assert.match(next.log(), /start=clean action=none/);
    assert.equal((await next.run(["get", ...TAG])).stdout, "kept");
    next.child.kill("SIGTERM");
    await next.exited;
  });
});

test("a second daemon is told who owns the directory", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    const second = await run(["serve", "--dir", directory]);
    assert.equal(second.status, 75);
    assert.match(onlyLine(second), new RegExp(`\\b${daemon.child.pid}\\b`));
    daemon.child.kill("SIGTERM");
    assert.equal(await daemon.exited, 0);
  });
});

test("logs its capacity at start, one line an event with time and level", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    daemon.child.kill("SIGTERM");
    await daemon.exited;
    for (const line of daemon.log().trimEnd().split("\n")) {
      assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (info|warn|error) \S/);
    }
    assert.match(daemon.log(), /info serving .*capacity="64\.0 MiB"/);
  });
});

test("logs JSON when asked, and little at level error", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory, ["--log-format", "json"]);
    daemon.child.kill("SIGTERM");
    await daemon.exited;
    const lines = daemon
      .log()
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.ok(lines.some(({ message, level }) => message === "serving" && level === "info"));
    assert.ok(lines.every(({ time }) => !Number.isNaN(Date.parse(time))));
  });
});

test("serves metrics and its health over HTTP when asked, on this machine alone unless told otherwise", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory, ["--metrics", ":0"]);
    await daemon.run(["put", ...TAG], { input: "kept" });
    const address = /metrics over HTTP address=(127\.0\.0\.1:\d+)/.exec(daemon.log())?.[1] ?? "";
    const metrics = await (await fetch(`http://${address}/metrics`)).text();
    assert.match(metrics, /^tagcache_volume_puts_total\{fs="f",volume="v"\} 1$/m);
    assert.equal((await fetch(`http://${address}/healthz`)).status, 200);
    const next = join(directory, "next");
    const taken = await run([
      "serve",
      "--dir",
      next,
      "--capacity",
      "64MiB",
      "--metrics",
      address,
      "--log-level",
      "error",
    ]);
    assert.equal(taken.status, 75);
    assert.match(onlyLine(taken), /Cannot serve metrics on 127\.0\.0\.1:\d+: EADDRINUSE/);
    const elsewhere = ["--metrics", "192.0.2.1:9100", "--log-level", "error"];
    const refused = await run(["serve", "--dir", next, "--capacity", "64MiB", ...elsewhere]);
    assert.equal(refused.status, 78);
    assert.match(onlyLine(refused), /Cannot serve metrics on 192\.0\.2\.1:9100: EADDRNOTAVAIL/);
    daemon.child.kill("SIGTERM");
    assert.equal(await daemon.exited, 0);
    assert.equal((await run(["fsck", "--dir", next])).status, 0, "whoever cannot listen stops clean");
    await assert.rejects(fetch(`http://${address}/healthz`));
  });
});

test("a bug is one line and exit status 70, and the next start wipes", async () => {
  await withDirectory(async (directory) => {
    // A module that is loaded first brings the bug; the daemon's own code has no switch for one.
    const bug = "process.on('SIGUSR2', () => { throw new Error('planted'); });";
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(bug)}` };
    const daemon = await startDaemon(directory, [], env);
    daemon.child.kill("SIGUSR2");
    assert.equal(await daemon.exited, 70);
    const last = daemon.log().trimEnd().split("\n").at(-1) ?? "";
    assert.match(last, /error ended by an internal error: planted; the next start will wipe/);
    assert.doesNotMatch(daemon.log(), /^\s+at /m);
    const next = await startDaemon(directory);
    assert.match(next.log(), /start=unclean action=wipe/);
    next.child.kill("SIGTERM");
    await once(next.child, "exit");
  });
});

test("a group that does not exist is one line and exit 78, and nothing is made", async () => {
  await withDirectory(async (directory) => {
    const cache = join(directory, "cache");
    const refused = await run(["serve", "--dir", cache, "--group", "no-such-group"]);
    assert.equal(refused.status, 78);
    assert.equal(onlyLine(refused), 'tagcache: Cannot use group "no-such-group": there is no such group');
    assert.equal(existsSync(cache), false);
    const dump = await run(["config", "dump", "--json", "--dir", cache], {
      env: { TAGCACHE_GROUP: "staff" },
    });
    const entries = JSON.parse(dump.stdout) as Array<{ key: string; value: string; source: string }>;
    const group = entries.find(({ key }) => key === "group");
    assert.equal(group?.value, "staff");
    assert.equal(group?.source, "environment");
  });
});

test.run();
