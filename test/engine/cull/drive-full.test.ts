import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import { withPlace } from "../../support/temp-cache.js";

const drives = suite("a drive that others fill");

/** Mounts a drive of 64 MiB and 400 inodes in a namespace of its own, which needs no rights but that to make one. */
const MOUNT = 'mkdir "$1" && mount -t tmpfs -o size=64m,nr_inodes=400 none "$1"';
const unshare = (script: string, ...args: string[]) =>
  spawnSync("unshare", ["-Urm", "sh", "-c", script, "sh", ...args], { encoding: "utf8", timeout: 90_000 });

let possible = false;
await withPlace(async (place) => {
  possible = unshare(MOUNT, place).status === 0;
});

const test = (name: string, body: () => Promise<void>): void => {
  if (possible) drives(name, body);
  else drives.skip(name, body);
};

test("the cache gives room back and takes it again, in bytes and in inodes", async () => {
  await withPlace(async (place) => {
    const scenario = fileURLToPath(new URL("shared-drive.js", import.meta.url));
    const run = unshare(
      `${MOUNT} && exec "$2" --enable-source-maps "$3" "$1"`,
      place,
      process.execPath,
      scenario,
    );
    assert.equal(run.status, 0, run.stderr);
  });
});

drives.run();
