import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { suite } from "uvu";
import { PluginClient, S, TYPE, hashOf } from "../daemon/cvmfs/plugin-client.js";
import { MAIN, type Daemon, onlyLine, run, startServe, withDirectory } from "./run-cli.js";

const test = suite("serve --cvmfs");
const FOO = Buffer.from("foo");
const CAPACITY = ["--capacity", "64MiB"];

/** Ends what a test that failed has left running. */
const running = new Set<{ kill(signal: "SIGKILL"): boolean }>();

test.after.each(() => {
  for (const child of running) child.kill("SIGKILL");
  running.clear();
});

async function serve(...args: Parameters<typeof startServe>): Promise<Daemon> {
  const daemon = await startServe(...args);
  running.add(daemon.child);
  return daemon;
}

async function end(daemon: Daemon): Promise<void> {
  daemon.child.kill("SIGTERM");
  assert.equal(await daemon.exited, 0, daemon.log());
}

test("serves CVMFS clients beside its own, and its objects are files like others, over a restart", async () => {
  await withDirectory(async (directory) => {
    const locator = `unix=${join(directory, "cvmfs")}`;
    const cache = join(directory, "cache");
    const args = ["--dir", cache, ...CAPACITY, "--cvmfs", locator];
    const types = {
      c1: TYPE.catalog,
      r1: TYPE.regular,
      v1: TYPE.volatile,
      c2: TYPE.catalog,
      r2: TYPE.regular,
      v2: TYPE.volatile,
    };
    const daemon = await serve(cache, args);
    assert.match(daemon.log(), /serving .*cvmfs="unix=/);
    assert.equal(statSync(join(directory, "cvmfs")).mode & 0o777, 0o600);
    const client = await PluginClient.connect(locator);
    for (const [name, type] of Object.entries(types)) await client.put(Buffer.from(name), { type });
    const listed = JSON.parse((await daemon.run(["ls", "cvmfs/sha1", "--json"])).stdout) as unknown[];
    assert.equal(listed.length, 6);
    const digest = `hex:${hashOf("r1").digest.toString("hex")}`;
    const got = await daemon.run([
      "get",
      "--fs",
      "cvmfs",
      "--volume",
      "sha1",
      "--inode",
      digest,
      "--block",
      "0",
    ]);
    assert.equal(got.stdout, "r1");
    assert.equal(await client.refcount(hashOf("c1"), 1), S.ok);
    assert.match((await daemon.run(["status"])).stdout, /open +1 files/);
    await end(daemon);
    await client.closed;

    const next = await serve(cache, args);
    const again = await PluginClient.connect(locator);
    assert.deepEqual(await again.readAll(hashOf("c1")), Buffer.from("c1"));
    assert.equal((await again.info()).used, 12);
    await again.shrink(8);
    const there = async (name: string): Promise<boolean> =>
      (await again.objectInfo(hashOf(name))).status === S.ok;
    assert.deepEqual([await there("v1"), await there("v2")], [false, false]);
    await again.shrink(4);
    assert.deepEqual([await there("r1"), await there("r2")], [false, false], "catalogs last among equals");
    await end(next);
  });
});

test("serves them without a socket of its own, as variable or file say, and a port of the loopback", async () => {
  await withDirectory(async (directory) => {
    const cache = join(directory, "cache");
    const file = join(directory, "tagcache.toml");
    const path = join(directory, "cvmfs");
    writeFileSync(file, `dir = "${cache}"\ncapacity = "64MiB"\nsocket = "none"\ncvmfs = "unix=${path}"\n`);
    const daemon = await serve(cache, ["--config", file]);
    const client = await PluginClient.connect(`unix=${path}`);
    await client.put(FOO);
    assert.ok(!existsSync(join(cache, "sock")));
    const asked = await run(["status", "--config", file]);
    assert.equal(asked.status, 69);
    assert.match(onlyLine(asked), /"socket" is none/);
    const checked = await run(["config", "check", file]);
    assert.equal(checked.status, 0, checked.stderr);
    await end(daemon);
    await client.closed;

    const port = await serve(cache, ["--config", file], { TAGCACHE_CVMFS: "tcp=127.0.0.1:0" });
    const [, locator = ""] = /cvmfs="(tcp=127\.0\.0\.1:\d+)"/.exec(port.log()) ?? [];
    const other = await PluginClient.connect(locator);
    assert.equal(other.handshake.has(8), false, "no process id for a port");
    assert.deepEqual(await other.readAll(hashOf(FOO)), FOO);
    await other.close();
    await end(port);
  });
});

test("refuses what it can't serve, in one line", async () => {
  await withDirectory(async (directory) => {
    const cache = ["--dir", join(directory, "cache"), ...CAPACITY];
    const wrong: ReadonlyArray<readonly [args: string[], status: number, line: RegExp]> = [
      [["--cvmfs", "tcp=0.0.0.0:1234"], 64, /want unix=PATH, or tcp=HOST:PORT with a host of .* loopback/],
      [["--socket", "none"], 64, /Cannot serve with socket none and no cvmfs/],
      [["--cvmfs", `unix=${directory}`], 78, /exists and is no socket/],
      [["--cvmfs", "unix=/nonexistent/place"], 78, /Cannot listen for CVMFS clients/],
    ];
    for (const [args, status, line] of wrong) {
      const finished = await run(["serve", ...cache, ...args, "--log-level", "error"]);
      assert.equal(finished.status, status, finished.stderr);
      assert.match(finished.stderr, line);
    }
  });
});

/** A daemon that a client starts: descriptor 3 is the pipe that it waits on. */
function supervise(args: readonly string[]): {
  child: ChildProcess;
  told: Promise<string>;
  log: () => string;
  exited: Promise<number>;
} {
  const env = { ...process.env, TAGCACHE_CONFIG: "/dev/null", __CVMFS_CACHE_EXTERNAL_PIPE_READY__: "3" };
  const child = spawn(process.execPath, [MAIN, "serve", ...args], {
    env,
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  });
  running.add(child);
  let text = "";
  child.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  let answer = "";
  const pipe = child.stdio[3] as Readable;
  pipe.on("data", (chunk: Buffer) => (answer += chunk.toString()));
  const told = once(pipe, "end").then(() => answer);
  return { child, told, log: () => text, exited: once(child, "exit").then(([code]) => code as number) };
}

test("that a client has started tells it, and ends with the last client, unless one reloads", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "cvmfs");
    const args = [
      "--dir",
      join(directory, "cache"),
      ...CAPACITY,
      "--socket",
      "none",
      "--cvmfs",
      `unix=${path}`,
    ];
    const daemon = supervise(args);
    assert.equal(await daemon.told, "C", daemon.log());
    const client = await PluginClient.connect(`unix=${path}`, "repo");
    const second = supervise(args);
    assert.equal(await second.told, "C", "another one serves already");
    assert.equal(await second.exited, 0, second.log());
    assert.equal(await client.store(hashOf(FOO), FOO), S.ok);
    client.ioctl(1);
    await client.info();
    await client.close();
    const next = await PluginClient.connect(`unix=${path}`, "repo");
    next.ioctl(-1);
    assert.equal(await next.refcount(hashOf(FOO), -1), S.ok);
    assert.equal(daemon.child.exitCode, null);
    next.quit();
    await next.closed;
    assert.equal(await daemon.exited, 0, daemon.log());
    assert.match(daemon.log(), /no CVMFS client is left/);

    const failing = supervise([...args.slice(0, -1), "unix=/nonexistent/place"]);
    assert.equal(await failing.told, "F");
    assert.equal(await failing.exited, 78);
  });
});

test.run();
