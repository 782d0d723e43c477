import "../../support/in-memory.js";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { FORMAT_VERSION } from "../../../index/core/layout.js";
import { wipeDirectory } from "../../../engine/cache.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { digestOf } from "../../support/digest.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  startOf,
  store,
  tagOf,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const directories = suite("cache directory");

/** Wants openCache, fsck and wipe to refuse the directory and to leave everything beside it as it was. */
async function expectUntouched(
  directory: string,
  code: "E_NOT_OURS" | "E_DIRECTORY" | "E_FORMAT_VERSION",
): Promise<void> {
  const around = path.dirname(directory);
  const before = digestOf(around);
  await assert.rejects(openAt(directory), withCode(code));
  await assert.rejects(openAt(directory, { wipeReason: "asked for" }), withCode(code));
  await assert.rejects(wipeDirectory({ directory }));
  await assert.rejects(fsckDirectory({ directory, deep: true }));
  assert.deepEqual(digestOf(around), before);
}

/** Leaves a clean cache with one block behind. */
async function leave(directory: string, options = {}): Promise<void> {
  const cache = await openAt(directory, options);
  await store(cache, tagOf(0), bytesOf(0, 5000));
  await cache.close();
}

async function expectKept(directory: string, options = {}): Promise<void> {
  const cache = await openAt(directory, options);
  assert.equal((await cache.status()).start.kind, "clean");
  expectHit(await cache.get(tagOf(0)), bytesOf(0, 5000));
  await cache.close();
}

directories(
  "is made with all that leads to it, for its owner alone, whatever is in the way of backups tagged",
  async () => {
    await withPlace(async (directory) => {
      const deep = path.join(directory, "a", "b");
      await leave(deep);
      for (const name of ["", "index", "slots", "ledger"]) {
        assert.equal(fs.statSync(path.join(deep, name)).mode & 0o777, 0o700, name);
      }
      for (const name of ["lock", "checkpoint", "format"]) {
        assert.equal(fs.statSync(path.join(deep, name)).mode & 0o777, 0o600, name);
      }
      for (const name of ["index", "slots"]) {
        const tag = fs.readFileSync(path.join(deep, name, "CACHEDIR.TAG"), "latin1");
        assert.match(tag, /^Signature: 8a477f597d28d172789f06886806bc55\n/);
      }
    });
  },
);

directories("a file in its place is refused and left alone", async () => {
  await withPlace(async (directory) => {
    fs.writeFileSync(directory, "somebody's");
    await expectUntouched(directory, "E_DIRECTORY");
    await assert.rejects(openAt(path.join(directory, "below")), withCode("E_DIRECTORY"));
  });
});

directories("a directory with anything else in it is refused and left alone", async () => {
  await withPlace(async (directory) => {
    fs.mkdirSync(path.join(directory, "slots", "0"), { recursive: true });
    fs.writeFileSync(path.join(directory, "slots", "0", "0"), "somebody's");
    await expectUntouched(directory, "E_NOT_OURS");
  });
});

directories("a directory with somebody else's file named format is refused and left alone", async () => {
  for (const text of ["", "xfs\n", "tagcache cache directory\nformat -1\ncache 0\n", "x".repeat(10_000)]) {
    await withPlace(async (directory) => {
      fs.mkdirSync(directory);
      fs.writeFileSync(path.join(directory, "format"), text);
      await expectUntouched(directory, "E_NOT_OURS");
    });
  }
  await withPlace(async (directory) => {
    fs.mkdirSync(path.join(directory, "format"), { recursive: true });
    await expectUntouched(directory, "E_NOT_OURS");
  });
});

directories("a symbolic link in its place is refused and not followed", async () => {
  await withPlace(async (directory) => {
    const target = `${directory}-target`;
    fs.mkdirSync(target);
    fs.symlinkSync(target, directory);
    await expectUntouched(directory, "E_DIRECTORY");
    await assert.rejects(openAt(`${directory}/`), withCode("E_DIRECTORY"));
    assert.deepEqual(fs.readdirSync(target), []);
  });
});

for (const name of ["slots", "index", "ledger"]) {
  directories(`a symbolic link in place of ${name} is refused and not followed`, async () => {
    await withPlace(async (directory) => {
      await leave(directory);
      const target = `${directory}-target`;
      fs.renameSync(path.join(directory, name), target);
      fs.symlinkSync(target, path.join(directory, name));
      const before = digestOf(target, ["lock.mdb", "lock"]);
      await assert.rejects(openAt(directory), withCode("E_DIRECTORY", /symbolic link/));
      assert.deepEqual(digestOf(target, ["lock.mdb", "lock"]), before);
    });
  });
}

directories("a symbolic link in place of the lock is refused", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    fs.rmSync(path.join(directory, "lock"));
    fs.writeFileSync(`${directory}-lock`, "");
    fs.symlinkSync(`${directory}-lock`, path.join(directory, "lock"));
    await assert.rejects(openAt(directory), withCode("E_DIRECTORY"));
    assert.equal(fs.readFileSync(`${directory}-lock`, "latin1"), "");
  });
});

directories("one that may not be written is refused by whom it is not for", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    fs.chmodSync(path.dirname(directory), 0o755);
    fs.chmodSync(directory, 0o555);
    // Root may write everywhere, so somebody else has to try.
    const script = `
      import { openCache } from ${JSON.stringify(new URL("../../../engine/cache" + path.extname(import.meta.filename), import.meta.url).href)};
      if (process.getuid() === 0) { process.setgid(65534); process.setuid(65534); }
      await openCache({ directory: ${JSON.stringify(directory)}, capacityBytes: ${64 * MIB} }).then(
        () => console.log("opened"), (error) => console.log(error.code, error.message));`;
    const flags = import.meta.filename.endsWith(".ts") ? ["--import", "tsx"] : [];
    const run = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", script], {
      encoding: "utf8",
    });
    assert.match(run.stdout, /^E_DIRECTORY .*may not be read and written \(EACCES\)/, run.stderr);
    fs.chmodSync(directory, 0o700);
    await expectKept(directory);
  });
});

function setFormat(directory: string, version: number): void {
  const file = path.join(directory, "format");
  fs.writeFileSync(file, fs.readFileSync(file, "latin1").replace(/^format .*$/m, `format ${version}`));
}

directories("of a newer format is refused, naming both versions, and left alone", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    setFormat(directory, FORMAT_VERSION + 41);
    await expectUntouched(directory, "E_FORMAT_VERSION");
    const named = new RegExp(`format ${FORMAT_VERSION + 41}\\b.*format ${FORMAT_VERSION}\\b`);
    await assert.rejects(openAt(directory), withCode("E_FORMAT_VERSION", named));
    setFormat(directory, FORMAT_VERSION);
    await expectKept(directory);
  });
});

directories("of an older format is wiped, and keeps its ledger", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    const before = await startOf(directory);
    setFormat(directory, FORMAT_VERSION - 1);
    const upgraded = await startOf(directory);
    assert.deepEqual([upgraded.kind, upgraded.action], ["upgrade", "wipe"]);
    assert.equal(upgraded.cacheId, before.cacheId);
    assert.equal(upgraded.epoch, before.epoch + 1);
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

directories("the ledger of a cache that runs can't be named as that of another", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    const thief = { stateDirectory: path.join(directory, "ledger") };
    await assert.rejects(
      openAt(`${directory}-other`, thief),
      withCode("E_BUSY", new RegExp(String(process.pid))),
    );
    await cache.close();
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

directories("a cache whose ledger lies elsewhere is not started without it", async () => {
  await withPlace(async (directory) => {
    const stateDirectory = `${directory}-state`;
    const { epoch } = await startOf(directory, { stateDirectory });
    await assert.rejects(openAt(directory), withCode("E_CONFIG", /its ledger lies in .*-state/));
    const again = await startOf(directory, { stateDirectory });
    assert.deepEqual([again.kind, again.epoch], ["clean", epoch]);
  });
});

directories("a setting out of range is refused before anything is changed", async () => {
  await withPlace(async (directory) => {
    await assert.rejects(openAt(directory, { capacityBytes: 1 }), withCode("E_CONFIG"));
    assert.equal(fs.existsSync(directory), false);
    await leave(directory);
    const before = digestOf(directory);
    for (const capacityBytes of [0, -1, 1.5, Number.NaN, 16 * 256 * 1024 - 1, 2 ** 52, Infinity]) {
      await assert.rejects(openAt(directory, { capacityBytes }), withCode("E_CONFIG"), String(capacityBytes));
    }
    for (const slotsMax of [0, 15, 16.5, -16, Number.NaN, 2 ** 31 + 1]) {
      await assert.rejects(openAt(directory, { slotsMax }), withCode("E_CONFIG"), String(slotsMax));
    }
    assert.deepEqual(digestOf(directory), before);
    await expectKept(directory);
  });
});

directories("a start that died before the signature is made good", async () => {
  await withPlace(async (directory) => {
    fs.mkdirSync(path.join(directory, "lost+found"), { recursive: true });
    fs.writeFileSync(path.join(directory, "lock"), "");
    fs.writeFileSync(path.join(directory, "format.tmp"), "tagca");
    assert.equal((await startOf(directory)).kind, "new");
    await expectSound(directory);
  });
});

directories("a state directory elsewhere outlives the cache, its epoch goes on", async () => {
  await withPlace(async (directory) => {
    const stateDirectory = `${directory}-state`;
    await leave(directory, { stateDirectory });
    assert.equal(fs.existsSync(path.join(directory, "ledger")), false);
    const before = await startOf(directory, { stateDirectory });
    fs.rmSync(directory, { recursive: true });
    const after = await startOf(directory, { stateDirectory });
    assert.equal(after.kind, "new");
    assert.equal(after.cacheId, before.cacheId);
    assert.equal(after.epoch, before.epoch + 1);
    await expectSound(directory, stateDirectory);
  });
});

directories("a cache whose state directory was lost is wiped and gets a new id", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    const before = await startOf(directory);
    fs.rmSync(path.join(directory, "ledger"), { recursive: true });
    const cache = await openAt(directory);
    const { start, cacheId } = await cache.status();
    assert.deepEqual([start.kind, start.action, start.reason], ["unclean", "wipe", "the ledger was missing"]);
    assert.notEqual(cacheId, before.cacheId);
    assert.equal((await cache.get(tagOf(0))).kind, "miss");
    await cache.close();
    await expectSound(directory);
  });
});

directories("two caches may not have one state directory, at once or in turn", async () => {
  await withPlace(async (directory) => {
    const [one, two, stateDirectory] = [`${directory}-1`, `${directory}-2`, `${directory}-state`];
    await leave(two);
    const first = await openAt(one, { stateDirectory });
    await store(first, tagOf(0), bytesOf(0, 5000));
    await assert.rejects(openAt(`${directory}-3`, { stateDirectory }), withCode("E_BUSY"));
    await first.close();
    await assert.rejects(
      openAt(two, { stateDirectory }),
      withCode("E_DIRECTORY", /belongs to another cache/),
    );
    await expectKept(one, { stateDirectory });
    await expectKept(two);
  });
});

directories(
  "a new cache that takes over another's state directory makes that one start empty, not wrong",
  async () => {
    await withPlace(async (directory) => {
      const stateDirectory = `${directory}-state`;
      await leave(directory, { stateDirectory });
      const other = await openAt(`${directory}-other`, { stateDirectory });
      await store(other, tagOf(0), bytesOf(99, 5000));
      await other.close();
      const cache = await openAt(directory, { stateDirectory });
      assert.equal((await cache.status()).start.action, "wipe");
      assert.equal((await cache.get(tagOf(0))).kind, "miss");
      await cache.close();
    });
  },
);

directories("a wipe of a closed cache forgets its blocks, keeps its slots, and leaves it clean", async () => {
  await withPlace(async (directory) => {
    await assert.rejects(wipeDirectory({ directory }), withCode("E_NOT_OURS"));
    await leave(directory);
    const { epoch } = await wipeDirectory({ directory });
    assert.equal(epoch, 2);
    const cache = await openAt(directory);
    const { start, slots } = await cache.status();
    assert.deepEqual([start.kind, start.action], ["clean", "none"]);
    assert.equal((await cache.get(tagOf(0))).kind, "miss");
    assert.equal(slots.total, 1);
    await assert.rejects(wipeDirectory({ directory }), withCode("E_BUSY"));
    await store(cache, tagOf(0), bytesOf(5, 5000));
    assert.equal((await cache.status()).slots.total, 1);
    await cache.close();
    await expectSound(directory);
  });
});

directories("a wipe asked for at start says so", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    const start = await startOf(directory, { wipeReason: "the owner wants it" });
    assert.deepEqual([start.kind, start.action, start.reason], ["clean", "wipe", "the owner wants it"]);
    const again = await startOf(directory);
    assert.deepEqual([again.kind, again.action, again.reason], ["clean", "none", undefined]);
  });
});

directories.run();
