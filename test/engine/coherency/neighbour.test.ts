/** Somebody who could once write in the cache directory, or who changes its names while the cache is open. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { type OpenCacheOptions, isCacheError } from "../../../engine/cache.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import { roundsOf } from "../../support/effort.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  pause,
  slotFiles,
  startOf,
  store,
  tagOf,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const neighbour = suite("a hostile neighbour in the cache directory");

const NOBODY = 65_534;
const isRoot = process.geteuid?.() === 0;
const BLOCK_BYTES = 20_000;
const SECRET = "somebody's file, not ours to change\n";

/** A closed cache with a block. */
async function leave(directory: string): Promise<void> {
  const cache = await openAt(directory);
  await store(cache, tagOf(0), bytesOf(1, BLOCK_BYTES));
  await cache.close();
}

const EPOCH_INDEX = "index/1";
/** Every name that a start, a session or a stop reads or makes. */
const NAMES = [
  "format",
  "format.tmp",
  "lock",
  "checkpoint",
  "checkpoint.tmp",
  "lookup",
  "lookup.new",
  "probe",
  "index",
  "index/CACHEDIR.TAG",
  EPOCH_INDEX,
  `${EPOCH_INDEX}/data.mdb`,
  `${EPOCH_INDEX}/lock.mdb`,
  `${EPOCH_INDEX}/.room`,
  "ledger",
  "ledger/data.mdb",
  "ledger/lock.mdb",
  "ledger/lock",
  "ledger/.room",
  "slots",
  "slots/CACHEDIR.TAG",
  "slots/0",
  "slots/0/0",
  "slots/0/1",
] as const;

/** What may stand there instead; `victim` is a file of somebody else. */
const TRICKS: ReadonlyArray<readonly [string, (name: string, victim: string) => void]> = [
  ["a symbolic link to a file", (name, victim) => fs.symlinkSync(victim, name)],
  ["a symbolic link to nothing", (name, victim) => fs.symlinkSync(`${victim}-made`, name)],
  ["a symbolic link to a directory", (name, victim) => fs.symlinkSync(path.dirname(victim), name)],
  ["a hard link to a file", (name, victim) => fs.linkSync(victim, name)],
  ["a pipe", (name) => assert.equal(spawnSync("mkfifo", [name]).status, 0)],
];

/** Opens, reads, stores and closes. @returns the code of what kept it from that, if anything did. */
function live(directory: string, options: Partial<OpenCacheOptions> = {}): Promise<string> {
  return outcomeOf(async () => {
    const cache = await openAt(directory, { publish: true, ...options });
    try {
      const found = await cache.get(tagOf(0));
      if (found.kind === "hit") expectHit(found, bytesOf(1, BLOCK_BYTES));
      await cache.put(tagOf(1), bytesOf(2, BLOCK_BYTES));
    } finally {
      await cache.close();
    }
  });
}

async function outcomeOf(body: () => Promise<unknown>): Promise<string> {
  try {
    await body();
    return "lived";
  } catch (error) {
    assert.ok(isCacheError(error), String(error));
    assert.doesNotMatch(error.message, /\/proc\/self/, "messages name what users know");
    return error.code;
  }
}

/** One in so many tricks on each name; all of them with TORTURE_EFFORT. */
const TRICKS_A_NAME = roundsOf(1) > 1 ? 1 : 2;

for (const [turn, [what, plant]] of TRICKS.entries()) {
  neighbour(
    `${what} in place of any file or directory of ours is neither followed nor waited for`,
    async () => {
      await withPlace(async (sample) => {
        await leave(sample);
        for (const [place, name] of NAMES.entries()) {
          if ((place + turn) % TRICKS_A_NAME === 0) await expectHarmless(sample, name, plant);
        }
      });
    },
  );
}

async function expectHarmless(
  sample: string,
  name: string,
  plant: (place: string, victim: string) => void,
): Promise<void> {
  await withPlace(async (directory) => {
    fs.cpSync(sample, directory, { recursive: true });
    const outside = `${directory}-outside`;
    fs.mkdirSync(outside);
    const victim = path.join(outside, "0");
    fs.writeFileSync(victim, SECRET, { mode: 0o640 });
    const place = path.join(directory, name);
    fs.rmSync(place, { recursive: true, force: true });
    plant(place, victim);
    const checked = await outcomeOf(() => fsckDirectory({ directory, deep: true }));
    assert.match(checked, /^(lived|E_DIRECTORY|E_NOT_OURS|E_NOT_FOUND|E_IO|E_LEDGER_CORRUPT)$/, name);
    assert.deepEqual(fs.readdirSync(outside), ["0"], `fsck, ${name}: ${checked}`);
    const outcome = await live(directory);
    assert.match(outcome, /^(lived|E_DIRECTORY|E_NOT_OURS|E_IO|E_LEDGER_CORRUPT)$/, name);
    assert.equal(fs.readFileSync(victim, "latin1"), SECRET, `${name}: ${outcome}`);
    assert.equal(fs.statSync(victim).mode & 0o777, 0o640, `${name}: ${outcome}`);
    assert.deepEqual(fs.readdirSync(outside), ["0"], `${name}: ${outcome}`);
  });
}

neighbour("who shares with a group leaves the modes of what has another name alone", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    const victim = `${directory}-victim`;
    fs.writeFileSync(victim, SECRET, { mode: 0o600 });
    fs.linkSync(victim, path.join(directory, "slots/0/7"));
    fs.symlinkSync(victim, path.join(directory, "slots/0/8"));
    const cache = await openAt(directory, { groupId: process.getegid?.() ?? 0 });
    const own = slotFiles(directory).get(0) as string;
    for (let looks = 0; (fs.statSync(own).mode & 0o777) !== 0o640; looks += 1) {
      assert.ok(looks < 2000, "slot files are shared in the end");
      await pause(5);
    }
    await cache.close();
    assert.equal(fs.statSync(victim).mode & 0o777, 0o600);
  });
});

neighbour("a directory that others may write in is closed to them, with a warning", async () => {
  await withPlace(async (directory) => {
    await leave(directory);
    const places = ["", "index", "ledger", "slots"].map((name) => path.join(directory, name));
    for (const place of places) fs.chmodSync(place, 0o777);
    const lines: string[] = [];
    const cache = await openAt(directory, {
      log: (level, message) => void lines.push(`${level} ${message}`),
    });
    expectHit(await cache.get(tagOf(0)), bytesOf(1, BLOCK_BYTES));
    await cache.close();
    for (const place of places) assert.equal(fs.statSync(place).mode & 0o022, 0, place);
    assert.match(lines.join("\n"), /^warn others could write in .*: they can no more$/m);
  });
});

/** Opens the cache as user `nobody`. @returns what came of it, in a line. */
function openAsNobody(directory: string): string {
  const engine = new URL(`../../../engine/cache${path.extname(import.meta.filename)}`, import.meta.url).href;
  const script = `
    import { openCache } from ${JSON.stringify(engine)};
    process.setgroups([]); process.setgid(${NOBODY}); process.setuid(${NOBODY});
    await openCache({ directory: ${JSON.stringify(directory)}, capacityBytes: ${64 * MIB} }).then(
      async (cache) => { await cache.close(); console.log("opened"); },
      (error) => console.log(error.code, error.message));`;
  const flags = import.meta.filename.endsWith(".ts") ? ["--import", "tsx"] : [];
  const run = spawnSync(process.execPath, [...flags, "--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  return `${run.stdout}${run.stderr}`.trim();
}

if (isRoot) {
  neighbour("a directory of somebody else is refused, whatever its mode", async () => {
    await withPlace(async (directory) => {
      fs.chmodSync(path.dirname(directory), 0o755);
      fs.mkdirSync(directory);
      fs.chownSync(directory, NOBODY - 1, NOBODY);
      fs.chmodSync(directory, 0o777);
      assert.match(
        openAsNobody(directory),
        /^E_DIRECTORY .*: user 65533 owns it, want it to be of user 65534/,
      );
      assert.deepEqual(fs.readdirSync(directory), []);
      fs.chownSync(directory, NOBODY, NOBODY);
      assert.equal(openAsNobody(directory), "opened");
      // Root may look after the caches of others.
      assert.equal((await startOf(directory)).kind, "clean");
    });
  });

  neighbour("slot files of somebody else are not used, read or written", async () => {
    await withPlace(async (directory) => {
      await leave(directory);
      const file = slotFiles(directory).get(0) as string;
      fs.chownSync(file, NOBODY, NOBODY);
      const before = fs.readFileSync(file);
      const cache = await openAt(directory);
      assert.notEqual((await cache.get(tagOf(0))).kind, "hit");
      for (let block = 1; block < 4; block += 1)
        await store(cache, tagOf(block), bytesOf(block, BLOCK_BYTES));
      for (let block = 1; block < 4; block += 1)
        expectHit(await cache.get(tagOf(block)), bytesOf(block, BLOCK_BYTES));
      await cache.close();
      assert.ok(fs.readFileSync(file).equals(before));
    });
  });

  neighbour("a directory of slots that is somebody else's is not used", async () => {
    await withPlace(async (directory) => {
      await leave(directory);
      fs.chownSync(path.join(directory, "slots/0"), NOBODY, NOBODY);
      const before = fs.readdirSync(path.join(directory, "slots/0"));
      const cache = await openAt(directory);
      assert.notEqual((await cache.get(tagOf(0))).kind, "hit");
      assert.equal((await cache.put(tagOf(1), bytesOf(2, BLOCK_BYTES))).kind, "bypass");
      await cache.close();
      assert.deepEqual(fs.readdirSync(path.join(directory, "slots/0")), before);
    });
  });
}

/** What was ours under a name is moved aside, and somebody else's directory, with files of the same names, stands there. */
function swap(place: string, victims: readonly string[], link: boolean): void {
  const decoy = `${place}-decoy`;
  fs.renameSync(place, `${place}-aside`);
  fs.mkdirSync(decoy);
  for (const name of victims) {
    fs.mkdirSync(path.dirname(path.join(decoy, name)), { recursive: true });
    fs.writeFileSync(path.join(decoy, name), SECRET);
  }
  if (link) fs.symlinkSync(decoy, place);
  else fs.renameSync(decoy, place);
}

const SWAPS = [
  ["a directory of slots", "slots/0", ["0", "1", "2", "3"]],
  ["the directory of all slots", "slots", ["0/0", "0/1", "0/2", "0/3"]],
  ["the cache directory", "", ["slots/0/0", "slots/0/1", "checkpoint", "lookup", "format"]],
] as const;

for (const [what, name, victims] of SWAPS) {
  for (const link of [true, false]) {
    const by = link ? "a symbolic link" : "another directory";
    neighbour(`${what}, swapped for ${by} while the cache is open, leads nowhere else`, async () => {
      await withPlace(async (directory) => {
        await leave(directory);
        const cache = await openAt(directory, { publish: true });
        await store(cache, tagOf(1), bytesOf(2, BLOCK_BYTES));
        const place = path.join(directory, name);
        swap(place, victims, link);
        expectHit(await cache.get(tagOf(0)), bytesOf(1, BLOCK_BYTES));
        await store(cache, tagOf(0), bytesOf(3, BLOCK_BYTES));
        for (let block = 2; block < 6; block += 1) {
          await store(cache, tagOf(block), bytesOf(block, BLOCK_BYTES));
          expectHit(await cache.get(tagOf(block)), bytesOf(block, BLOCK_BYTES));
        }
        await cache.close();
        for (const victim of victims) {
          assert.equal(fs.readFileSync(path.join(place, victim), "latin1"), SECRET, victim);
        }
        assert.equal(
          fs.readdirSync(place, { recursive: true }).length,
          new Set(victims.flatMap(withParents)).size,
        );
        // The stop was clean, in the place that was opened.
        fs.rmSync(place, { recursive: true });
        fs.rmSync(`${place}-decoy`, { recursive: true, force: true });
        fs.renameSync(`${place}-aside`, place);
        assert.equal((await startOf(directory)).kind, "clean");
        await expectSound(directory);
      });
    });
  }
}

function withParents(name: string): string[] {
  const parts = name.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

neighbour(
  "a lock that is a second name of somebody's file is refused, and the file keeps its bytes",
  async () => {
    await withPlace(async (directory) => {
      await leave(directory);
      const victim = `${directory}-victim`;
      fs.writeFileSync(victim, SECRET);
      fs.rmSync(path.join(directory, "lock"));
      fs.linkSync(victim, path.join(directory, "lock"));
      await assert.rejects(
        openAt(directory),
        withCode("E_DIRECTORY", /lock: it is not a plain file of ours/),
      );
      assert.equal(fs.readFileSync(victim, "latin1"), SECRET);
    });
  },
);

neighbour.run();
