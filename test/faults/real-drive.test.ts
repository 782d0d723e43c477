/**
 * The same for real: a daemon on a small file system of its own that fills up, that is shut down or turns read-only under it, whose
 * directory is deleted, that is frozen for a while, or whose disk refuses new blocks for a while. It answers all the time, wrongly
 * never, gathers nothing, and comes back by itself where there is something to come back to. As root, where there are loop devices;
 * skipped loudly elsewhere.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { basename, join } from "node:path";
import { suite } from "uvu";
import { followFsck } from "../../engine/fsck/follow.js";
import { residentOf } from "../soak/samples.js";
import { MIB, pause, until } from "../support/temp-cache.js";
import { CALL_MS_MAX, ROUND, type Scene, expectNothingGathered, noLooks, run, scene, use } from "./drives.js";

const realDrive = suite("trouble of a real drive");
const VERIFY = ["--on-unclean", "verify"];
/** A new index is tried for again after at most that long, and a sick drive is well after 15 s. */
const RECOVERED_MS_MAX = 40_000;
const FROZEN_MS = 10_000;
/** _IOR('X', 125, __u32) of ext4 and xfs: everything fails from here on, as after a journal that could not be written. */
const SHUTDOWN =
  "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/** Writes a file until there is no room. @returns its removal. */
function fill(directory: string): () => void {
  const filler = join(directory, "filler");
  const file = openSync(filler, "w");
  const bytes = Buffer.alloc(64 * 1024, 1);
  try {
    for (;;) writeSync(file, bytes);
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
  } finally {
    closeSync(file);
  }
  return () => rmSync(filler);
}

/** The fault is over: all is stored again, no slot is on its way for ever, and nothing is left of what was tried. */
async function expectRecovered({ daemon, client }: Scene, descriptorsBefore: number): Promise<void> {
  let first = 5000;
  await until(async () => {
    const after = noLooks();
    await use(client, after, (first += 100));
    return after.stored === ROUND && after.hits === ROUND;
  }, RECOVERED_MS_MAX);
  const { slots } = await client.status();
  assert.equal(slots.used + slots.free + slots.quarantined + slots.unknown, slots.total);
  assert.equal(slots.quarantined, 0);
  assert.ok((await followFsck(client.fsck, { deep: true })).clean);
  // Each slot may have its own.
  const { descriptors } = residentOf(daemon.pid);
  assert.ok(descriptors <= descriptorsBefore + slots.total, `${descriptorsBefore} -> ${descriptors}`);
}

realDrive("a drive that fills up is a bypass or an old slot, and it goes on once there is room", () =>
  scene("a full drive", async (all) => {
    const before = noLooks();
    await use(all.client, before, 0);
    assert.equal(before.stored, ROUND);
    const { descriptors } = residentOf(all.daemon.pid);
    const empty = fill(all.drive);
    const during = noLooks();
    for (let round = 0; round < 10; round += 1) await use(all.client, during, 1000 + round * 100);
    assert.ok(!all.daemon.ended, all.daemon.lines.join("\n"));
    assert.ok((during.bypassed["drive-full"] ?? 0) > 0, JSON.stringify(during));
    await expectNothingGathered(all, during);
    empty();
    await expectRecovered(all, descriptors);
    assert.equal(await all.daemon.end("SIGTERM"), 0, all.daemon.lines.join("\n"));
  }),
);

/** The drive does not come back to this daemon: it bypasses, lives, and ends with the status of a drive that failed. */
async function expectBypassed(all: Scene): Promise<void> {
  const { daemon, client } = all;
  const during = noLooks();
  for (let round = 0; round < 5; round += 1) await use(client, during, 1000 + round * 100);
  assert.equal(during.stored, 0);
  const bypassed = Object.values(during.bypassed).reduce((sum, count) => sum + count, 0);
  assert.equal(bypassed, 5 * ROUND, JSON.stringify(during));
  await expectNothingGathered(all, during);
  assert.equal(during.stored, 0);
  assert.ok(!daemon.ended, daemon.lines.join("\n"));
  assert.equal(await daemon.end("SIGTERM"), 74, daemon.lines.join("\n"));
}

/** The next daemon finds the file system mended, as an operator or a boot leaves it. */
async function expectNextBegins({ directory, start }: Scene): Promise<void> {
  const daemon = start(directory);
  const client = await daemon.connect(CALL_MS_MAX);
  const after = noLooks();
  await use(client, after, 0);
  assert.equal(after.stored, ROUND);
  assert.ok((await followFsck(client.fsck, { deep: true })).clean);
  await client.close();
  assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
}

for (const fs of ["ext4", "xfs"] as const) {
  for (const args of [[], VERIFY]) {
    const how = [fs, ...args].join(" ");
    realDrive(`${how}: shut down is a bypass, and the next daemon goes on once it is mounted again`, () =>
      scene(
        `a shutdown of ${how}`,
        async (all) => {
          await use(all.client, noLooks(), 0);
          run("python3", "-c", SHUTDOWN, all.drive);
          await expectBypassed(all);
          all.remount();
          await expectNextBegins(all);
        },
        { fs, args },
      ),
    );
  }
}

realDrive(
  "a file system that turns read-only is a bypass, and the next daemon goes on after its repair",
  () =>
    scene("a file system that turns read-only", async (all) => {
      await use(all.client, noLooks(), 0);
      // An operator cannot do it: the kernel refuses as long as the daemon has files open.
      assert.throws(() => run("mount", "-o", "remount,ro", all.drive));
      const still = noLooks();
      await use(all.client, still, 100);
      assert.equal(still.stored, ROUND);
      const device = execFileSync("findmnt", ["-n", "-o", "SOURCE", all.drive], { encoding: "utf8" }).trim();
      writeFileSync(join("/sys/fs/ext4", basename(device), "trigger_fs_error"), "1");
      await expectBypassed(all);
      all.remount();
      await expectNextBegins(all);
    }),
);

realDrive("a directory that is deleted is a bypass, and the next daemon begins anew", () =>
  scene("a deleted directory", async (all) => {
    await use(all.client, noLooks(), 0);
    rmSync(all.directory, { recursive: true });
    await expectBypassed(all);
    await expectNextBegins(all);
  }),
);

for (const args of [[], VERIFY]) {
  const how = ["ext4", ...args].join(" ");
  realDrive(`${how}: a file system that is frozen for 10 s is a timeout, and it goes on afterwards`, () =>
    scene(
      `a frozen file system, ${how}`,
      async (all) => {
        await use(all.client, noLooks(), 0);
        const { descriptors } = residentOf(all.daemon.pid);
        run("fsfreeze", "-f", all.drive);
        const beganMs = performance.now();
        const during = noLooks();
        try {
          while (performance.now() < beganMs + FROZEN_MS) await use(all.client, during, 1000);
        } finally {
          run("fsfreeze", "-u", all.drive);
        }
        assert.ok((during.bypassed["timeout"] ?? 0) > 0, JSON.stringify(during));
        await expectRecovered(all, descriptors);
        assert.equal(await all.daemon.end("SIGTERM"), 0, all.daemon.lines.join("\n"));
      },
      { args },
    ),
  );
}

for (const args of [[], VERIFY]) {
  const how = ["ext4", ...args].join(" ");
  realDrive(`${how}: a disk that refuses new blocks loses what it was given, and the cache goes on`, () =>
    scene(
      `a disk that refuses new blocks, ${how}`,
      async (all) => {
        await use(all.client, noLooks(), 0);
        const { descriptors } = residentOf(all.daemon.pid);
        const empty = fill(all.place);
        const during = noLooks();
        for (let round = 0; round < 20; round += 1) {
          await use(all.client, during, 1000 + round * 100);
          await pause(200);
        }
        // An index of which nobody knows what reached the disk is not used any more; the other is trusted by nobody after its end.
        if (args === VERIFY) {
          assert.ok((during.bypassed["io-error"] ?? 0) > 0, JSON.stringify(during));
          await expectNothingGathered(all, during);
        }
        empty();
        await expectRecovered(all, descriptors);
        const { epoch } = await all.client.status();
        assert.equal(epoch > 1, args === VERIFY);
        const status = await all.daemon.end("SIGTERM");
        assert.ok(status === 0 || status === 74, all.daemon.lines.join("\n"));
        await expectNextBegins(all);
      },
      { fs: "ext4 without a journal", args, memoryBytes: 96 * MIB },
    ),
  );
}

realDrive.run();
