import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { crc32 } from "@node-rs/crc32";
import { readCheckpoint, writeCheckpoint } from "../../../engine/coherency/checkpoint.js";
import { fixturePath } from "../../index/support.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  startOf,
  store,
  tagOf,
  withPlace,
} from "../../support/temp-cache.js";
import { checkpointBytes, goldenCheckpoint } from "./checkpoint-cases.js";

const checkpoints = suite("checkpoint");

/** Runs the body with a function that reads bytes back as a checkpoint. */
async function withReader(
  body: (read: (bytes: Buffer) => ReturnType<typeof readCheckpoint>) => void,
): Promise<void> {
  await withPlace(async (file) => {
    body((bytes) => {
      fs.writeFileSync(file, bytes);
      return readCheckpoint(file);
    });
  });
}

/** Gives damaged bytes the checksums that their writer would have given them. */
function resealed(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(96)), 88);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 92);
  return bytes;
}

checkpoints("keeps every byte of its format", () => {
  const stored = fs.readFileSync(fixturePath("checkpoint.hex"), "latin1").replaceAll(/\s/g, "");
  assert.equal(
    checkpointBytes(goldenCheckpoint()).toString("hex"),
    stored,
    "The checkpoint has other bytes than the caches in use: raise FORMAT_VERSION, then write fixtures/checkpoint.hex anew",
  );
});

checkpoints("reads back as it was written, at once and from the golden bytes", async () => {
  const stored = fs.readFileSync(fixturePath("checkpoint.hex"), "latin1").replaceAll(/\s/g, "");
  await withReader((read) => assert.deepEqual(read(Buffer.from(stored, "hex")), goldenCheckpoint()));
  await withPlace(async (file) => {
    writeCheckpoint(file, goldenCheckpoint());
    assert.deepEqual(readCheckpoint(file), goldenCheckpoint());
    assert.equal(fs.existsSync(`${file}.tmp`), false);
  });
});

checkpoints("no flipped bit goes unnoticed", async () => {
  const whole = checkpointBytes(goldenCheckpoint());
  await withReader((read) => {
    for (let at = 0; at < whole.length; at += 1) {
      const damaged = Buffer.from(whole);
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      assert.equal(typeof read(damaged), "string", `byte ${at}`);
    }
  });
});

checkpoints("no other length goes unnoticed", async () => {
  const whole = checkpointBytes(goldenCheckpoint());
  await withReader((read) => {
    for (let length = 0; length < whole.length; length += 1) {
      assert.equal(typeof read(whole.subarray(0, length)), "string", `${length} bytes`);
    }
    assert.equal(typeof read(Buffer.concat([whole, Buffer.alloc(1)])), "string");
    assert.equal(typeof read(Buffer.concat([whole, whole])), "string");
    assert.equal(typeof read(Buffer.concat([Buffer.alloc(1), whole])), "string");
  });
});

checkpoints("what no owner leaves is refused though its checksums are right", async () => {
  const golden = goldenCheckpoint();
  const whole = checkpointBytes(golden);
  const orderAt = 96 + 4 * 4 * 6;
  const statesAt = whole.length - 12;
  const impossible: Array<[string, (bytes: Buffer) => unknown]> = [
    ["a slot in no known state", (bytes) => (bytes[statesAt] = 7)],
    ["a slot that was being filled", (bytes) => (bytes[statesAt] = 2)],
    ["a slot on its way out", (bytes) => (bytes[statesAt] = 4)],
    ["a used slot that recency leaves out", (bytes) => (bytes[statesAt + 1] = 3)],
    ["a slot named by recency that is free", (bytes) => (bytes[statesAt] = 1)],
    ["a slot with 65 pages", (bytes) => (bytes[statesAt + 6] = 65)],
    ["a slot with more than 256 KiB", (bytes) => bytes.writeUInt32LE(262_145, 96)],
    ["recency that names a slot twice", (bytes) => bytes.writeUInt32LE(0, orderAt)],
    ["recency that names a slot that is not there", (bytes) => bytes.writeUInt32LE(6, orderAt)],
    ["more slots than bytes", (bytes) => bytes.writeUInt32LE(0xffff_ffff, 8)],
    ["fewer slots than bytes", (bytes) => bytes.writeUInt32LE(5, 8)],
    ["more used slots than bytes", (bytes) => bytes.writeUInt32LE(0xffff_ffff, 12)],
  ];
  await withReader((read) => {
    assert.deepEqual(read(resealed(Buffer.from(whole))), golden);
    for (const [what, damage] of impossible) {
      const damaged = Buffer.from(whole);
      damage(damaged);
      assert.equal(typeof read(resealed(damaged)), "string", what);
    }
  });
});

/** Leaves a clean cache with two blocks behind, changes something, and wants a wipe that says why. */
async function expectWipe(change: (directory: string) => unknown, reason: RegExp): Promise<void> {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (const block of [0, 1]) await store(cache, tagOf(block), bytesOf(block, 5000));
    await cache.close();
    await change(directory);
    const next = await openAt(directory);
    const { start, slots } = await next.status();
    assert.deepEqual({ ...start, ms: 0, reason: "" }, { kind: "unclean", action: "wipe", ms: 0, reason: "" });
    assert.match(start.reason ?? "", reason);
    assert.equal(slots.used, 0);
    for (const block of [0, 1]) assert.equal((await next.get(tagOf(block))).kind, "miss");
    await store(next, tagOf(0), bytesOf(7, 5000));
    await next.close();
    const last = await openAt(directory);
    assert.equal((await last.status()).start.kind, "clean");
    expectHit(await last.get(tagOf(0)), bytesOf(7, 5000));
    await last.close();
    await expectSound(directory);
  });
}

const checkpointOf = (directory: string) => path.join(directory, "checkpoint");
const indexOf = (directory: string) => {
  const [epoch] = fs.readdirSync(path.join(directory, "index")).filter((name) => /^[0-9]+$/.test(name));
  return path.join(directory, "index", epoch as string);
};

checkpoints("a start without a checkpoint wipes", async () => {
  await expectWipe((directory) => fs.rmSync(checkpointOf(directory)), /checkpoint can't be read: ENOENT/);
});

checkpoints("a start with a damaged checkpoint wipes", async () => {
  for (const at of [0, 20, 50, 90, 100, 120]) {
    await expectWipe((directory) => {
      const bytes = fs.readFileSync(checkpointOf(directory));
      bytes[at] = (bytes[at] as number) ^ 0x10;
      fs.writeFileSync(checkpointOf(directory), bytes);
    }, /checkpoint/);
  }
});

checkpoints("a start with a directory or a dangling link for a checkpoint wipes", async () => {
  await expectWipe((directory) => {
    fs.rmSync(checkpointOf(directory));
    fs.mkdirSync(checkpointOf(directory));
  }, /checkpoint/);
  await expectWipe((directory) => {
    fs.rmSync(checkpointOf(directory));
    fs.symlinkSync("/nowhere", checkpointOf(directory));
  }, /checkpoint/);
});

checkpoints("a start with the checkpoint of an earlier stop wipes", async () => {
  await expectWipe(async (directory) => {
    const old = fs.readFileSync(checkpointOf(directory));
    const cache = await openAt(directory);
    await cache.remove(tagOf(0));
    await cache.close();
    fs.writeFileSync(checkpointOf(directory), old);
  }, /not the one of the last stop/);
});

checkpoints("a start with the checkpoint of another cache wipes", async () => {
  await expectWipe(async (directory) => {
    const other = `${directory}-other`;
    const cache = await openAt(other);
    await store(cache, tagOf(0), bytesOf(0, 100));
    await cache.close();
    fs.copyFileSync(checkpointOf(other), checkpointOf(directory));
  }, /not the one of the last stop/);
});

checkpoints("a start with the index of an earlier stop wipes", async () => {
  await expectWipe(async (directory) => {
    const old = fs.readFileSync(path.join(indexOf(directory), "data.mdb"));
    const cache = await openAt(directory);
    await cache.remove(tagOf(0));
    await cache.close();
    fs.writeFileSync(path.join(indexOf(directory), "data.mdb"), old);
  }, /the index is at commit [0-9]+, the last stop was at [0-9]+/);
});

checkpoints("a start with an index that is gone, garbage or cut short wipes", async () => {
  await expectWipe((directory) => fs.rmSync(indexOf(directory), { recursive: true }), /./);
  await expectWipe(
    (directory) => fs.writeFileSync(path.join(indexOf(directory), "data.mdb"), bytesOf(1, 20_000)),
    /./,
  );
  await expectWipe((directory) => fs.truncateSync(path.join(indexOf(directory), "data.mdb"), 8192), /./);
});

checkpoints("a clean stop after an unclean end is believed, and the epoch goes on", async () => {
  await withPlace(async (directory) => {
    const first = await startOf(directory);
    fs.rmSync(checkpointOf(directory));
    const second = await startOf(directory);
    const third = await startOf(directory);
    assert.deepEqual([first.epoch, second.epoch, third.epoch], [1, 2, 2]);
    assert.deepEqual([first.kind, second.kind, third.kind], ["new", "unclean", "clean"]);
    assert.equal(third.cacheId, first.cacheId);
  });
});

checkpoints.run();
