import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { suite } from "uvu";
import {
  BUCKET_BYTES,
  BUCKET_ITEMS,
  Bucket,
  HEADER_BYTES,
  bucketAt,
  bucketOf,
  bucketsIn,
  decodeHeader,
  encodeHeader,
  findItem,
  isBucketIntact,
  itemEntry,
} from "../../../engine/direct/lookup-format.js";
import { cacheId, entryOf, fixturePath } from "../../index/support.js";
import { HEADER, lookupCases } from "./lookup-cases.js";

const format = suite("lookup file format");

format("keeps every byte of header, bucket and hash", () => {
  const stored = JSON.parse(readFileSync(fixturePath("lookup.json"), "utf8")) as Record<string, string>;
  assert.deepEqual(
    lookupCases(),
    stored,
    "The lookup file has other bytes than readers in use expect: give it another magic, then write fixtures/lookup.json anew",
  );
});

/** What FORMAT.md gives, with whole numbers of any size. */
function hashOf(objectId: bigint, block: bigint): bigint {
  const low = (value: bigint) => value & 0xffff_ffffn;
  const [o0, o1, b0, b1] = [low(objectId), objectId >> 32n, low(block), block >> 32n];
  let h = low((o0 ^ low(b0 * 0x9e3779b1n)) * 0x85ebca6bn);
  h = h ^ o1 ^ low(b1 * 0xc2b2ae35n);
  h = low((h ^ (h >> 15n)) * 0x2c1b3c6dn);
  h = low((h ^ (h >> 12n)) * 0x297a2d39n);
  return h ^ (h >> 15n);
}

format("finds the bucket that FORMAT.md gives", () => {
  fc.assert(
    fc.property(
      fc.nat(2 ** 48 - 1),
      fc.nat(2 ** 45 - 1),
      fc.integer({ min: 1, max: 2 ** 32 - 1 }),
      (objectId, block, buckets) => {
        const wanted = hashOf(BigInt(objectId), BigInt(block)) % BigInt(buckets);
        assert.equal(bucketOf(objectId, block, buckets), Number(wanted));
      },
    ),
  );
});

format("spreads the blocks of a file over the buckets", () => {
  const counts = new Uint32Array(1000);
  for (let block = 0; block < 3000; block += 1) {
    const bucket = bucketOf(17, block, counts.length);
    counts[bucket] = (counts[bucket] as number) + 1;
  }
  const over = counts.reduce((sum, count) => sum + Math.max(0, count - BUCKET_ITEMS), 0);
  assert.ok(over < 100, `${over} of 3000 blocks find no place`);
});

format("counts the buckets of a file of so many bytes", () => {
  assert.deepEqual([0, 512, 1023, 1024, 262_144, 2 ** 60].map(bucketsIn), [0, 0, 0, 1, 511, 2 ** 32 - 1]);
  assert.equal(bucketAt(0), HEADER_BYTES);
  assert.equal(bucketAt(2 ** 32 - 2), HEADER_BYTES + (2 ** 32 - 2) * BUCKET_BYTES);
});

/** Everything that a reader finds in a bucket, the first first. */
function itemsIn(bytes: Buffer, identities: ReadonlyArray<readonly [number, number]>) {
  const words = new Uint32Array(BUCKET_BYTES / 4);
  Buffer.from(words.buffer).set(bytes);
  if (!isBucketIntact(bytes)) return [];
  return identities
    .map(([objectId, block]) => ({ objectId, block, at: findItem(words, objectId, block) }))
    .filter(({ at }) => at !== -1)
    .toSorted((one, other) => one.at - other.at)
    .map(({ objectId, block, at }) => ({ objectId, block, entry: itemEntry(bytes, at) }));
}

// Ten blocks whose halves differ in one place each, so that nothing but the whole identity tells them apart.
const IDENTITIES = [0, 1, 2 ** 32, 2 ** 32 + 1, 2 ** 47].flatMap((objectId) =>
  [0, 2 ** 32].map((block) => [objectId, block] as const),
);

format("a bucket holds the last six that were put, but for the removed, the latest first", () => {
  const step = fc.record({ remove: fc.boolean(), which: fc.nat(IDENTITIES.length - 1) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const bucket = new Bucket();
      let model: Array<{ objectId: number; block: number; entry: ReturnType<typeof entryOf> }> = [];
      for (const [number, { remove, which }] of steps.entries()) {
        const [objectId, block] = IDENTITIES[which] as readonly [number, number];
        const others = model.filter((item) => item.objectId !== objectId || item.block !== block);
        const stood = others.length < model.length;
        assert.equal(bucket.has(objectId, block), stood);
        if (remove) {
          assert.equal(bucket.remove(objectId, block), stood);
          model = others;
        } else {
          const entry = entryOf(number, { validBytes: 4096 * 64 - (number % 4000) });
          assert.equal(bucket.put(objectId, block, entry), stood || others.length === BUCKET_ITEMS);
          model = [{ objectId, block, entry }, ...others].slice(0, BUCKET_ITEMS);
        }
        // A bucket that another look of the owner takes up as it is.
        const again = new Bucket();
        bucket.bytes.copy(again.bytes);
        assert.ok(again.isAsWritten(bucket.sum));
        assert.deepEqual(itemsIn(bucket.bytes, IDENTITIES), model);
      }
    }),
    { numRuns: 60 },
  );
});

format("reads a header back, and the latest notices in their order", () => {
  assert.deepEqual(decodeHeader(encodeHeader(HEADER)), HEADER);
  for (let notices = 0; notices < 60; notices += 1) {
    const ids = Array.from({ length: Math.min(notices, 24) }, (_, place) => notices - place).toReversed();
    const latest = ids.map((id) => ({ kind: "volume", id }) as const);
    assert.deepEqual(decodeHeader(encodeHeader({ ...HEADER, notices, latest })), {
      ...HEADER,
      notices,
      latest,
    });
  }
});

format("takes a notice of a kind that it does not know as one about everything", () => {
  const bytes = encodeHeader(HEADER);
  bytes.writeUInt32LE(9, 48);
  assert.equal(decodeHeader(bytes), undefined);
  bytes.writeUInt32LE(crcOf(bytes.subarray(0, 508)), 508);
  assert.deepEqual(decodeHeader(bytes)?.latest[0], { kind: "all" });
});

format("a number of notices past all reason is no header", () => {
  const bytes = encodeHeader(HEADER);
  bytes.writeBigUInt64LE(2n ** 64n - 1n, 40);
  bytes.writeUInt32LE(crcOf(bytes.subarray(0, 508)), 508);
  assert.equal(decodeHeader(bytes), undefined);
});

format("a header with any bit flipped, or cut anywhere, is none", () => {
  const bytes = encodeHeader({ ...HEADER, cacheId });
  for (let at = 0; at < HEADER_BYTES; at += 1) {
    assert.equal(decodeHeader(bytes.subarray(0, at)), undefined);
    for (const bit of [1, 0x80, 0xff]) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ bit;
      assert.equal(decodeHeader(damaged), undefined, `byte ${at}`);
    }
  }
});

format("a bucket with any bit flipped, or zeros from anywhere on, holds nothing", () => {
  const bucket = new Bucket();
  for (const [objectId, block] of IDENTITIES) bucket.put(objectId, block, entryOf(objectId % 77));
  for (let at = 0; at < BUCKET_BYTES; at += 1) {
    for (const damage of [1, 0x80, 0xff, undefined]) {
      const damaged = Buffer.from(bucket.bytes);
      if (damage === undefined) damaged.fill(0, at);
      else damaged[at] = (damaged[at] as number) ^ damage;
      if (damaged.equals(bucket.bytes)) continue;
      assert.deepEqual(itemsIn(damaged, IDENTITIES), [], `byte ${at}`);
      const again = new Bucket();
      damaged.copy(again.bytes);
      assert.equal(again.isAsWritten(bucket.sum), false, `byte ${at}`);
    }
  }
});

function crcOf(bytes: Buffer): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (0xedb8_8320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

format.run();
