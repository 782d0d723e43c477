/** Random traffic, then random damage: a check finds it or it does no harm; a repair leaves a clean cache; every hit is right. */
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import "../../support/in-memory.js";
import type { OwnedCache, Tag } from "../../../engine/api.js";
import { followFsck } from "../../../engine/fsck/follow.js";
import { fsckDirectory } from "../../../engine/fsck/fsck.js";
import type { FindingCode, FsckReport } from "../../../engine/fsck-api.js";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { type Damage, breakCache } from "../../support/broken.js";
import { roundsOf } from "../../support/effort.js";
import { MIB, bytesOf, openAt, randomOf, slotFiles, tagOf, withPlace } from "../../support/temp-cache.js";

const property = suite("damage by chance");
const STEPS = 120;
/** No slot has this number or a higher one. */
const FIRST_STRAY = 100;
const OPTIONS = { capacityBytes: 24 * MIB, slotsMax: 40 };
/** What no repair may touch. */
const LEFT: ReadonlySet<FindingCode> = new Set(["slot-stray", "ledger-corrupt"]);

type Pick = (count: number) => number;

/** What was stored last under each name, as far as it still counts. */
type Content = Map<string, { readonly tag: Tag; readonly bytes: Buffer }>;

function pickOf(seed: number): Pick {
  const random = randomOf(seed);
  return (count) => Math.floor(random() * count);
}

async function traffic(cache: OwnedCache, pick: Pick): Promise<Content> {
  const content: Content = new Map();
  const forget = (volume: string, inode?: string): void => {
    for (const [key, { tag }] of content)
      if (tag.volume === volume && (inode === undefined || tag.inode === inode)) content.delete(key);
  };
  for (let step = 0; step < STEPS; step += 1) {
    const [volume, inode] = [`volume${pick(3)}`, `file ${pick(5)}`];
    const tag = tagOf(pick(8), inode, volume);
    const key = `${volume} ${inode} ${tag.block}`;
    const chance = pick(20);
    if (chance < 14) {
      const bytes = bytesOf(pick(1000), 1 + pick(SLOT_BYTES));
      if ((await cache.put(tag, bytes)).kind === "stored") content.set(key, { tag, bytes });
      else content.delete(key);
    } else if (chance === 14) {
      await cache.remove(tag);
      content.delete(key);
    } else if (chance === 15) {
      await cache.invalidate({ fs: "test", volume, inode });
      forget(volume, inode);
    } else {
      const handle = await cache.acquireVolume("test", volume);
      const cookie = await handle.acquireCookie(inode);
      await cookie.metadata.setXattr({ name: `user.${pick(4)}`, value: bytesOf(step, 50) });
      await cookie.relinquish({ retire: chance === 16 });
      if (chance === 16) forget(volume, inode);
    }
  }
  return content;
}

/** @returns the names that are hits; whatever is one has the bytes that were stored last. */
async function hitsOf(cache: OwnedCache, content: Content): Promise<string[]> {
  const hits: string[] = [];
  for (let volume = 0; volume < 3; volume += 1) {
    for (let file = 0; file < 5; file += 1) {
      for (let block = 0; block < 8; block += 1) {
        const key = `volume${volume} file ${file} ${block}`;
        const result = await cache.get(tagOf(block, `file ${file}`, `volume${volume}`));
        if (result.kind !== "hit") continue;
        assert.ok(content.get(key)?.bytes.equals(result.bytes), `${key} has the bytes that were stored last`);
        hits.push(key);
      }
    }
  }
  return hits;
}

function slotDamage(directory: string, pick: Pick): Damage {
  // What stands in the place of a file already is left alone: reading a pipe would wait for ever.
  const slots = [...slotFiles(directory)]
    .filter(([slot, file]) => slot < FIRST_STRAY && fs.lstatSync(file).isFile())
    .map(([slot]) => slot);
  const fileOf = (slot: number | undefined): string => `slots/0/${slot}`;
  const file = fileOf(slots[pick(slots.length)]);
  const sizeBytes = fs.lstatSync(`${directory}/${file}`).size;
  const damages: readonly Damage[] = [
    { file, do: "remove" },
    { file, do: "truncate", bytes: pick(sizeBytes) },
    { file, do: "append", bytes: 1 + pick(SLOT_BYTES) },
    { file, do: "flip", at: pick(Math.max(1, sizeBytes)) },
    { file, do: "copy", from: fileOf(slots[pick(slots.length)]) },
    { file, do: "garbage", bytes: 1 + pick(SLOT_BYTES) },
    { file, do: "directory" },
    { file, do: "fifo" },
    { file: `slots/0/${FIRST_STRAY + pick(1000)}`, do: "make" },
    { file: `slots/0/name ${pick(9)}`, do: "make" },
  ];
  return damages[pick(damages.length)] as Damage;
}

function indexDamage(pick: Pick): Damage {
  const nth = pick(20);
  const damages: readonly Damage[] = [
    { record: "objects", nth, do: "garbage" },
    { record: "objects", nth, do: "remove" },
    { record: "volumes", nth, do: "garbage" },
    { record: "volumes", nth, do: "remove" },
    { record: "blocks", nth, do: "garbage" },
    { record: "blocks", nth, do: "remove" },
    { record: "metadata", nth, do: "garbage" },
    { entry: nth, set: { slot: pick(50) } },
    { entry: nth, set: { sequence: pick(10_000) } },
    { entry: nth, do: "remove" },
    { object: { id: 1 + pick(30), volumeId: 1 + pick(4), inode: `file ${pick(9)}` } },
    { metadata: { objectId: 1 + pick(60), sequence: pick(400) } },
    { checkpoint: { objects: pick(30) } },
  ];
  return damages[pick(damages.length)] as Damage;
}

function expectMended({ findings, found, repaired }: FsckReport): void {
  const left = findings.filter((finding) => finding.repaired === undefined);
  for (const { code, message } of left) assert.ok(LEFT.has(code), `${code} is left: ${message}`);
  assert.equal(repaired, found - left.length);
}

function expectOnlyLeft({ findings }: FsckReport): void {
  for (const { code, message } of findings) assert.ok(LEFT.has(code), `${code} after the repair: ${message}`);
}

async function closedRound(directory: string, pick: Pick): Promise<void> {
  const cache = await openAt(directory, OPTIONS);
  const content = await traffic(cache, pick);
  const before = await hitsOf(cache, content);
  await cache.close();
  const ofIndex = pick(3) > 0;
  for (let count = 0; count <= pick(3); count += 1) {
    const one = ofIndex && pick(3) > 0 ? indexDamage(pick) : slotDamage(directory, pick);
    await breakCache(directory, [one]);
  }
  const report = await fsckDirectory({ directory, deep: true });
  if (report.clean) {
    const again = await openAt(directory, OPTIONS);
    const after = await hitsOf(again, content);
    // A file whose record is gone is one that nobody knows: all of it is a miss.
    if (report.counts.unnamed === 0) assert.deepEqual(after, before, "what is not found does no harm");
    await again.close();
    return;
  }
  expectMended(await fsckDirectory({ directory, deep: true, repair: true }));
  expectOnlyLeft(await fsckDirectory({ directory, deep: true }));
  const again = await openAt(directory, OPTIONS);
  await hitsOf(again, content);
  await traffic(again, pick);
  await again.close();
  expectOnlyLeft(await fsckDirectory({ directory, deep: true }));
}

async function openRound(directory: string, pick: Pick): Promise<void> {
  const cache = await openAt(directory, OPTIONS);
  const fast = { deep: true, bytesPerSecond: 1024 * MIB };
  try {
    const content = await traffic(cache, pick);
    const before = await hitsOf(cache, content);
    for (let count = 0; count <= pick(3); count += 1)
      await breakCache(directory, [slotDamage(directory, pick)]);
    const report = await followFsck(cache.fsck, fast);
    if (report.clean)
      assert.deepEqual(await hitsOf(cache, content), before, "what is not found does no harm");
    expectMended(await followFsck(cache.fsck, { ...fast, repair: true }));
    expectOnlyLeft(await followFsck(cache.fsck, fast));
    await hitsOf(cache, content);
    await traffic(cache, pick);
    expectOnlyLeft(await followFsck(cache.fsck, fast));
  } finally {
    await cache.close();
  }
  expectOnlyLeft(await fsckDirectory({ directory, deep: true }));
}

const ROUNDS = [
  ["a closed cache", closedRound],
  ["an open cache", openRound],
] as const;

for (const [what, round] of ROUNDS) {
  property(`of ${what} is found or does no harm, and a repair leaves nothing but right bytes`, async () => {
    const seed = Date.now() % 1_000_000;
    for (let number = 0; number < roundsOf(4); number += 1) {
      await withPlace(async (directory) => {
        await round(directory, pickOf(seed + number)).catch((error: unknown) => {
          throw new Error(`with seed ${seed + number}: ${String(error)}`, { cause: error });
        });
      });
    }
  });
}

property.run();
