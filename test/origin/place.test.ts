import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { Origin } from "../../engine/origin/origin.js";
import { placeOf, selectorsOf } from "../../engine/origin/place.js";
import { isCacheError } from "../../index/core/errors.js";

const place = suite("places of paths");

async function withPlaces(body: (root: string, at: (path: string) => Promise<unknown>) => Promise<void>) {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "tagcache-place-")));
  try {
    mkdirSync(join(root, "sub/deep"), { recursive: true });
    writeFileSync(join(root, "sub/file"), "x");
    symlinkSync("sub", join(root, "link"));
    const origin = new Origin({ named: [{ name: Buffer.from("my"), path: Buffer.from(root) }] });
    await body(root, async (path) => {
      const { kind, inode, volume } = await placeOf(origin, Buffer.from(path));
      assert.equal(volume.toString(), "my");
      return [kind, inode.toString()];
    });
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

place("of what is there", async () => {
  await withPlaces(async (root, at) => {
    assert.deepEqual(await at(root), ["directory", ""]);
    assert.deepEqual(await at(`${root}/sub`), ["directory", "sub"]);
    assert.deepEqual(await at(`${root}/sub/`), ["directory", "sub"]);
    assert.deepEqual(await at(`${root}/sub/file`), ["file", "sub/file"]);
    assert.deepEqual(await at(`${root}/link/file`), ["file", "sub/file"]);
    assert.deepEqual(await at(`${root}/link`), ["other", "link"]);
  });
});

place("of what is gone: the nearest directory above it decides", async () => {
  await withPlaces(async (root, at) => {
    assert.deepEqual(await at(`${root}/none`), ["gone", "none"]);
    assert.deepEqual(await at(`${root}/none/`), ["gone", "none"]);
    assert.deepEqual(await at(`${root}/none/a//./b/`), ["gone", "none/a/b"]);
    assert.deepEqual(await at(`${root}/link/none/a`), ["gone", "sub/none/a"]);
    assert.deepEqual(await at(`${root}/sub/file/below`), ["gone", "sub/file/below"]);
    assert.deepEqual(await at(`${root}/sub/file/below/that`), ["gone", "sub/file/below/that"]);
    await assert.rejects(at(`${root}/none/../x/y`), (error) => isCacheError(error, "E_IO"));
  });
});

place("stands for a file and for a tree of its name, the root for its volume", () => {
  const [path, volume] = [Buffer.from("/v/a"), Buffer.from("/v")];
  const file = { path, kind: "gone", volume, inode: Buffer.from("a") } as const;
  assert.deepEqual(selectorsOf(file), [
    { fs: "dir", volume, inode: Buffer.from("a") },
    { fs: "dir", volume, inodePrefix: Buffer.from("a/") },
  ]);
  assert.deepEqual(selectorsOf({ ...file, inode: Buffer.alloc(0) }), [{ fs: "dir", volume }]);
});

place.run();
