import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { onlyLine, run, start, startDaemon, withDaemon, withDirectory } from "./run-cli.js";

const test = suite("commands on a daemon");
const TAG = ["--fs", "f", "--volume", "hex:00ff", "--inode", "i", "--block", "7"];

test("put, get and a miss", async () => {
  await withDaemon(async (daemon) => {
    const miss = await daemon.run(["get", ...TAG]);
    assert.equal(miss.status, 1);
    assert.equal(onlyLine(miss), "tagcache: Not cached");
    const missJson = await daemon.run(["get", "--json", ...TAG]);
    assert.equal(missJson.status, 1);
    assert.deepEqual(JSON.parse(missJson.stdout), { kind: "miss" });

    const block = randomBytes(256 * 1024);
    const put = await daemon.run(["put", ...TAG], { input: block });
    assert.equal(put.status, 0, put.stderr);
    assert.equal(put.stdout, "Stored 262144 bytes\n");
    const hit = await daemon.run(["get", ...TAG]);
    assert.equal(hit.status, 0);
    assert.ok(hit.bytes.equals(block));

    await daemon.run(["put", ...TAG], { input: "grüße\n" });
    assert.equal((await daemon.run(["get", ...TAG])).stdout, "grüße\n");
    await daemon.run(["put", ...TAG], { input: "grüße" });
    const text = await daemon.run(["get", "--json", ...TAG]);
    assert.deepEqual(JSON.parse(text.stdout), { kind: "hit", bytes: "grüße", lengthBytes: 7 });
    await daemon.run(["put", ...TAG], { input: Buffer.from([0, 255]) });
    const binary = await daemon.run(["get", "--json", ...TAG]);
    assert.deepEqual(JSON.parse(binary.stdout), { kind: "hit", bytes: "hex:00ff", lengthBytes: 2 });
  });
});

test("a payload that is empty or too large is refused, and nothing is stored", async () => {
  await withDaemon(async (daemon) => {
    for (const input of ["", Buffer.alloc(256 * 1024 + 1)]) {
      const finished = await daemon.run(["put", ...TAG], { input });
      assert.equal(finished.status, 65);
      assert.match(onlyLine(finished), /Cannot store stdin: .*want 1 to 262144/);
    }
    const endless = start(["put", ...TAG, "--dir", daemon.directory]);
    endless.stdin.on("error", () => undefined);
    const feed = setInterval(() => endless.stdin.write(Buffer.alloc(65_536)), 1);
    const status = await new Promise((done) => endless.on("exit", done));
    clearInterval(feed);
    assert.equal(status, 65, "it does not read to the end of what has none");
    assert.equal((await daemon.run(["get", ...TAG])).status, 1);
  });
});

test("status as JSON has all keys, and a table otherwise", async () => {
  await withDaemon(async (daemon) => {
    await daemon.run(["put", ...TAG], { input: "x" });
    const { status, stdout } = await daemon.run(["status", "--json"]);
    assert.equal(status, 0);
    const json = JSON.parse(stdout);
    assert.equal(json.state, "running");
    assert.equal(json.pid, daemon.child.pid);
    assert.equal(json.capacityBytes, 64 * 1024 * 1024);
    assert.equal(json.slots.used, 1);
    assert.equal(json.start.kind, "new");
    assert.equal(json.start.action, "none");
    const keys =
      "version uptimeSeconds epoch policy usedBytes validBytes indexBytes hits misses culled bypassed";
    for (const key of keys.split(" ")) assert.ok(key in json, key);
    for (const key of ["total", "free", "quarantined"]) assert.equal(typeof json.slots[key], "number", key);
    const table = await daemon.run(["status"]);
    assert.match(table.stdout, /^state +running, pid \d+/m);
    assert.match(table.stdout, /^capacity +64\.0 MiB/m);
    assert.ok(!table.stdout.includes("\u001B"), "no colours off a terminal");
  });
});

test("ping answers; a stopped process is reported within its deadline", async () => {
  await withDaemon(async (daemon) => {
    const json = await daemon.run(["ping", "--json"]);
    assert.equal(typeof JSON.parse(json.stdout).ms, "number");
    assert.match((await daemon.run(["ping"])).stdout, /answers in \d+\.\d\d ms/);
    daemon.child.kill("SIGSTOP");
    const began = Date.now();
    const hung = await daemon.run(["ping"]);
    daemon.child.kill("SIGCONT");
    assert.equal(hung.status, 69);
    assert.match(onlyLine(hung), /does not answer in time/);
    assert.ok(Date.now() - began < 10_000);
  });
});

test("stop waits until the daemon has gone; then nobody answers, and the content is kept", async () => {
  await withDirectory(async (directory) => {
    const first = await startDaemon(directory);
    await first.run(["put", ...TAG], { input: "kept" });
    const stopped = await first.run(["stop", "--json"]);
    assert.equal(stopped.status, 0, stopped.stderr);
    assert.equal(JSON.parse(stopped.stdout).pid, first.child.pid);
    assert.equal(await Promise.race([first.exited, new Promise((r) => setTimeout(r, 500, "late"))]), 0);
    assert.equal(existsSync(join(directory, "sock")), false);
    assert.equal((await first.run(["stop"])).status, 69);
    const second = await startDaemon(directory);
    assert.equal((await second.run(["get", ...TAG])).stdout, "kept");
    assert.equal((await second.run(["stop"])).status, 0);
  });
});

test("wipe works with the daemon and without it", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(directory);
    await daemon.run(["put", ...TAG], { input: "gone" });
    const online = await daemon.run(["wipe", "--yes", "--json"]);
    assert.equal(online.status, 0, online.stderr);
    const wiped = JSON.parse(online.stdout);
    assert.equal(wiped.how, "by the daemon");
    assert.equal((await daemon.run(["get", ...TAG])).status, 1);
    await daemon.run(["put", ...TAG], { input: "gone" });
    await daemon.run(["stop"]);
    const offline = await run(["wipe", "--yes", "--json", "--dir", directory]);
    assert.equal(offline.status, 0, offline.stderr);
    assert.equal(JSON.parse(offline.stdout).how, "offline");
    assert.ok(JSON.parse(offline.stdout).epoch > wiped.epoch);
    const again = await startDaemon(directory);
    assert.equal((await again.run(["get", ...TAG])).status, 1);
    await again.run(["stop"]);
  });
});

test("cull gives back what is asked for, and everything when that is more", async () => {
  await withDaemon(async (daemon) => {
    const put = (block: number) =>
      daemon.run(["put", "--fs", "f", "--volume", "v", "--inode", "i", "--block", String(block)], {
        input: randomBytes(256 * 1024),
      });
    for (let block = 0; block < 4; block += 1) await put(block);
    const to = await daemon.run(["cull", "--to", "768KiB", "--json"]);
    assert.equal(to.status, 0, to.stderr);
    const report = JSON.parse(to.stdout);
    assert.ok(report.blocks >= 1 && report.usedBytes <= 768 * 1024, to.stdout);
    assert.equal(report.bytes, 1024 * 1024 - report.usedBytes);
    assert.equal((await daemon.run(["cull", "--to", "1G"])).stdout.split(",")[0], "Culled 0 blocks");
    await put(4);
    const all = await daemon.run(["cull", "--free", "1TiB"]);
    assert.equal(all.status, 0, all.stderr);
    assert.match(all.stdout, /^Culled [1-4] blocks, gave back \d+\.\d [KM]iB; 0 B used now\n$/);
    assert.equal(JSON.parse((await daemon.run(["status", "--json"])).stdout).usedBytes, 0);
  });
});

test("what the daemon makes is its owner's alone", async () => {
  await withDaemon(async (daemon) => {
    await daemon.run(["put", ...TAG], { input: "x" });
    assert.equal(statSync(daemon.directory).mode & 0o777, 0o700);
    for (const name of ["sock", "lock"])
      assert.equal(statSync(join(daemon.directory, name)).mode & 0o077, 0, name);
  });
});

test("a reader that goes away is no failure", async () => {
  await withDaemon(async (daemon) => {
    await daemon.run(["put", ...TAG], { input: randomBytes(256 * 1024) });
    const child = start(["get", ...TAG, "--dir", daemon.directory]);
    child.stdout.destroy();
    let stderr = "";
    child.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()));
    const status = await new Promise((done) => child.on("exit", done));
    assert.equal(status, 0);
    assert.equal(stderr, "");
  });
});

test.run();
