import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { planWarming } from "../../cli/demo/plan.js";
import type { CacheStatus } from "../../engine/cache.js";
import type { Subtree, TreeSize } from "../../engine/origin/measure.js";
import { measureTree } from "../../engine/origin/measure.js";
import { withTree } from "../origin/with-tree.js";
import { onlyLine, run, start, untilOldEnough, withDirectory } from "./run-cli.js";

const test = suite("demo");
const KIB = 1024;

function makeTree(root: string): void {
  for (let d = 0; d < 4; d += 1) {
    mkdirSync(join(root, `d${d}`), { recursive: true });
    for (let f = 0; f < 25; f += 1) {
      writeFileSync(join(root, `d${d}/f${f}`), Buffer.alloc(1 + ((d * 25 + f) % 40) * 16 * KIB, d * 25 + f));
    }
  }
}

test("warms, reads twice, compares, prints the table; a second run finds everything there", async () => {
  await withDirectory(async (directory) => {
    const root = join(directory, "tree");
    makeTree(root);
    await untilOldEnough();
    const args = ["demo", "--dir", join(directory, "cache"), "--capacity", "128MiB"];
    const first = await run(args, { env: { WARM: root, ONCE: "1" } });
    assert.equal(first.status, 0, first.stderr);
    assert.equal(first.stderr, "");
    assert.match(first.stdout, /100 stored, 0 already there/);
    for (const row of [
      /files +│ +100 │/,
      /hits, first pass +│ +100\.00 % │/,
      /hits, second pass +│ +100\.00 % │/,
      /culled blocks +│ +0 │/,
      /wrong bytes +│ +0 │/,
      /origin, read directly +│ .* MiB\/s/,
      /origin, 5 ms a request +│ .* MiB\/s/,
      /cache, through the daemon +│ .* MiB\/s/,
    ]) {
      assert.match(first.stdout, row);
    }
    assert.match(first.stdout, /Stopped the daemon clean\n$/);

    const second = await run([...args, "--warm", root, "--json"]);
    assert.equal(second.status, 0, second.stderr);
    const json = JSON.parse(second.stdout);
    assert.equal(json.good, true);
    assert.equal(json.warm.alreadyThere, 100);
    assert.deepEqual(json.hitRatios, [1, 1]);
    assert.equal(json.wrongBytes, 0);
    const third = await run([...args, "--warm", root, "--once"]);
    assert.match(third.stdout, /Everything was already there, cached by an earlier run/);
  });
});

test("leaves out by whole subtrees what does not fit, names it, and still hits", async () => {
  await withDirectory(async (directory) => {
    const root = join(directory, "tree");
    makeTree(root);
    await untilOldEnough();
    const { status, stdout, stderr } = await run([
      "demo",
      "--dir",
      join(directory, "c"),
      "--warm",
      root,
      "--capacity",
      "24MiB",
    ]);
    assert.equal(status, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`left out, does not fit: ${root}/d\\d \\(25 files, `));
  });
});

test("says what it cannot warm, and leaves no daemon behind", async () => {
  await withDirectory(async (directory) => {
    const none = await run(["demo", "--dir", join(directory, "c"), "--warm", join(directory, "none")]);
    assert.equal(none.status, 66, none.stderr);
    assert.match(onlyLine(none), /none/);
    assert.equal((await run(["ping", "--dir", join(directory, "c")])).status, 69);
    writeFileSync(join(directory, "file"), "x");
    const bad = await run(["demo", "--dir", join(directory, "file"), "--warm", directory]);
    assert.equal(bad.status, 78, bad.stderr);
    assert.match(bad.stderr, /it is not a directory/);
  });
});

test("a signal in the middle stops the daemon clean", async () => {
  await withDirectory(async (directory) => {
    const cache = join(directory, "c");
    const child = start(["demo", "--dir", cache, "--warm", "/usr/share", "--capacity", "64MiB"]);
    await once(child.stdout, "data");
    child.kill("SIGINT");
    const [status] = (await once(child, "exit")) as [number | null];
    assert.equal(status, 130);
    const clean = await run(["fsck", "--dir", cache]);
    assert.equal(clean.status, 0, clean.stdout + clean.stderr);
  });
});

function size(blocks: number): TreeSize {
  return { files: blocks, bytes: blocks * 1000, blocks, occupiedBytes: blocks * 4096 };
}

function tree(name: string, own: number, children: Subtree[] = []): Subtree {
  const total = size(own + children.reduce((sum, child) => sum + child.total.blocks, 0));
  return { path: Buffer.from(name), total, own: size(own), children };
}

test("plans by subtrees, the largest that fit first, and looks into those that do not", () => {
  const all = tree("/t", 10, [
    tree("/t/a", 500),
    tree("/t/b", 5, [tree("/t/b/x", 60), tree("/t/b/y", 40)]),
    tree("/t/c", 20),
  ]);
  const status = { slotsMax: 120, capacityBytes: 1e9, indexBytesMax: 0 } as CacheStatus;
  const plan = planWarming(all, status);
  // 80 % of 120 slots are 96: 10 of the root itself, 5 of b itself, 60 of x, 20 of c; a and y do not fit.
  assert.equal(plan.taken.blocks, 95);
  assert.deepEqual(
    plan.left.map(({ path }) => path.toString()),
    ["/t/a", "/t/b/y"],
  );
  assert.equal(plan.walk.skipDirectory?.(Buffer.from("/t/a")), true);
  assert.equal(plan.walk.skipDirectory?.(Buffer.from("/t/b")), false);
});

test("measures a tree by its parts", async () => {
  await withTree(async ({ directory, path, session }) => {
    mkdirSync(path("a/b/c"), { recursive: true });
    writeFileSync(path("1"), Buffer.alloc(1));
    writeFileSync(path("a/2"), Buffer.alloc(5000));
    writeFileSync(path("a/b/c/3"), Buffer.alloc(300 * KIB));
    const measured = await measureTree(session.origin, Buffer.from(directory), 1);
    assert.deepEqual(measured.total, {
      files: 3,
      bytes: 5001 + 300 * KIB,
      blocks: 4,
      occupiedBytes: 4096 + 8192 + 300 * KIB,
    });
    assert.deepEqual(measured.own, { files: 1, bytes: 1, blocks: 1, occupiedBytes: 4096 });
    assert.equal(measured.children.length, 1);
    assert.equal(measured.children[0]?.path.toString(), path("a").toString());
    assert.equal(measured.children[0]?.own.files, 2, "what lies deeper belongs to the last level told apart");
  });
});

test.run();
