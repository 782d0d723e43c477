import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { readPathList } from "../../cli/path-list.js";
import type { Daemon } from "./run-cli.js";
import { onlyLine, untilOldEnough, withDaemon } from "./run-cli.js";

const test = suite("files");
const BLOCK = 256 * 1024;

interface Tree {
  readonly root: string;
  readonly big: Buffer;
}

/** Seven names: three files (one larger than a chunk, one whose name is not UTF-8), an empty one, a link, a FIFO, a subdirectory. */
async function makeTree(directory: string): Promise<Tree> {
  const root = join(directory, "tree");
  const big = randomBytes(9 * BLOCK + 5);
  mkdirSync(join(root, "sub"), { recursive: true });
  writeFileSync(join(root, "big"), big);
  writeFileSync(join(root, "sub/small"), "small");
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff])]), "odd");
  writeFileSync(join(root, "empty"), "");
  symlinkSync("big", join(root, "link"));
  execFileSync("mkfifo", [join(root, "fifo")]);
  await untilOldEnough();
  return { root, big };
}

async function json(daemon: Daemon, args: string[]) {
  const finished = await daemon.run([...args, "--json"]);
  return { ...finished, json: JSON.parse(finished.stdout) };
}

test("warm, check and cat, with everything that is no file in the way", async () => {
  await withDaemon(async (daemon, directory) => {
    const { root, big } = await makeTree(directory);
    const before = await json(daemon, ["check", root]);
    assert.equal(before.status, 1);
    assert.equal(before.json.complete, false);
    assert.equal(before.json.cachedBlocks, 0);
    assert.equal(before.json.blocks, 12);

    const warm = await json(daemon, ["warm", root]);
    assert.equal(warm.status, 0, warm.stderr);
    const { read, stored, alreadyThere, skipped, failed, skippedBy } = warm.json;
    assert.deepEqual(
      { read, stored, alreadyThere, skipped, failed },
      {
        read: 3,
        stored: 3,
        alreadyThere: 0,
        skipped: 3,
        failed: 0,
      },
    );
    assert.deepEqual(skippedBy, { link: 1, "not-regular": 1, empty: 1 });

    const again = await daemon.run(["warm", root]);
    assert.equal(again.status, 0);
    assert.match(again.stdout, /^0 files read \(0 B\), 0 stored, 3 already there, 3 skipped, 0 failed$/m);
    const after = await json(daemon, ["check", root]);
    assert.equal(after.status, 0);
    assert.equal(after.json.complete, true);
    assert.match((await daemon.run(["check", root])).stdout, /^12 of 12 blocks cached \(100 %\), 4 files/);

    const hitsBefore = (await json(daemon, ["status"])).json.hits;
    const cat = await daemon.run(["cat", join(root, "big"), join(root, "sub/small")]);
    assert.equal(cat.status, 0, cat.stderr);
    assert.ok(cat.bytes.equals(Buffer.concat([big, Buffer.from("small")])));
    assert.ok((await json(daemon, ["status"])).json.hits > hitsBefore);

    // New content under an old name.
    writeFileSync(join(root, "sub/small"), "other");
    assert.equal((await daemon.run(["cat", join(root, "sub/small")])).stdout, "other");
    const changed = await json(daemon, ["check", root]);
    assert.equal(changed.status, 1);
    assert.deepEqual(changed.json.missing, [join(root, "sub/small")]);

    for (const name of ["link", "fifo", "sub", "none"]) {
      const refused = await daemon.run(["cat", join(root, name)]);
      assert.equal(refused.status, 66, name);
      assert.ok(onlyLine(refused).includes(join(root, name)));
    }
  });
});

test("warm takes lists, names failures, and skips the cache's own directory", async () => {
  await withDaemon(async (daemon, directory) => {
    const { root } = await makeTree(directory);
    const list = Buffer.concat([
      Buffer.from(`${root}/`),
      Buffer.from([0xff, 0]),
      Buffer.from(`${root}/sub\0`),
    ]);
    const listed = await daemon.run(["warm", "--from", "-", "--json"], { input: list });
    assert.equal(listed.status, 0, listed.stderr);
    assert.equal(JSON.parse(listed.stdout).stored, 2);
    const lines = await daemon.run(["warm", "--from", "-"], { input: `${root}/big\n\n${root}/sub/small\n` });
    assert.match(lines.stdout, /1 stored, 1 already there/);

    const failed = await daemon.run(["warm", join(root, "none"), join(root, "sub")]);
    assert.equal(failed.status, 74);
    assert.match(onlyLine(failed), /Cannot open .*none: ENOENT$/);
    assert.match(failed.stdout, /1 already there, 0 skipped, 1 failed/);

    const own = await json(daemon, ["warm", daemon.directory]);
    assert.deepEqual(own.json.skippedBy, { "own-directory": 1 });
    assert.equal(own.json.stored, 0);
  });
});

test("content younger than two seconds is handed out and not stored", async () => {
  await withDaemon(async (daemon, directory) => {
    const file = join(directory, "young");
    writeFileSync(file, "young");
    const cat = await daemon.run(["cat", file]);
    assert.equal(cat.stdout, "young");
    assert.equal((await json(daemon, ["status"])).json.puts, 0);
  });
});

test("an origin with a name is found again under another path", async () => {
  await withDaemon(async (daemon, directory) => {
    const { root } = await makeTree(directory);
    const warm = await json(daemon, ["warm", "--origin", `project=${root}`, root]);
    assert.equal(warm.status, 0, warm.stderr);
    assert.equal((await daemon.run(["check", "--origin", `project=${root}`, root])).status, 0);
    assert.equal((await daemon.run(["check", root])).status, 1, "without the name it is another volume");
    const small = ["--fs", "dir", "--volume", "project", "--inode", "sub/small", "--block", "0"];
    assert.equal((await daemon.run(["get", ...small])).stdout, "small");
  });
});

test("lists of paths: separators, lengths, pieces", async () => {
  const read = async (...chunks: string[]) => {
    const paths: string[] = [];
    const stream = (async function* () {
      for (const chunk of chunks) yield Buffer.from(chunk);
    })();
    for await (const path of readPathList(stream)) paths.push(path.toString());
    return paths;
  };
  assert.deepEqual(await read(""), []);
  assert.deepEqual(await read("a\nb\n"), ["a", "b"]);
  assert.deepEqual(await read("a\n\nb"), ["a", "b"]);
  assert.deepEqual(await read("a\nb\0c\0"), ["a\nb", "c"]);
  assert.deepEqual(await read("a", "b\nc", "d\n"), ["ab", "cd"]);
  await assert.rejects(read("x".repeat(5000)), /Cannot read the list of paths: "x+…" has over 4096 bytes/);
});

test.run();
