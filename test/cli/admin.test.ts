/** flush, ls, explain and pins as a user runs them, over a tree of files. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import type { Daemon } from "./run-cli.js";
import { onlyLine, run, startDaemon, untilOldEnough, withDaemon, withDirectory } from "./run-cli.js";

const test = suite("flush, ls, explain and pins");
const BLOCK = 256 * 1024;
const NO_SKIPS = { inUse: 0, pinned: 0, unsent: 0 };

/** A file of three blocks, one in a directory beside it, and one two levels down. */
async function makeTree(directory: string): Promise<string> {
  const root = join(directory, "tree");
  mkdirSync(join(root, "sub/deep"), { recursive: true });
  writeFileSync(join(root, "big"), randomBytes(2 * BLOCK + 5));
  writeFileSync(join(root, "sub/small"), "small");
  writeFileSync(join(root, "sub/deep/er"), "deeper");
  symlinkSync("sub", join(root, "link"));
  await untilOldEnough();
  return root;
}

async function json(daemon: Daemon, args: readonly string[]) {
  const finished = await daemon.run([...args, "--json"]);
  assert.equal(finished.stderr, "");
  return { status: finished.status, json: JSON.parse(finished.stdout) };
}

/** Runs `body` with a way to start daemons, and ends those that it leaves. */
async function withDaemons(
  body: (startAt: (directory: string) => Promise<Daemon>, directory: string) => Promise<void>,
): Promise<void> {
  const started: Daemon[] = [];
  await withDirectory(async (directory) => {
    try {
      await body(async (cache) => {
        const daemon = await startDaemon(cache);
        started.push(daemon);
        return daemon;
      }, directory);
    } finally {
      for (const { child } of started) child.kill("SIGKILL");
      await Promise.all(started.map(({ exited }) => exited));
    }
  });
}

test("flush drops files and trees, deleted ones too; a dry run changes nothing", async () => {
  await withDaemon(async (daemon, directory) => {
    const root = await makeTree(directory);
    const warm = () => daemon.run(["warm", root]);
    await warm();
    const whole = { dropped: { blocks: 5, bytes: 2 * BLOCK + 16 }, skipped: NO_SKIPS };
    assert.deepEqual((await json(daemon, ["flush", "--dry-run", root])).json, whole);
    assert.equal((await daemon.run(["check", root])).status, 0);
    assert.deepEqual((await json(daemon, ["flush", root, join(root, "big"), root])).json, whole);
    assert.deepEqual((await json(daemon, ["flush", root])).json.dropped, { blocks: 0, bytes: 0 });

    await warm();
    const file = (await json(daemon, ["flush", join(root, "big")])).json;
    assert.deepEqual(file, { dropped: { blocks: 3, bytes: 2 * BLOCK + 5 }, skipped: NO_SKIPS });
    rmSync(join(root, "sub"), { recursive: true });
    const deleted = (await json(daemon, ["flush", join(root, "link/../sub/deep/er")])).json;
    assert.deepEqual(deleted.dropped, { blocks: 1, bytes: 6 });
    assert.deepEqual((await json(daemon, ["flush", `${root}/sub/`])).json.dropped, { blocks: 1, bytes: 5 });
    assert.equal((await json(daemon, ["status"])).json.slots.used, 0);

    await daemon.run(["put", "--fs", "nfs", "--volume", "v", "--inode", "i", "--block", "0"], { input: "x" });
    await warm();
    const told = await daemon.run(["flush", "--fs", "nfs", "--volume", "v", "--inode", "i"]);
    assert.equal(told.stdout, "Dropped 1 blocks, 1 B\n");
    await daemon.run(["put", "--fs", "nfs", "--volume", "v", "--inode", "i", "--block", "0"], { input: "x" });
    assert.equal((await json(daemon, ["flush", "--fs", "dir"])).json.dropped.blocks, 3);
    assert.equal((await json(daemon, ["flush", "--all"])).json.dropped.blocks, 1);
  });
});

test("ls shows file systems, volumes and files; explain tells of one block", async () => {
  await withDaemon(async (daemon, directory) => {
    const root = await makeTree(directory);
    assert.equal((await daemon.run(["warm", "--origin", `my=${root}`, root])).status, 0);
    const systems = (await json(daemon, ["ls"])).json;
    assert.deepEqual(systems, [{ name: "dir", blocks: 5, bytes: 2 * BLOCK + 16, volumes: 1 }]);
    assert.match((await daemon.run(["ls"])).stdout, /^ *512.0 KiB .*5 blocks {2}dir {2}\(1 volumes\)\n$/);
    const volumes = (await json(daemon, ["ls", "dir"])).json;
    assert.deepEqual(volumes, [{ name: "my", blocks: 5, bytes: 2 * BLOCK + 16, pinned: false }]);
    const files = (await json(daemon, ["ls", "dir/my"])).json;
    assert.deepEqual(files, [
      { name: "big", blocks: 3, bytes: 2 * BLOCK + 5, sizeBytes: String(2 * BLOCK + 5), pinned: false },
      { name: "sub/deep/er", blocks: 1, bytes: 6, sizeBytes: "6", pinned: false },
      { name: "sub/small", blocks: 1, bytes: 5, sizeBytes: "5", pinned: false },
    ]);
    assert.deepEqual((await json(daemon, ["ls", "dir/none"])).json, []);

    const origin = ["--origin", `my=${root}`];
    const first = await json(daemon, ["explain", ...origin, join(root, "big"), "--block", "2"]);
    assert.equal(first.status, 0);
    const { state, victim, pin, entry, file } = first.json;
    assert.deepEqual([state, victim, pin, entry.validBytes], ["cached", true, "none", 5]);
    assert.equal(file.sizeBytes, String(2 * BLOCK + 5));
    assert.match(file.coherency, /^([0-9a-f]{2})+$/);
    const named = ["explain", "--fs", "dir", "--volume", "my", "--inode", "big", "--block", "2"];
    assert.deepEqual((await json(daemon, named)).json, first.json);
    const text = await daemon.run(named);
    assert.match(text.stdout, /^state +cached\nvictim +yes: it can be culled/);
    const absent = await daemon.run(["explain", ...origin, join(root, "big"), "--block", "3"]);
    assert.equal(absent.status, 1);
    assert.match(absent.stdout, /nothing is cached under this tag/);
  });
});

test("pins survive kill -9 and are fetched again", async () => {
  await withDaemons(async (startAt, directory) => {
    const root = await makeTree(directory);
    const cache = join(directory, "cache");
    const first = await startAt(cache);
    await first.run(["warm", root]);
    const pinned = await json(first, ["pin", join(root, "sub"), join(root, "big")]);
    assert.deepEqual(pinned.json, { pins: 2, blocks: 5, bytes: 2 * BLOCK + 16 });
    assert.match(
      (await first.run(["pin", join(root, "sub/deep")])).stdout,
      /^Pinned 1 more; 1 blocks, 6 B of it/,
    );
    assert.deepEqual((await json(first, ["flush", root])).json.skipped, { ...NO_SKIPS, pinned: 5 });
    assert.match((await first.run(["flush", root])).stdout, /^Dropped 0 blocks, 0 B; left 5 pinned\n$/);
    assert.equal((await first.run(["unpin", join(root, "sub/deep")])).stdout, "Took 1 pins away\n");
    assert.equal((await first.run(["unpin", join(root, "sub/deep")])).status, 1);
    const before = (await json(first, ["pins"])).json;
    assert.deepEqual(
      before.map(({ refetch, blocks }: { refetch: boolean; blocks: number }) => [refetch, blocks]),
      [
        [false, 2],
        [false, 3],
      ],
    );
    first.child.kill("SIGKILL");
    await first.exited;

    assert.equal((await run(["fsck", "--dir", cache])).status, 4); // an unclean end, and nothing else
    const again = await startAt(cache);
    const text = (await again.run(["pins"])).stdout;
    assert.equal(
      text,
      `${root}/sub (tree)  0 B cached, to be refetched\n${root}/big  0 B cached, to be refetched\n`,
    );
    const warmed = await json(again, ["warm", "--pins"]);
    assert.deepEqual([warmed.status, warmed.json.stored, warmed.json.failed], [0, 3, 0]);
    assert.deepEqual(
      (await json(again, ["pins"])).json.map(({ refetch }: { refetch: boolean }) => refetch),
      [false, false],
    );
    assert.equal((await again.run(["wipe", "--yes"])).status, 0);
    assert.equal((await json(again, ["pins"])).json.length, 2);
    again.child.kill("SIGTERM");
    await again.exited;
    assert.equal((await run(["fsck", "--deep", "--dir", cache])).status, 0);
    assert.equal((await run(["wipe", "--yes", "--dir", cache])).status, 0);

    const last = await startAt(cache);
    assert.equal((await json(last, ["pins"])).json[0].refetch, true);
    rmSync(join(root, "big"));
    const gone = await last.run(["warm", "--pins"]);
    assert.equal(gone.status, 74);
    assert.match(gone.stderr, /big/);
    assert.equal((await last.run(["unpin", "--all"])).status, 0);
    assert.deepEqual((await json(last, ["pins"])).json, []);
    last.child.kill("SIGTERM");
    await last.exited;
  });
});

test("every wrong command line ends with 64 and one line, every path that cannot be pinned with 66", async () => {
  await withDaemon(async (daemon, directory) => {
    const root = await makeTree(directory);
    const wrong: string[][] = [
      ["flush"],
      ["flush", "--all", root],
      ["flush", "--all", "--fs", "dir"],
      ["flush", "--volume", "v"],
      ["flush", "--inode", "v"],
      ["flush", "--fs", "dir", "--inode", "v"],
      ["flush", "--fs", ""],
      ["flush", "--fs", "hex:1"],
      ["pin"],
      ["pin", "--fs", "dir"],
      ["pin", "--fs", "dir", root],
      ["unpin"],
      ["unpin", "--all", root],
      ["ls", ""],
      ["ls", "/v"],
      ["ls", "hex:f"],
      ["explain"],
      ["explain", "--fs", "dir"],
      ["explain", root, "--fs", "dir"],
      ["explain", root, "--block", "-1"],
      ["explain", root, "--block", "x"],
      ["warm", "--pins", root],
      ["warm"],
    ];
    for (const args of wrong) {
      const finished = await daemon.run(args);
      assert.equal(finished.status, 64, `${args.join(" ")}: ${finished.stderr}`);
      onlyLine(finished);
    }
    for (const path of [
      join(root, "none"),
      join(root, "link"),
      join(root, "big/below"),
      "/proc/self/status",
    ]) {
      const finished = await daemon.run(["pin", path]);
      assert.equal(finished.status, 66, `${path}: ${finished.stderr}`);
      onlyLine(finished);
    }
  });
});

test.run();
