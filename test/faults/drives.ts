/** Small file systems of their own for a daemon, what is asked of it there, and what it must not gather meanwhile. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CacheClient } from "../../engine/daemon/client.js";
import { type Daemon, withDaemons } from "../crash/daemons.js";
import { type Sample, residentOf } from "../soak/samples.js";
import { roundsOf } from "../support/effort.js";
import { MIB, bytesOf, pause, tagOf } from "../support/temp-cache.js";

export type FileSystem = "ext4" | "xfs" | "ext4 without a journal";
/** xfs takes no less than 300 MiB; a small disk is full sooner. */
const DISK_BYTES = { ext4: 96 * MIB, xfs: 320 * MIB, "ext4 without a journal": 160 * MIB } as const;
const MAKE = {
  ext4: ["mkfs.ext4", "-q", "-F", "-m", "0"],
  xfs: ["mkfs.xfs", "-q"],
  "ext4 without a journal": ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "nodiscard"],
} as const;
const MOUNT = {
  ext4: "loop,errors=remount-ro",
  xfs: "loop",
  "ext4 without a journal": "loop,errors=continue",
} as const;
const ARGS = ["--capacity", "32MiB", "--log-level", "warn"];
const BYTES = 100_000;
export const CALL_MS_MAX = 4000;
export const ROUND = 20;

const missing = [
  ...(roundsOf(1) > 1 ? [] : ["make torture"]),
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...["/dev/loop-control", "/usr/sbin/mkfs.ext4", "/usr/bin/python3"].filter((place) => !existsSync(place)),
];

export function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "pipe"] });
}

/** What came of some calls. */
export interface Looks {
  hits: number;
  misses: number;
  stored: number;
  readonly bypassed: Record<string, number>;
}

export const noLooks = (): Looks => ({ hits: 0, misses: 0, stored: 0, bypassed: {} });

/** Puts and gets ROUND blocks; every answer in time, every hit right. */
export async function use(client: CacheClient, looks: Looks, first: number, restMs = 5): Promise<void> {
  for (let block = first; block < first + ROUND; block += 1) {
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
    if (put.kind !== "stored") await pause(restMs);
  }
}

/** So many calls that fail would show one buffer that each of them leaves: 250 MB. */
const FAILING_ROUNDS = 125;
const GROWTH_BYTES_MAX = 64 * MIB;
const GROWTH_DESCRIPTORS_MAX = 4;

/** Wants a daemon to gather neither memory nor descriptors by calls that fail. @returns what it had before and has after. */
export async function expectNothingGathered(
  { daemon, client }: Pick<Scene, "daemon" | "client">,
  looks: Looks,
): Promise<{ readonly before: Sample; readonly after: Sample }> {
  const before = residentOf(daemon.pid);
  for (let round = 0; round < FAILING_ROUNDS; round += 1) await use(client, looks, 20_000 + round * ROUND, 0);
  const after = residentOf(daemon.pid);
  const held = JSON.stringify({ before, after });
  assert.ok(after.descriptors <= before.descriptors + GROWTH_DESCRIPTORS_MAX, held);
  assert.ok(after.rssAnonBytes <= before.rssAnonBytes + GROWTH_BYTES_MAX, held);
  console.log(
    `  ${before.descriptors} -> ${after.descriptors} descriptors, ` +
      `${Math.round(before.rssAnonBytes / MIB)} -> ${Math.round(after.rssAnonBytes / MIB)} MiB`,
  );
  return { before, after };
}

export interface Scene {
  readonly daemon: Daemon;
  readonly client: CacheClient;
  readonly directory: string;
  readonly drive: string;
  /** Where the image of the file system lies. */
  readonly place: string;
  readonly start: (directory: string, args?: readonly string[]) => Daemon;
  /** The file system is taken away and mounted again, checked if it is ext4. */
  readonly remount: () => void;
}

export interface SceneOptions {
  readonly fs?: FileSystem;
  readonly args?: readonly string[];
  /** The image lies in a memory of so many bytes, less than it is to hold. */
  readonly memoryBytes?: number;
}

/** Runs the body with a daemon whose cache lies in a small file system of its own; or says what is missing for that. */
export async function scene(
  name: string,
  body: (all: Scene) => Promise<void>,
  { fs = "ext4", args = [], memoryBytes }: SceneOptions = {},
): Promise<void> {
  const wanted = fs === "xfs" && !existsSync("/usr/sbin/mkfs.xfs") ? [...missing, "mkfs.xfs"] : missing;
  if (wanted.length > 0) {
    console.log(`  ${name}: SKIPPED, want ${wanted.join(", ")}`);
    return;
  }
  const own = mkdtempSync(join(tmpdir(), "tagcache-drive-"));
  const [place, drive] = [join(own, "place"), join(own, "drive")];
  const image = join(place, "image");
  mkdirSync(place);
  mkdirSync(drive);
  if (memoryBytes !== undefined) run("mount", "-t", "tmpfs", "-o", `size=${memoryBytes}`, "tmpfs", place);
  try {
    writeFileSync(image, "");
    truncateSync(image, DISK_BYTES[fs]);
    const [make, ...flags] = MAKE[fs];
    run(make, ...flags, image);
    const mount = (): void => run("mount", "-o", MOUNT[fs], image, drive);
    const remount = (): void => {
      run("umount", drive);
      if (fs !== "xfs") checkFileSystem(image);
      mount();
    };
    mount();
    try {
      await withDaemons(async (begin) => {
        const directory = join(drive, "cache");
        mkdirSync(directory, { mode: 0o700 });
        const start = (at: string, more: readonly string[] = args): Daemon => begin(at, [...ARGS, ...more]);
        const daemon = start(directory);
        const client = await daemon.connect(CALL_MS_MAX);
        await body({ daemon, client, directory, drive, place, start, remount });
        await client.close();
      });
    } finally {
      run("umount", drive);
    }
  } finally {
    if (memoryBytes !== undefined) run("umount", place);
    rmSync(own, { recursive: true, force: true });
  }
}

/** As a boot does; exit status 1 says that something was mended. */
function checkFileSystem(image: string): void {
  try {
    run("e2fsck", "-p", "-f", image);
  } catch (error) {
    if ((error as { status?: unknown }).status !== 1) throw error;
  }
}
