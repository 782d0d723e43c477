/** Recording the accesses of a daemon as a user does. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { connect } from "../../engine/daemon/client.js";
import { until } from "../daemon/with-server.js";
import { onlyLine, run, startDaemon, withDaemon, withDirectory } from "./run-cli.js";

const test = suite("trace");
const BLOCK = ["--fs", "f", "--volume", "v", "--inode", "i", "--block"];

test("start, show, stop, and what the file holds", async () => {
  await withDaemon(async (daemon, directory) => {
    const file = join(directory, "t.trace");
    assert.equal((await daemon.run(["trace", "show"])).stdout, "Nothing is recorded\n");
    const started = await daemon.run(["trace", "start", "--size", "1MiB", "t.trace"], { cwd: directory });
    assert.equal(
      started.stdout,
      `Recording to ${file}: 0 accesses of 0 files, 24 B of at most 1.0 MiB\n`,
      started.stderr,
    );
    assert.equal(statSync(file).mode & 0o777, 0o600);
    await daemon.run(["get", ...BLOCK, "0"]);
    await daemon.run(["put", ...BLOCK, "0"], { input: "x" });
    await daemon.run(["get", ...BLOCK, "0"]);
    assert.match((await daemon.run(["trace", "show"])).stdout, /^Recording to .*: 3 accesses of 1 files, /);
    const second = await daemon.run(["trace", "start", join(directory, "u.trace")]);
    assert.equal(second.status, 75);
    assert.match(onlyLine(second), /Cannot record to .*u\.trace: a recording to .*t\.trace runs$/);
    assert.equal(existsSync(join(directory, "u.trace")), false);
    const stopped = JSON.parse((await daemon.run(["trace", "stop", "--json"])).stdout);
    assert.deepEqual([stopped.state, stopped.accesses, stopped.bytes], ["stopped", 3, statSync(file).size]);
    assert.equal((await daemon.run(["trace", "stop"])).status, 0);

    const shown = JSON.parse((await run(["trace", "show", "--json", file])).stdout);
    const { accesses, reads, hits, misses, writes, files, blocks, lost, droppedBytes } = shown;
    assert.deepEqual([accesses, reads, hits, misses, writes], [3, 2, 1, 1, 1]);
    assert.deepEqual([files, blocks, lost, droppedBytes], [1, 1, 0, 0]);
    assert.match((await run(["trace", "show", file])).stdout, /^reads +2: 1 hits \(50\.0 %\), 1 misses$/m);
  });
});

test("a file that exists is not overwritten unless that is said, and then only when the new one is there", async () => {
  await withDaemon(async (daemon, directory) => {
    const file = join(directory, "mine");
    writeFileSync(file, "mine");
    const refused = await daemon.run(["trace", "start", file]);
    assert.equal(refused.status, 64);
    assert.match(onlyLine(refused), /Cannot record to .*mine: it exists, give --overwrite or another name$/);
    const wrong = await daemon.run(["trace", "start", "--overwrite", "--size", "1", file]);
    assert.equal(wrong.status, 64);
    assert.match(onlyLine(wrong), /Cannot record 1 bytes: want 4096 to /);
    assert.equal(readFileSync(file, "utf8"), "mine");
    assert.equal((await daemon.run(["trace", "start", "--overwrite", file])).status, 0);
    await daemon.run(["trace", "stop"]);
    assert.equal(readFileSync(file).subarray(0, 8).toString(), "tagtrace");
    mkdirSync(join(directory, "place"));
    for (const [path, status] of [
      [join(directory, "place"), 64],
      [join(directory, "none/here"), 74],
    ] as const) {
      const finished = await daemon.run(["trace", "start", "--overwrite", path]);
      assert.equal(finished.status, status);
      assert.match(onlyLine(finished), /Cannot record to /);
    }
    assert.deepEqual(readdirSync(directory).sort(), ["cache", "mine", "place"]);
  });
});

test("what a killed daemon has recorded is there but for the last second, and a tail that is cut off is left out", async () => {
  await withDirectory(async (directory) => {
    const daemon = await startDaemon(join(directory, "cache"));
    const file = join(directory, "t.trace");
    await daemon.run(["trace", "start", file]);
    for (const block of ["0", "1", "2"]) await daemon.run(["get", ...BLOCK, block]);
    await until(() => statSync(file).size > 24);
    await daemon.run(["get", ...BLOCK, "3"]);
    daemon.child.kill("SIGKILL");
    await daemon.exited;
    const whole = JSON.parse((await run(["trace", "show", "--json", file])).stdout);
    assert.ok(whole.accesses >= 1 && whole.accesses <= 4 && whole.droppedBytes === 0);
    writeFileSync(`${file}.cut`, readFileSync(file).subarray(0, -1));
    const cut = JSON.parse((await run(["trace", "show", "--json", `${file}.cut`])).stdout);
    assert.ok(cut.accesses < whole.accesses && cut.droppedBytes > 0);
  });
});

test("replay drives a daemon with it: the same hits, bytes that are right, nothing left; at once or in its time", async () => {
  await withDaemon(async (daemon, directory) => {
    const file = join(directory, "t.trace");
    await daemon.run(["trace", "start", file]);
    const get = (block: string) => daemon.run(["get", ...BLOCK, block]);
    for (const block of ["0", "1"]) {
      await get(block);
      await daemon.run(["put", ...BLOCK, block], { input: block.repeat(5000) });
      await get(block);
    }
    const client = await connect({ socketPath: join(daemon.directory, "sock") });
    const volume = await client.acquireVolume("f", "v");
    const handle = await volume.acquireCookie("parts", { sizeBytes: 20_000n });
    await handle.write(4096n, Buffer.alloc(8192, 1));
    await handle.read(4096n, 8192);
    await handle.read(0n, 4096);
    await client.close();
    await daemon.run(["trace", "stop"]);
    await daemon.run(["flush", "--fs", "f"]);

    const report = JSON.parse((await daemon.run(["replay", "--json", file])).stdout);
    assert.deepEqual(report.replayed, { hit: 3, miss: 3, bypass: 0, stored: 3, refused: 0 });
    assert.deepEqual([report.accesses, report.differences, report.wrong], [9, {}, 0]);
    assert.ok(report.latencies.hit.p99Ms > 0);
    const status = JSON.parse((await daemon.run(["status", "--json"])).stdout);
    assert.equal(status.slots.used, 0, "nothing of it is left");

    const { lastsMs } = JSON.parse((await run(["trace", "show", "--json", file])).stdout);
    const timed = JSON.parse((await daemon.run(["replay", "--speed", "2", "--keep", "--json", file])).stdout);
    assert.ok(timed.seconds >= lastsMs / 2000 - 0.01, `${timed.seconds} s of ${lastsMs} ms`);
    assert.equal(JSON.parse((await daemon.run(["status", "--json"])).stdout).slots.used, 3);
    const text = await daemon.run(["replay", file]);
    assert.match(text.stdout, /^hits +3 of 6 \(50\.0 %\)\nrecorded +3 of 6 \(50\.0 %\)$/m);
    assert.match(text.stdout, /^otherwise +nothing$/m);

    await daemon.run(["config", "set", "capacity=16MiB"]);
    for (const [args, status, line] of [
      [["--speed", "0", file], 64, /Cannot use --speed "0": want max, or a number above 0/],
      [["--speed", "fast", file], 64, /Cannot use --speed "fast"/],
      [["--jobs", "0", file], 64, /Cannot use --jobs "0": want 1 to 256$/],
      [[join(directory, "none")], 66, /Cannot read .*none/],
      [[join(daemon.directory, "format")], 65, /Cannot read the trace: it does not begin as one does$/],
    ] as const) {
      const finished = await daemon.run(["replay", ...args]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
    }
  });
});

test("the line for a file that is no recording", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "t");
    writeFileSync(file, "time,fs\n1,2\n");
    for (const [path, status, line] of [
      [file, 65, /Cannot read the trace: it does not begin as one does$/],
      [join(directory, "none"), 66, /Cannot read .*none: ENOENT/],
      [directory, 66, /EISDIR/],
    ] as const) {
      const finished = await run(["trace", "show", path]);
      assert.match(onlyLine(finished), line);
      assert.equal(finished.status, status);
    }
  });
});

test.run();
