/** Whatever record of the index does not read back: the cache opens, every call answers, and what the record named is not there. */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { OwnedCache } from "../../engine/api.js";
import { fsckDirectory } from "../../engine/fsck/fsck.js";
import { followFsck } from "../../engine/fsck/follow.js";
import { ATTRIBUTE, BLOCKS, BYTES, type Damage, breakCache } from "../support/broken.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  store,
  tagOf,
  withPlace,
} from "../support/temp-cache.js";

const damaged = suite("a record that does not read back");
const NAMED = { fs: "test", volume: "handles" };
const FILE = { fs: "test", volume: "volume", inode: "file" };
/** The cache has no more of a kind. */
const RECORDS_MAX = 4;

type OnUnclean = "wipe" | "verify";

/** A clean cache with records of all kinds, and pins of files, trees and volumes. */
async function prepare(directory: string, onUnclean: OnUnclean): Promise<void> {
  const cache = await openAt(directory, { onUnclean });
  await cache.pin(FILE);
  await cache.pin({ fs: "test", volume: "volume", inodePrefix: "fi" });
  await cache.pin(NAMED);
  for (const fs of ["test", "apart"]) await cache.invalidate({ fs });
  for (let block = 0; block < BLOCKS; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
  const volume = await cache.acquireVolume("test", "handles");
  const { metadata } = await volume.acquireCookie("named", { sizeBytes: 10n });
  await metadata.setAttributes(Buffer.from("attributes"));
  await metadata.setXattr(ATTRIBUTE);
  await cache.close();
}

/** Reads of all kinds, then changes. */
async function useAll(cache: OwnedCache): Promise<void> {
  await cache.status();
  for (const what of [
    { all: true as const },
    { fs: "test" },
    { fs: "test", volume: "volume" },
    NAMED,
    FILE,
  ]) {
    await cache.list(what);
    await cache.flush(what, { dryRun: true });
  }
  await cache.files({ fs: "test", volume: "volume" });
  await cache.pins();
  await cache.explain(tagOf(0));
  for (let block = 0; block < BLOCKS; block += 1) {
    const found = await cache.get(tagOf(block));
    if (found.kind === "hit") expectHit(found, bytesOf(block, BYTES));
    await cache.has(tagOf(block));
  }
  const volume = await cache.acquireVolume("test", "handles");
  const cookie = await volume.acquireCookie("named");
  await cookie.metadata.getAttributes();
  await cookie.metadata.getXattr(ATTRIBUTE.name);
  await cookie.metadata.listXattrs();
  await cookie.metadata.lookup("name");
  await followFsck(cache.fsck, { bytesPerSecond: 1024 * MIB });

  await store(cache, tagOf(0), bytesOf(9, BYTES));
  expectHit(await cache.get(tagOf(0)), bytesOf(9, BYTES));
  await cookie.metadata.setXattr({ ...ATTRIBUTE, value: Buffer.from("another") });
  await cookie.relinquish();
  await cache.pin({ fs: "test", volume: "volume" });
  for (const what of [{ ...FILE, inode: "other" }, NAMED, { fs: "apart" }]) await cache.invalidate(what);
  await cache.unpin({ fs: "test", volume: "volume" });
  await cache.flush({ all: true });
  await cache.cull({ usedBytesMax: cache.limits.slotBytesMax });
}

for (const table of ["volumes", "objects", "blocks", "metadata"] as const) {
  for (const onUnclean of ["wipe", "verify"] as const) {
    damaged(`of ${table} keeps nobody from anything, --on-unclean ${onUnclean}`, async () => {
      for (let nth = 0; nth < RECORDS_MAX; nth += 1) {
        await withPlace(async (directory) => {
          await prepare(directory, onUnclean);
          const damage: Damage[] = [{ record: table, nth, do: "garbage" }];
          if (onUnclean === "verify") damage.push({ mark: "unclean" });
          await breakCache(directory, damage);
          const cache = await openAt(directory, { onUnclean });
          const { kind, action } = (await cache.status()).start;
          assert.deepEqual([kind, action], onUnclean === "wipe" ? ["clean", "none"] : ["unclean", "verify"]);
          await useAll(cache);
          await cache.close();
          const next = await openAt(directory, { onUnclean });
          const { start, corrupt } = await next.status();
          assert.deepEqual([start.kind, corrupt], ["clean", 0]);
          await next.close();
          // Slots, files and counts that the record spoke for are a repair's matter.
          await fsckDirectory({ directory, deep: true, repair: true });
          await expectSound(directory);
        });
      }
    });
  }
}

damaged.run();
