/** Checks of a cache that is open and in use. */
import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import type { OwnedCache } from "../../../engine/api.js";
import { CheckEnded } from "../../../engine/fsck/course.js";
import { type FollowOptions, followFsck } from "../../../engine/fsck/follow.js";
import { FSCK_BYTES_PER_SECOND_MIN } from "../../../engine/fsck-api.js";
import { PAGE_BYTES, SLOT_BYTES } from "../../../index/core/layout.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import {
  BLOCKS as BROKEN_BLOCKS,
  BYTES as BROKEN_BYTES,
  BROKEN_CASES,
  type BrokenCase,
  breakCache,
  makeSound,
} from "../../support/broken.js";
import { roundsOf } from "../../support/effort.js";
import {
  MIB,
  bytesOf,
  expectHit,
  openAt,
  randomOf,
  slotFiles,
  store,
  tagOf,
  until,
  withCache,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";

const online = suite("fsck of an open cache");
const BLOCKS = 4;
const BYTES = 9000;
/** So much has to go on beside the checks. */
const CULLED_MIN = 100;
const FAST = { bytesPerSecond: 1024 * MIB };

async function codesOf(cache: OwnedCache, options: FollowOptions = {}): Promise<string[]> {
  const { findings } = await followFsck(cache.fsck, { ...FAST, ...options });
  return findings.map(({ code, slot }) => (slot === undefined ? code : `${code} ${slot}`));
}

/** Everything that a cache does, by chance, at its capacity. */
async function use(cache: OwnedCache, seed: number, going: () => boolean): Promise<void> {
  const random = randomOf(seed);
  const pick = (count: number): number => Math.floor(random() * count);
  const volume = await cache.acquireVolume("test", "volume");
  while (going()) {
    const name = `file ${pick(12)}`;
    const tag = tagOf(pick(16), name, `volume${pick(3)}`);
    const step = pick(24);
    if (step < 18) await cache.put(tag, bytesOf(pick(1000), 1 + pick(SLOT_BYTES)));
    else if (step === 18) await cache.remove(tag);
    else if (step === 19) await cache.invalidate({ fs: "test", volume: tag.volume, inode: name });
    else if (step === 20) await cache.invalidate({ fs: "test", volume: tag.volume });
    else if (step === 21) await cache.flush({ fs: "test", volume: tag.volume, inode: name });
    else {
      const cookie = await volume.acquireCookie(name, { sizeBytes: 4n * BigInt(SLOT_BYTES) });
      await cookie.zero(BigInt(pick(3) * SLOT_BYTES), SLOT_BYTES);
      await cookie.write(BigInt(pick(100) * PAGE_BYTES), bytesOf(pick(1000), PAGE_BYTES));
      await cookie.metadata.setXattr({ name: "user.test", value: bytesOf(1, 100) });
      await cookie.relinquish({ retire: pick(3) === 0 });
    }
  }
}

online(
  "finds nothing beside writers, culls, removals and invalidations, however often it looks",
  async () => {
    await withCache({ capacityBytes: 24 * MIB, slotsMax: 40 }, async (cache) => {
      let going = true;
      const load = [1, 2, 3, 4].map((seed) => use(cache, seed, () => going));
      try {
        for (let round = 0; round < roundsOf(12) || (await cache.status()).culled < CULLED_MIN; round += 1) {
          const report = await followFsck(cache.fsck, { ...FAST, deep: round % 2 === 0 });
          assert.deepEqual(report.findings, []);
          assert.ok(report.clean);
        }
      } finally {
        going = false;
        await Promise.all(load);
      }
      const quiet = await followFsck(cache.fsck, { ...FAST, deep: true });
      assert.deepEqual(quiet.findings, []);
      const { slots } = await cache.status();
      assert.equal(quiet.counts.used, slots.used);
      assert.equal(quiet.counts.blocksChecked, slots.used);
    });
  },
);

async function withBlocks(body: (cache: OwnedCache, directory: string) => Promise<void>): Promise<void> {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let block = 0; block <= BLOCKS; block += 1) await store(cache, tagOf(block), bytesOf(block, BYTES));
    await cache.remove(tagOf(BLOCKS));
    try {
      await body(cache, directory);
    } finally {
      await cache.close();
    }
  });
}

online("finds what happened to slot files", async () => {
  await withBlocks(async (cache, directory) => {
    const files = slotFiles(directory);
    const file = (slot: number): string => files.get(slot) as string;
    fs.rmSync(file(0));
    fs.writeFileSync(file(1), bytesOf(99, BYTES));
    fs.truncateSync(file(2), BYTES - 1);
    fs.linkSync(file(3), `${directory}-link`);
    fs.appendFileSync(file(BLOCKS), Buffer.alloc(50_000));
    fs.writeFileSync(path.join(directory, "slots", "0", "99"), "");
    const cheap = ["slot-missing 0", "slot-kind 3", `slot-accounting ${BLOCKS}`, "slot-stray"];
    assert.deepEqual(await codesOf(cache), cheap);
    assert.deepEqual(await codesOf(cache, { deep: true }), ["checksum 1", "slot-short 2", ...cheap]);
    assert.equal((await cache.status()).slots.used, BLOCKS, "it changes nothing");
  });
});

online("finds and repairs on an open cache what it does on a closed one", async () => {
  const isSlotDamage = ({ damage }: BrokenCase): boolean =>
    damage.length > 0 && damage.every((one) => "file" in one && one.file.startsWith("slots"));
  for (const one of BROKEN_CASES.filter(isSlotDamage)) {
    await withPlace(async (directory) => {
      await makeSound(directory);
      const cache = await openAt(directory);
      try {
        await breakCache(directory, one.damage);
        const options = { ...FAST, deep: true };
        const { found, foundByCode } = await followFsck(cache.fsck, options);
        assert.deepEqual(Object.keys(foundByCode).toSorted(), one.deep ?? one.finds, one.name);
        const repair = await followFsck(cache.fsck, { ...options, repair: true });
        assert.equal(repair.found, found, one.name);
        const left = repair.findings.filter(({ repaired }) => repaired === undefined);
        assert.deepEqual([...new Set(left.map(({ code }) => code))], one.left ?? [], one.name);
        const after = await followFsck(cache.fsck, options);
        assert.deepEqual(Object.keys(after.foundByCode), one.left ?? [], one.name);
        for (let block = 0; block <= BROKEN_BLOCKS; block += 1) {
          const result = await cache.get(tagOf(block));
          if (one.hits?.includes(block)) expectHit(result, bytesOf(block, BROKEN_BYTES));
          else assert.equal(result.kind, "miss", one.name);
          await store(cache, tagOf(block), bytesOf(block + 50, BYTES)); // what was repaired takes new tenants
        }
        assert.deepEqual(Object.keys((await followFsck(cache.fsck, options)).foundByCode), one.left ?? []);
      } finally {
        await cache.close();
      }
      const { foundByCode } = await fsckDirectory({ directory, deep: true });
      assert.deepEqual(Object.keys(foundByCode), one.left ?? [], one.name);
    });
  }
});

online("is one at a time, and ends when it is told to", async () => {
  await withBlocks(async (cache) => {
    assert.equal((await cache.fsck.status()).state, "none");
    const slow = { deep: true, bytesPerSecond: FSCK_BYTES_PER_SECOND_MIN };
    await cache.fsck.start(slow);
    await assert.rejects(cache.fsck.start(), withCode("E_BUSY"));
    const ended = await cache.fsck.stop();
    assert.deepEqual([ended.id, ended.state, ended.deep], [1, "stopped", true]);
    assert.equal(typeof ended.reason, "string");
    const stop = new AbortController();
    const following = followFsck(cache.fsck, { ...slow, signal: stop.signal });
    stop.abort();
    await assert.rejects(following, CheckEnded);
    assert.deepEqual(await codesOf(cache), []);
    for (const bytesPerSecond of [1, Number.NaN, FSCK_BYTES_PER_SECOND_MIN - 1])
      await assert.rejects(cache.fsck.start({ bytesPerSecond }), withCode("E_ARGUMENT"));
    await assert.rejects(cache.fsck.status({ after: -1 }), withCode("E_ARGUMENT"));
  });
});

online("ends with a wipe, and with the cache", async () => {
  await withBlocks(async (cache) => {
    const slow = { deep: true, bytesPerSecond: FSCK_BYTES_PER_SECOND_MIN };
    await cache.fsck.start(slow);
    await cache.wipe();
    assert.equal((await cache.fsck.status()).state, "stopped");
    assert.deepEqual(await codesOf(cache, { deep: true }), []);
    await cache.fsck.start(slow);
    await cache.close();
    await assert.rejects(cache.fsck.status(), withCode("E_CLOSED"));
  });
});

online("keeps to its rate", async () => {
  await withCache({}, async (cache) => {
    for (let block = 0; block < 8; block += 1) await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
    const beganMs = Date.now();
    await cache.fsck.start({ deep: true, bytesPerSecond: 4 * MIB });
    await until(async () => (await cache.fsck.status()).progress.bytes >= MIB);
    const { bytes } = (await cache.fsck.status()).progress;
    const seconds = (Date.now() - beganMs) / 1000;
    assert.ok(bytes <= (seconds + 0.1) * 4 * MIB + SLOT_BYTES, `${bytes} bytes in ${seconds} s`);
    await cache.fsck.stop();
  });
});

online.run();
