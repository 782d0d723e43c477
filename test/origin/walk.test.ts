import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { suite } from "uvu";
import { Origin } from "../../engine/origin/origin.js";
import type { WalkEntry, WalkOptions } from "../../engine/origin/walk.js";
import { walkTree } from "../../engine/origin/walk.js";
import { inAnHour, withTree } from "./with-tree.js";

const test = suite("walking a tree");

async function list(
  origin: Origin,
  paths: (Buffer | string)[],
  options: WalkOptions = {},
): Promise<WalkEntry[]> {
  const entries: WalkEntry[] = [];
  const buffers = paths.map((path) => Buffer.from(path as string));
  for await (const entry of walkTree(origin, buffers, options)) entries.push(entry);
  return entries.toSorted((a, b) => Buffer.compare(a.path, b.path));
}

function filesOf(entries: WalkEntry[]): string[] {
  return entries.filter((entry) => entry.kind === "file").map((entry) => entry.path.toString("latin1"));
}

function reasonOf(entries: WalkEntry[], path: string): string | undefined {
  const found = entries.find((entry) => entry.path.toString() === path);
  return found?.kind === "skipped" ? found.reason : undefined;
}

test("yields the regular files of nested directories, with absolute paths", async () => {
  await withTree(async ({ directory, session }) => {
    mkdirSync(join(directory, "a/b"), { recursive: true });
    for (const name of ["1", "a/2", "a/b/3"]) writeFileSync(join(directory, name), name);
    const entries = await list(session.origin, [`${directory}/a/../`]);
    assert.deepEqual(filesOf(entries), [`${directory}/1`, `${directory}/a/2`, `${directory}/a/b/3`]);
  });
});

test("names links, FIFOs, sockets and devices and opens none of them", async () => {
  await withTree(async ({ directory, session }) => {
    writeFileSync(join(directory, "file"), "x");
    mkdirSync(join(directory, "sub"));
    symlinkSync(join(directory, "file"), join(directory, "link"));
    symlinkSync(join(directory, "sub"), join(directory, "sublink"));
    symlinkSync("nowhere", join(directory, "dangling"));
    execFileSync("mkfifo", [join(directory, "fifo")]);
    const server = createServer().listen(join(directory, "socket"));
    await once(server, "listening");
    const entries = await list(session.origin, [directory, "/dev/null", join(directory, "link")]);
    server.close();
    assert.deepEqual(filesOf(entries), [`${directory}/file`]);
    for (const name of ["link", "sublink", "dangling"]) {
      assert.equal(reasonOf(entries, join(directory, name)), "link", name);
    }
    for (const name of ["fifo", "socket"])
      assert.equal(reasonOf(entries, join(directory, name)), "not-regular", name);
    assert.equal(reasonOf(entries, "/dev/null"), "not-regular");
  });
});

test("keeps names that are not UTF-8 as they are", async () => {
  await withTree(async ({ directory, session }) => {
    const name = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x0a, 0xfe])]);
    mkdirSync(name);
    const file = Buffer.concat([name, Buffer.from([0x2f, 0x80])]);
    writeFileSync(file, "x");
    const entries = await list(session.origin, [directory]);
    assert.deepEqual(filesOf(entries), [file.toString("latin1")]);
    const opened = await session.origin.open(file);
    assert.ok(opened.kind === "file");
    assert.ok(opened.inode.toString("latin1").endsWith("\xff\x0a\xfe/\x80"));
    await opened.close();
  });
});

test("skips the cache's own directories", async () => {
  await withTree(async ({ directory }) => {
    mkdirSync(join(directory, "cache/slots"), { recursive: true });
    mkdirSync(join(directory, "cached"));
    writeFileSync(join(directory, "cache/slots/0"), "x");
    writeFileSync(join(directory, "cached/file"), "x");
    const own = realpathSync(join(directory, "cache"), "buffer" as never) as unknown as Buffer;
    const origin = new Origin({ ownDirectories: [Buffer.from(own)], nowNs: inAnHour });
    const entries = await list(origin, [directory]);
    assert.deepEqual(filesOf(entries), [`${directory}/cached/file`]);
    assert.equal(reasonOf(entries, join(directory, "cache")), "own-directory");
    const slot = await origin.open(Buffer.from(join(directory, "cache/slots/0")));
    assert.ok(slot.kind === "file" && slot.bypass === "own-directory");
    await slot.close();
  });
});

test("does not enter /proc, /sys or other mounts", async () => {
  const origin = new Origin();
  assert.equal(reasonOf(await list(origin, ["/proc"]), "/proc"), "memory-or-kernel");
  assert.equal(reasonOf(await list(origin, ["/dev/shm"]), "/dev/shm"), "memory-or-kernel");
  const options: WalkOptions = { skipDirectory: (path) => !["/", "/proc"].includes(path.toString()) };
  const entries = await list(origin, ["/"], options);
  assert.equal(reasonOf(entries, "/proc"), "other-mount");
});

test("yields a failure for what does not exist, and goes on", async () => {
  await withTree(async ({ directory, session }) => {
    writeFileSync(join(directory, "file"), "x");
    const entries = await list(session.origin, [
      join(directory, "none"),
      join(directory, "no/ne"),
      join(directory, "file"),
    ]);
    assert.deepEqual(entries.map((entry) => entry.kind).sort(), ["failed", "failed", "file"]);
    const failed = entries.find((entry) => entry.kind === "failed");
    assert.match(failed?.error.message ?? "", /^Cannot open .*no.*: ENOENT$/);
  });
});

test("leaves out what its caller leaves out", async () => {
  await withTree(async ({ directory, session }) => {
    mkdirSync(join(directory, "a/b"), { recursive: true });
    for (const name of ["1", "a/2", "a/b/3"]) writeFileSync(join(directory, name), name);
    const without = await list(session.origin, [directory], {
      skipDirectory: (path) => path.toString().endsWith("/b"),
    });
    assert.deepEqual(filesOf(without), [`${directory}/1`, `${directory}/a/2`]);
    const other = await list(session.origin, [directory], {
      skipFilesOf: (path) => path.toString().endsWith("/a"),
    });
    assert.deepEqual(filesOf(other), [`${directory}/1`, `${directory}/a/b/3`]);
  });
});

test("stops at its greatest depth instead of running out of descriptors", async () => {
  await withTree(async ({ directory, session }) => {
    mkdirSync(join(directory, "d/".repeat(300)), { recursive: true });
    const entries = await list(session.origin, [directory]);
    assert.equal(entries.length, 1);
    assert.ok(entries[0]?.kind === "skipped" && entries[0].reason === "depth");
  });
});

test.run();
