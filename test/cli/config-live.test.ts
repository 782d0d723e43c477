/** A daemon whose settings change: by `config set`, and by its file and SIGHUP. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { KEY_NAMES } from "../../cli/config/keys.js";
import { until } from "../daemon/with-server.js";
import type { Daemon } from "./run-cli.js";
import { MAIN, onlyLine, run, startServe, withDirectory } from "./run-cli.js";

const test = suite("config of a running daemon");
const LASTS = "This lasts until the daemon's next start, or until it reads its config file again\n";
const MIB = 1024 * 1024;

async function withConfigured(
  content: string,
  body: (daemon: Daemon, file: string) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    const cache = join(directory, "cache");
    writeFileSync(file, content);
    const daemon = await startServe(cache, ["--config", file, "--dir", cache]);
    try {
      await body(daemon, file);
    } finally {
      daemon.child.kill("SIGTERM");
      assert.equal(await daemon.exited, 0, daemon.log());
    }
  });
}

async function valueOf(daemon: Daemon, key: string): Promise<string> {
  const { status, stdout, stderr } = await daemon.run(["config", "get", key]);
  assert.equal(status, 0, stderr);
  return stdout.trimEnd();
}

/** Sends SIGHUP and waits until the log says what came of it. */
async function reload(daemon: Daemon, wanted: RegExp): Promise<string> {
  const before = daemon.log().length;
  daemon.child.kill("SIGHUP");
  await until(() => wanted.test(daemon.log().slice(before)));
  return daemon.log().slice(before);
}

/** What a daemon logs comes by a pipe, which may be later than its answer. */
async function untilLogged(daemon: Daemon, wanted: RegExp): Promise<void> {
  await until(() => wanted.test(daemon.log()));
}

test("get prints what stands: one alone bare, several with their names", async () => {
  await withConfigured('capacity = "64MiB"\nlog-level = "debug"\n', async (daemon) => {
    assert.equal((await daemon.run(["config", "get", "capacity"])).stdout, "64MiB\n");
    const two = await daemon.run(["config", "get", "slots", "log-level"]);
    assert.equal(two.stdout, "slots = 2048\nlog-level = debug\n");
    const json = await daemon.run(["config", "get", "slots", "--json"]);
    assert.deepEqual(JSON.parse(json.stdout), { slots: "2048" });
    const all = await daemon.run(["config", "get"]);
    assert.equal(all.stdout.trimEnd().split("\n").length, KEY_NAMES.length);
    assert.match(all.stdout, new RegExp(`^dir = ${daemon.directory}$`, "m"));
    const unknown = await daemon.run(["config", "get", "slot"]);
    assert.equal(unknown.status, 64);
    assert.equal(onlyLine(unknown), 'tagcache: Cannot get "slot": unknown key, did you mean slots?');
  });
});

test("set changes several at once, and default goes back to the file", async () => {
  await withConfigured('capacity = "64MiB"\nbrun = 8\n', async (daemon, file) => {
    const set = await daemon.run(["config", "set", "capacity=32MiB", "brun=9", "shares=afs=..50,nfs/v=1.."]);
    assert.equal(set.status, 0, set.stderr);
    assert.equal(set.stdout, `capacity = 32MiB\nbrun = 9%\nshares = afs=..50%,nfs/v=1%..\n${LASTS}`);
    const status = JSON.parse((await daemon.run(["status", "--json"])).stdout);
    assert.equal(status.capacityBytes, 32 * MIB);
    assert.equal(status.slotsMax, 1024);
    await untilLogged(
      daemon,
      /info settings changed on request: capacity 64MiB → 32MiB, slots 2048 → 1024, brun 8% → 9%, shares \(none\) → afs=\.\.50%,nfs\/v=1%\.\.\n/,
    );
    const dump = await daemon.run(["config", "dump"]);
    assert.equal(onlyLine(dump), `tagcache: This is what the daemon on ${daemon.directory}/sock uses`);
    assert.match(dump.stdout, /^capacity = "32MiB" {2}# set while running$/m);
    assert.match(dump.stdout, /^slots = 1024 {2}# default$/m);
    assert.match(dump.stdout, /^dir = ".*" {2}# flag$/m);
    const copy = `${file}.copy`;
    writeFileSync(copy, dump.stdout);
    const check = await run(["config", "check", copy]);
    assert.equal(check.stdout, `${copy}: ok\n`, check.stderr);

    const back = await daemon.run(["config", "set", "capacity=default", "shares=", "--json"]);
    assert.deepEqual(JSON.parse(back.stdout), { capacity: "64MiB", shares: "" });
    assert.match(
      (await daemon.run(["config", "dump"])).stdout,
      /^capacity = "64MiB" {2}# file .*c\.toml:1$/m,
    );
    assert.equal(await valueOf(daemon, "brun"), "9%");
  });
});

test("set changes all or nothing, and says why", async () => {
  await withConfigured('capacity = "64MiB"\n', async (daemon) => {
    const before = (await daemon.run(["config", "get"])).stdout;
    for (const [pairs, status, line] of [
      [["slots=1000", "brun=many"], 64, /Cannot set brun to "many": want a percentage \(7%\)$/],
      [["slots=1000", "colour=1"], 64, /Cannot set "colour": unknown key, want one of capacity, slots, /],
      [["slots=1000", "slot=1"], 64, /Cannot set "slot": unknown key, did you mean slots\?$/],
      [["slots=1000", "dir=/x"], 78, /Cannot set dir while the daemon runs: it needs a restart$/],
      [
        ["slots=1000", "log-format=json"],
        78,
        /Cannot set log-format while the daemon runs: it needs a restart$/,
      ],
      [["slots=1000", "socket=default"], 78, /Cannot set socket while the daemon runs: it needs a restart$/],
      [
        ["slots=1000", "bcull=8"],
        78,
        /Cannot use bstop 3 %, bcull 8 %, brun 7 %: want bstop below bcull below brun$/,
      ],
      [["slots=1000", "capacity=1MiB"], 78, /Cannot use a capacity of 1048576 bytes: want at least 16 slots/],
      [["slots=1000", "log-level=debug", "shares=a=60..,b=60.."], 78, /minimum shares of 120 % together/],
    ] as const) {
      const finished = await daemon.run(["config", "set", ...pairs]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
      assert.equal(finished.stdout, "");
    }
    assert.equal((await daemon.run(["config", "get"])).stdout, before);
    assert.doesNotMatch(daemon.log(), /settings changed/);
  });
});

test("a smaller capacity gives back what no longer fits before set is done", async () => {
  await withConfigured('capacity = "64MiB"\n', async (daemon) => {
    const tag = ["--fs", "f", "--volume", "v", "--inode", "i"];
    for (let block = 0; block < 24; block += 1) {
      await daemon.run(["put", ...tag, "--block", String(block)], { input: Buffer.alloc(256 * 1024, block) });
    }
    assert.equal((await daemon.run(["config", "set", "capacity=5MiB"])).status, 0);
    const { usedBytes, indexBytes } = JSON.parse((await daemon.run(["status", "--json"])).stdout);
    assert.ok(usedBytes + indexBytes <= 5 * MIB, `${usedBytes} + ${indexBytes}`);
    const newest = await daemon.run(["get", ...tag, "--block", "23"]);
    assert.equal(newest.status, 0, "no more goes than has to");
  });
});

test("log-level changes at once", async () => {
  await withConfigured('capacity = "64MiB"\n', async (daemon) => {
    await daemon.run(["config", "set", "log-level=error"]);
    await untilLogged(daemon, /log-level info → error\n/);
    const before = daemon.log();
    await daemon.run(["config", "set", "brun=8"]);
    await daemon.run(["config", "set", "log-level=info"]);
    await daemon.run(["config", "set", "brun=9"]);
    await untilLogged(daemon, /settings changed on request: brun 8% → 9%\n/);
    assert.doesNotMatch(daemon.log().slice(before.length), /brun 7% → 8%/);
  });
});

test("a write budget stands at once: what comes first is a bypass, what comes again is stored", async () => {
  await withConfigured('capacity = "64MiB"\nwrite-daily = "1GiB"\n', async (daemon) => {
    const put = (block: string) =>
      daemon.run(["put", "--fs", "f", "--volume", "v", "--inode", "i", "--block", block], {
        input: "some bytes",
      });
    const first = await put("0");
    assert.equal(first.status, 75);
    assert.match(onlyLine(first), /write-budget/);
    assert.equal((await put("0")).status, 0);
    const text = (await daemon.run(["status"])).stdout;
    assert.match(
      text,
      /^writes +10 B to slots \(1\.00 for each stored\); 10 B of at most 1\.0 GiB a day; 1 spared, 10 B$/m,
    );
    const set = await daemon.run(["config", "set", "write-daily=none", "write-rate=0"]);
    assert.equal(set.stdout, `write-rate = none\nwrite-daily = none\n${LASTS}`, set.stderr);
    assert.equal((await put("1")).status, 0);
    for (const [pair, status, line] of [
      ["write-rate=1000", 78, /Cannot use a write budget of 1000 bytes: want 0 for none, or at least 4096$/],
      [
        "write-rate=5%",
        64,
        /Cannot set write-rate to "5%": want bytes \(1048576\), a size \(512MiB, 10G\) or none$/,
      ],
    ] as const) {
      const finished = await daemon.run(["config", "set", pair]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
    }
  });
});

test("SIGHUP reads the file again and drops what was set", async () => {
  await withConfigured('capacity = "64MiB"\n', async (daemon, file) => {
    await daemon.run(["config", "set", "brun=9", "capacity=48MiB"]);
    writeFileSync(file, 'capacity = "32MiB"\nlog-level = "warn"\nlog-format = "json"\n');
    const log = await reload(daemon, /settings changed by the file/);
    assert.match(log, /warn settings that need a restart: log-format text → json\n/);
    assert.match(
      log,
      /settings changed by the file: capacity 48MiB → 32MiB, slots 1536 → 1024, brun 9% → 7%, log-level info → warn\n/,
    );
    assert.equal(await valueOf(daemon, "capacity"), "32MiB");
    assert.equal(await valueOf(daemon, "log-format"), "text");
    const { capacityBytes } = JSON.parse((await daemon.run(["status", "--json"])).stdout);
    assert.equal(capacityBytes, 32 * MIB);
  });
});

test("SIGHUP with a wrong file, or none, logs one line and changes nothing", async () => {
  await withConfigured('capacity = "64MiB"\n', async (daemon, file) => {
    await daemon.run(["config", "set", "brun=9"]);
    const before = (await daemon.run(["config", "dump"])).stdout;
    const wrong: [string, RegExp][] = [
      ["capacity = 1GB", /settings stay as they were: Cannot read .*c\.toml:1:13: /],
      [
        'slots = 1000\nbogus = "x"',
        /settings stay as they were: Cannot read .*c\.toml:2:1: unknown key "bogus"/,
      ],
      ["slots = 15", /settings stay as they were: Cannot use 15 slots: want 16/],
    ];
    for (const [content, line] of wrong) {
      writeFileSync(file, content);
      const log = await reload(daemon, line);
      assert.equal(log.split("\n").filter((text) => text.includes(" error ")).length, 1, log);
      assert.equal((await daemon.run(["config", "dump"])).stdout, before);
    }
    rmSync(file);
    await reload(daemon, /settings stay as they were: Cannot read .*c\.toml: there is no such file/);
    writeFileSync(file, 'capacity = "64MiB"\n');
    await reload(daemon, /settings changed by the file: brun 9% → 7%/);
  });
});

test("SIGHUP before the cache is open is not lost, and does not end the daemon", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "c.toml");
    writeFileSync(file, 'capacity = "64MiB"\n');
    // Loaded first: sends the signal as soon as somebody listens for it, which is before anything is opened.
    const hup = `process.on("newListener", (name) => { if (name === "SIGHUP") setImmediate(() => process.kill(process.pid, "SIGHUP")); });`;
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hup)}` };
    const cache = join(directory, "cache");
    const daemon = await startServe(cache, ["--config", file, "--dir", cache], env);
    await until(() => daemon.log().includes(`info reading ${file}`));
    await until(() => daemon.log().includes("info no settings changed"));
    assert.equal(daemon.child.exitCode, null);
    daemon.child.kill("SIGTERM");
    assert.equal(await daemon.exited, 0);
  });
});

test("a terminal that goes away ends it clean", async () => {
  await withDirectory(async (directory) => {
    // Python has the only pseudo terminal at hand: it starts the daemon on one, and then lets go of it.
    const script = `
import os, pty, sys, time
pid, fd = pty.fork()
if pid == 0: os.execv(sys.argv[1], sys.argv[1:])
text = b""
while b"serving" not in text: text += os.read(fd, 4096)
os.close(fd)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
`;
    const args = ["-c", script, process.execPath, MAIN, "serve", "--dir", directory, "--capacity", "64MiB"];
    const ended = spawnSync("python3", args, {
      env: { ...process.env, TAGCACHE_CONFIG: "/dev/null" },
      timeout: 20_000,
    });
    if (ended.error !== undefined) return; // no Python here
    assert.equal(ended.status, 0, ended.stderr.toString());
    const next = await startServe(directory, ["--dir", directory, "--capacity", "64MiB"]);
    assert.match(next.log(), /start=clean action=none/);
    next.child.kill("SIGTERM");
    assert.equal(await next.exited, 0);
  });
});

test.run();
