import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  mkdirSync,
  renameSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { isRacy } from "../../engine/origin/coherency.js";
import type { OriginFile } from "../../engine/origin/file.js";
import { Origin } from "../../engine/origin/origin.js";
import { absolutePath, isWithin, joinPath, pathBelow } from "../../engine/origin/paths.js";
import { isCacheError } from "../../index/core/errors.js";
import { inAnHour, withTree } from "./with-tree.js";

const test = suite("opening files of the origin");

async function opened(origin: Origin, path: Buffer): Promise<OriginFile> {
  const file = await origin.open(path);
  assert.ok(file.kind === "file", `is ${file.kind}`);
  return file;
}

async function coherencyOf(origin: Origin, path: Buffer): Promise<string> {
  const file = await opened(origin, path);
  await file.close();
  return file.coherency.toString("hex");
}

test("names a file by mount point and path below it", async () => {
  await withTree(async ({ path, session }) => {
    writeFileSync(path("file"), "hello");
    const file = await opened(session.origin, path("file"));
    assert.equal(joinPath(file.volume, file.inode).toString(), path("file").toString());
    assert.equal(file.sizeBytes, 5n);
    assert.equal(file.blocks, 1);
    assert.equal(file.bypass, undefined);
    const [mountPoint] = execFileSync("stat", ["-c", "%m", path("file").toString()], {
      encoding: "utf8",
    }).split("\n");
    assert.equal(file.volume.toString(), mountPoint);
    await file.close();
  });
});

test("an origin with a name of its own gives its files that volume, on tmpfs too", async () => {
  const named = [{ name: Buffer.from("memory"), path: Buffer.from("/dev/shm") }];
  const file = "/dev/shm/tagcache-origin-test";
  writeFileSync(file, "x");
  const under = await opened(new Origin({ named }), Buffer.from(file));
  assert.equal(under.volume.toString(), "memory");
  assert.equal(under.inode.toString(), "tagcache-origin-test");
  assert.equal(under.bypass, undefined);
  await under.close();
  const plain = await opened(new Origin(), Buffer.from(file));
  assert.equal(plain.bypass, "memory-or-kernel");
  await plain.close();
  execFileSync("rm", [file]);
});

test("coherency data changes with content, times and replacement, and only then", async () => {
  await withTree(async ({ path, session: { origin } }) => {
    const file = path("file");
    writeFileSync(file, "one");
    const first = await coherencyOf(origin, file);
    assert.equal(await coherencyOf(origin, file), first);
    assert.equal(await coherencyOf(new Origin(), file), first, "another process sees the same");
    appendFileSync(file, "!");
    const grown = await coherencyOf(origin, file);
    assert.notEqual(grown, first);
    truncateSync(file, 3);
    const cut = await coherencyOf(origin, file);
    assert.notEqual(cut, grown);
    utimesSync(file, 1, 1);
    const touched = await coherencyOf(origin, file);
    assert.notEqual(touched, cut);
    writeFileSync(path("other"), "one");
    renameSync(path("other"), file);
    assert.notEqual(await coherencyOf(origin, file), touched);
  });
});

test("coherency data of a given file does not depend on how it is named", async () => {
  await withTree(async ({ directory, path }) => {
    writeFileSync(path("file"), "one");
    const plain = await coherencyOf(new Origin(), path("file"));
    const named = new Origin({ named: [{ name: Buffer.from("n"), path: Buffer.from(directory) }] });
    assert.equal(await coherencyOf(named, path("file")), plain);
  });
});

test("refuses links, also among the parents, and FIFOs at once", async () => {
  await withTree(async ({ directory, path, session: { origin } }) => {
    mkdirSync(path("real"));
    writeFileSync(path("real/file"), "x");
    symlinkSync("real", path("linked"));
    symlinkSync("real/file", path("link"));
    execFileSync("mkfifo", [join(directory, "fifo")]);
    assert.deepEqual(await origin.open(path("link")), { kind: "skipped", reason: "link" });
    assert.deepEqual(await origin.open(path("linked/file")), { kind: "skipped", reason: "moved" });
    assert.deepEqual(await origin.open(path("fifo")), { kind: "skipped", reason: "not-regular" });
    assert.deepEqual(await origin.open(path("real")), { kind: "skipped", reason: "not-regular" });
    assert.equal((await absolutePath(path("linked/file"))).toString(), path("real/file").toString());
  });
});

test("reports what the origin refuses with its errno", async () => {
  await withTree(async ({ path, session: { origin } }) => {
    await assert.rejects(origin.open(path("none")), (error: unknown) => {
      assert.ok(isCacheError(error, "E_IO"));
      assert.match(error.message, /^Cannot open .*none: ENOENT$/);
      return true;
    });
  });
});

test("content is racy when mtime or ctime is younger than two seconds", () => {
  const now = 1_000_000_000_000n;
  const old = now - 2_000_000_000n;
  const stamp = { ino: 1n, size: 1n };
  assert.equal(isRacy({ ...stamp, mtimeNs: old, ctimeNs: old }, now), false);
  assert.equal(isRacy({ ...stamp, mtimeNs: old + 1n, ctimeNs: old }, now), true);
  assert.equal(isRacy({ ...stamp, mtimeNs: old, ctimeNs: old + 1n }, now), true);
  assert.equal(isRacy({ ...stamp, mtimeNs: now + 5n, ctimeNs: old }, now), true, "a clock that is ahead");
});

test("a fresh file is racy until two seconds have passed", async () => {
  await withTree(async ({ path }) => {
    writeFileSync(path("file"), "x");
    utimesSync(path("file"), 1, 1);
    const young = await opened(new Origin(), path("file"));
    assert.equal(young.isRacy, true, "its ctime is young, whatever its mtime says");
    await young.close();
    const old = await opened(new Origin({ nowNs: inAnHour }), path("file"));
    assert.equal(old.isRacy, false);
    await old.close();
  });
});

test("paths are compared by components, not by letters", () => {
  const bytes = (text: string) => Buffer.from(text);
  assert.equal(isWithin(bytes("/a"), bytes("/ab")), false);
  assert.equal(isWithin(bytes("/a"), bytes("/a/b")), true);
  assert.equal(isWithin(bytes("/a"), bytes("/a")), true);
  assert.equal(isWithin(bytes("/"), bytes("/a")), true);
  assert.equal(pathBelow(bytes("/"), bytes("/a/b")).toString(), "a/b");
  assert.equal(pathBelow(bytes("/a"), bytes("/a/b")).toString(), "b");
  assert.equal(pathBelow(bytes("/a"), bytes("/a")).toString(), "");
});

test.run();
