/** Recording the accesses of a daemon as a user does. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
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
