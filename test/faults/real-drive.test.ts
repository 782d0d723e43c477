/**
 * The same for real: a daemon on a small file system of its own that fills up, that is shut down or turns read-only under
 * it, or whose directory is deleted. It answers all the time, wrongly never, and comes back by itself where there is something to come
 * back to. As root, where there are loop devices; skipped loudly elsewhere.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { suite } from "uvu";
import type { CacheClient } from "../../engine/daemon/client.js";
import { type Daemon, withDaemons } from "../crash/daemons.js";
import { roundsOf } from "../support/effort.js";
import { MIB, bytesOf, pause, tagOf, until } from "../support/temp-cache.js";

const realDrive = suite("trouble of a real drive");
type FileSystem = "ext4" | "xfs";
/** xfs takes no less than 300 MiB; a small disk is full sooner. */
const DISK_BYTES = { ext4: 96 * MIB, xfs: 320 * MIB } as const;
const MAKE = { ext4: ["mkfs.ext4", "-q", "-F", "-m", "0"], xfs: ["mkfs.xfs", "-q"] } as const;
const MOUNT = { ext4: "loop,errors=remount-ro", xfs: "loop" } as const;
const ARGS = ["--capacity", "32MiB", "--log-level", "warn"];
const BYTES = 100_000;
const CALL_MS_MAX = 4000;
/** _IOR('X', 125, __u32) of ext4 and xfs: everything fails from here on, as after a journal that could not be written. */
const SHUTDOWN =
  "import fcntl,os,struct,sys; fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

const missing = [
  ...(roundsOf(1) > 1 ? [] : ["make torture"]),
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...["/dev/loop-control", "/usr/sbin/mkfs.ext4", "/usr/bin/python3"].filter((place) => !existsSync(place)),
];

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** Runs the body with a small file system of its own. */
async function withDrive(fs: FileSystem, body: (drive: string) => Promise<void>): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), "tagcache-drive-"));
  const [image, drive] = [join(place, "image"), join(place, "drive")];
  writeFileSync(image, "");
  truncateSync(image, DISK_BYTES[fs]);
  mkdirSync(drive);
  const [make, ...flags] = MAKE[fs];
  run(make, ...flags, image);
  run("mount", "-o", MOUNT[fs], image, drive);
  try {
    await body(drive);
  } finally {
    run("umount", drive);
    rmSync(place, { recursive: true, force: true });
  }
}

interface Looks {
  hits: number;
  misses: number;
  stored: number;
  readonly bypassed: Record<string, number>;
}

/** Puts and gets; every answer in time, every hit right. */
async function use(client: CacheClient, looks: Looks, first: number): Promise<void> {
  for (let block = first; block < first + 20; block += 1) {
    const bytes = bytesOf(block, BYTES);
    const beganMs = performance.now();
    const put = await client.put(tagOf(block), bytes);
    const got = await client.get(tagOf(block));
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs < 2 * CALL_MS_MAX, `two calls took ${tookMs} ms`);
    if (put.kind === "stored") looks.stored += 1;
    else looks.bypassed[put.reason] = (looks.bypassed[put.reason] ?? 0) + 1;
    if (got.kind === "hit") {
      looks.hits += 1;
      assert.ok(got.bytes.equals(bytes), "a hit has wrong bytes");
    } else if (got.kind === "miss") looks.misses += 1;
    if (put.kind !== "stored") await pause(5);
  }
}

const noLooks = (): Looks => ({ hits: 0, misses: 0, stored: 0, bypassed: {} });

interface Scene {
  readonly daemon: Daemon;
  readonly client: CacheClient;
  readonly directory: string;
  readonly drive: string;
  readonly start: (directory: string, args: readonly string[]) => Daemon;
}

async function scene(
  name: string,
  body: (all: Scene) => Promise<void>,
  fs: FileSystem = "ext4",
): Promise<void> {
  if (missing.length > 0) {
    console.log(`  ${name}: SKIPPED, want ${missing.join(", ")}`);
    return;
  }
  if (fs === "xfs" && !existsSync("/usr/sbin/mkfs.xfs")) {
    console.log(`  ${name}: SKIPPED, want mkfs.xfs of xfsprogs`);
    return;
  }
  await withDrive(fs, async (drive) => {
    await withDaemons(async (start) => {
      const directory = join(drive, "cache");
      mkdirSync(directory, { mode: 0o700 });
      const daemon = start(directory, ARGS);
      const client = await daemon.connect(CALL_MS_MAX);
      await body({ daemon, client, directory, drive, start });
      await client.close();
    });
  });
}

realDrive("a drive that fills up is a bypass or an old slot, and it goes on once there is room", () =>
  scene("a full drive", async ({ daemon, client, drive }) => {
    const before = noLooks();
    await use(client, before, 0);
    assert.equal(before.stored, 20);
    try {
      run("dd", "if=/dev/zero", `of=${join(drive, "filler")}`, "bs=64k");
    } catch {
      // until there is no room: that is what is wanted
    }
    const during = noLooks();
    for (let round = 0; round < 10; round += 1) await use(client, during, 1000 + round * 100);
    assert.ok(!daemon.ended, daemon.lines.join("\n"));
    assert.ok((during.bypassed["drive-full"] ?? 0) > 0, JSON.stringify(during));
    rmSync(join(drive, "filler"));
    await until(async () => {
      const after = noLooks();
      await use(client, after, 5000);
      return after.stored === 20;
    }, 30_000);
    assert.equal(await daemon.end("SIGTERM"), 0, daemon.lines.join("\n"));
  }),
);

/** The drive does not come back to this daemon: it bypasses, lives, and ends with the status of a drive that failed. */
async function expectBypassed({ daemon, client }: Scene): Promise<void> {
  const during = noLooks();
  for (let round = 0; round < 5; round += 1) await use(client, during, 1000 + round * 100);
  assert.equal(during.stored, 0);
  const bypassed = Object.values(during.bypassed).reduce((sum, count) => sum + count, 0);
  assert.equal(bypassed, 100, JSON.stringify(during));
  assert.ok(!daemon.ended, daemon.lines.join("\n"));
  assert.equal(await daemon.end("SIGTERM"), 74, daemon.lines.join("\n"));
  assert.ok(
    daemon.lines.every((line) => !/^ {4}at /.test(line)),
    daemon.lines.join("\n"),
  );
}

for (const fs of ["ext4", "xfs"] as const) {
  realDrive(`${fs} that is shut down is a bypass`, () =>
    scene(
      `a shutdown of ${fs}`,
      async (all) => {
        await use(all.client, noLooks(), 0);
        run("python3", "-c", SHUTDOWN, all.drive);
        await expectBypassed(all);
      },
      fs,
    ),
  );
}

realDrive("a file system that turns read-only is a bypass", () =>
  scene("a file system that turns read-only", async (all) => {
    await use(all.client, noLooks(), 0);
    const device = execFileSync("findmnt", ["-n", "-o", "SOURCE", all.drive], { encoding: "utf8" }).trim();
    writeFileSync(join("/sys/fs/ext4", basename(device), "trigger_fs_error"), "1");
    await expectBypassed(all);
  }),
);

realDrive("a directory that is deleted is a bypass, and the next daemon begins anew", () =>
  scene("a deleted directory", async (all) => {
    await use(all.client, noLooks(), 0);
    rmSync(all.directory, { recursive: true });
    await expectBypassed(all);
    const next = await all.start(all.directory, ARGS).connect(CALL_MS_MAX);
    const after = noLooks();
    await use(next, after, 0);
    assert.equal(after.stored, 20);
    await next.close();
  }),
);

realDrive.run();
