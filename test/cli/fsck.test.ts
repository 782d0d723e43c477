/** fsck as a user runs it, on a cache that a daemon has open and on one that nobody has. */
import assert from "node:assert/strict";
import { linkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { onlyLine, run, withDaemon } from "./run-cli.js";

const test = suite("fsck on the command line");
const TAG = ["--fs", "test", "--volume", "volume", "--inode", "file", "--block", "0"];

test("reports a clean cache, by the daemon while one runs", async () => {
  await withDaemon(async (daemon) => {
    const { directory } = daemon;
    await daemon.run(["put", ...TAG], { input: "content" });
    const asked = await daemon.run(["fsck", "--deep", "--json"]);
    assert.equal(asked.status, 0, asked.stderr);
    assert.match(onlyLine(asked), new RegExp(`process ${daemon.child.pid} has .* open and checks it`));
    const online = JSON.parse(asked.stdout);
    const named = await run(["fsck", "--socket", join(directory, "sock")]);
    assert.match(named.stdout, /^Clean: 1 entries in \d+ slots/);
    await daemon.run(["stop"]);
    await daemon.exited;
    const clean = await daemon.run(["fsck", "--deep", "--json", "--progress"]);
    assert.equal(clean.status, 0, clean.stderr);
    assert.match(clean.stderr, /^tagcache: checking slots: 0 of \d+, 7 B read$/m);
    const report = JSON.parse(clean.stdout);
    assert.deepEqual(report.findings, []);
    assert.equal(report.clean, true);
    assert.equal(report.counts.used, 1);
    assert.equal(report.counts.bytesChecked, 7);
    assert.deepEqual(report, online, "both tell the same");
    assert.match((await daemon.run(["fsck"])).stdout, /^Clean: 1 entries in \d+ slots/);
    const none = await run(["fsck", "--socket", join(directory, "sock")]);
    assert.equal(none.status, 8);
    assert.match(onlyLine(none), /No daemon answers/);
  });
});

test("tells what it finds, repairs it if asked, and is kept out by an owner who cannot be asked", async () => {
  await withDaemon(async (daemon) => {
    await daemon.run(["put", ...TAG], { input: "content" });
    writeFileSync(join(daemon.directory, "slots", "0", "0"), "another");
    assert.equal((await daemon.run(["fsck"])).status, 0);
    const deep = await daemon.run(["fsck", "--deep", "--rate", "1GiB"]);
    assert.equal(deep.status, 4);
    assert.match(deep.stdout, /^checksum: slot 0 differs .*\nBy code: checksum 1\n1 finding: 1 entries/);
    for (const rate of ["some", "1"]) assert.equal((await daemon.run(["fsck", "--rate", rate])).status, 16);
    const repair = await daemon.run(["fsck", "--deep", "--repair"]);
    assert.equal(repair.status, 1);
    assert.match(repair.stdout, /^checksum: slot 0 .* \(repaired: the entry is dropped\)$/m);
    assert.match(repair.stdout, /^1 finding, 1 repaired: /m);
    assert.equal((await daemon.run(["fsck", "--deep"])).status, 0);
    assert.equal((await daemon.run(["get", ...TAG])).status, 1);
    const busy = await daemon.run(["fsck", "--socket", "none"]);
    assert.equal(busy.status, 8);
    assert.match(onlyLine(busy), new RegExp(`\\b${daemon.child.pid}\\b`));
  });
});

test("shows what is set aside, tries it anew and gives it up", async () => {
  await withDaemon(async (daemon, place) => {
    await daemon.run(["put", ...TAG], { input: "content" });
    assert.match((await daemon.run(["quarantine", "list"])).stdout, /^No slot is set aside$/m);
    const file = join(daemon.directory, "slots", "0", "0");
    linkSync(file, join(place, "second"));
    assert.equal((await daemon.run(["fsck", "--repair"])).status, 1);
    assert.equal(
      (await daemon.run(["quarantine", "list"])).stdout,
      "0: counts 4.0 KiB, its file is unusable\n",
    );
    const failed = await daemon.run(["quarantine", "retry", "--all"]);
    assert.deepEqual([failed.status, failed.stdout], [1, "0: still set aside: its file is unusable\n"]);
    rmSync(join(place, "second"));
    const tried = await daemon.run(["quarantine", "retry", "0", "--json"]);
    assert.deepEqual([tried.status, JSON.parse(tried.stdout)], [0, { slots: [{ slot: 0, free: true }] }]);
    linkSync(file, join(place, "second"));
    assert.equal((await daemon.run(["fsck", "--repair"])).status, 1);
    assert.equal((await daemon.run(["quarantine", "release", "0"])).stdout, "Released 1 slots\n");
    assert.equal((await daemon.run(["fsck", "--deep"])).status, 0);
    for (const wrong of [["retry"], ["release", "--all", "0"], ["retry", "x"], ["release", "7"]])
      assert.equal((await daemon.run(["quarantine", ...wrong])).status, 64);
  });
});

test.run();
