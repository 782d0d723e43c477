import assert from "node:assert/strict";
import fc from "fast-check";
import { suite } from "uvu";
import {
  blockKey,
  decodeBlockKey,
  decodeObjectKey,
  decodeVolumeKey,
  fsKey,
  fsRange,
  inodeDigestRange,
  inodePrefixRange,
  KEY_BYTES_MAX,
  KEY_INODE_BYTES_MAX,
  objectBlocksRange,
  objectKey,
  volumeKey,
  volumeRange,
} from "../../index/keys.js";
import { withCode } from "./support.js";

const keys = suite("keys");
const bytes = (maxLength: number) =>
  fc
    .array(fc.oneof(fc.constantFrom(0, 1, 2, 255), fc.integer({ min: 0, max: 255 })), { maxLength })
    .map((array) => Buffer.from(array));
const names = fc.record({ fs: bytes(6), volume: bytes(6) });
const isIn = (range: { start: Buffer; end: Buffer }, key: Buffer): boolean =>
  Buffer.compare(range.start, key) <= 0 && Buffer.compare(key, range.end) < 0;

keys("volume keys sort as file system, then volume", () => {
  fc.assert(
    fc.property(names, names, (a, b) => {
      const wanted = Buffer.compare(a.fs, b.fs) || Buffer.compare(a.volume, b.volume);
      assert.equal(Buffer.compare(volumeKey(a.fs, a.volume), volumeKey(b.fs, b.volume)), wanted);
    }),
  );
});

keys("volume keys read back", () => {
  fc.assert(
    fc.property(names, ({ fs, volume }) => {
      assert.deepEqual(decodeVolumeKey(volumeKey(fs, volume)), { kind: "whole", fs, volume });
      assert.deepEqual(decodeVolumeKey(fsKey(fs)), { kind: "fs", fs });
    }),
  );
});

keys("a file system's range holds its record first, then its volumes, and nobody else's", () => {
  const longVolume = Buffer.alloc(5000, 0);
  fc.assert(
    fc.property(bytes(4), names, (fs, other) => {
      const range = fsRange(fs);
      assert.ok(range.start.equals(fsKey(fs)));
      assert.ok(isIn(range, volumeKey(fs, other.volume)));
      assert.ok(isIn(range, volumeKey(fs, longVolume)));
      assert.equal(isIn(range, volumeKey(other.fs, other.volume)), other.fs.equals(fs));
      assert.equal(isIn(range, volumeKey(other.fs, longVolume)), other.fs.equals(fs));
    }),
  );
});

keys("object keys sort as volume id, then inode, and read back", () => {
  const id = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  fc.assert(
    fc.property(id, id, bytes(6), bytes(6), (a, b, inodeA, inodeB) => {
      const wanted = Math.sign(a - b) || Buffer.compare(inodeA, inodeB);
      assert.equal(Buffer.compare(objectKey(a, inodeA), objectKey(b, inodeB)), wanted);
      assert.deepEqual(decodeObjectKey(objectKey(a, inodeA)), { kind: "whole", volumeId: a, inode: inodeA });
      assert.equal(isIn(volumeRange(a), objectKey(b, inodeB)), a === b);
      assert.equal(isIn(volumeRange(a), objectKey(b, Buffer.alloc(3000))), a === b);
    }),
  );
});

keys("block keys sort as object id, then block, and read back", () => {
  const objectId = fc.integer({ min: 0, max: 2 ** 48 - 1 });
  const block = fc.integer({ min: 0, max: 2 ** 45 - 1 });
  fc.assert(
    fc.property(objectId, objectId, block, block, (a, b, blockA, blockB) => {
      const wanted = Math.sign(a - b) || Math.sign(blockA - blockB);
      assert.equal(Buffer.compare(blockKey(a, blockA), blockKey(b, blockB)), wanted);
      assert.deepEqual(decodeBlockKey(blockKey(a, blockA)), { objectId: a, block: blockA });
      assert.equal(isIn(objectBlocksRange(a), blockKey(b, blockB)), a === b);
    }),
  );
});

keys(
  "no key is longer than LMDB takes, and names that differ only past the limit have different keys",
  () => {
    const fs = Buffer.alloc(255, 0);
    for (const length of [1400, 1463, 1464, 1465, KEY_INODE_BYTES_MAX, KEY_INODE_BYTES_MAX + 1, 65_535]) {
      const name = Buffer.alloc(length, "n");
      const other = Buffer.concat([name.subarray(0, -1), Buffer.from("m")]);
      for (const key of [volumeKey(fs, name), objectKey(1, name)]) assert.ok(key.length <= KEY_BYTES_MAX);
      assert.notDeepEqual(volumeKey(fs, name), volumeKey(fs, other));
      assert.notDeepEqual(objectKey(1, name), objectKey(1, other));
    }
  },
);

keys("a digest in a key is told from every name of its length", () => {
  const long = objectKey(1, Buffer.alloc(3000));
  const parts = decodeObjectKey(long);
  assert.equal(parts.kind, "digest");
  assert.notDeepEqual(objectKey(1, long.subarray(7)), long);
  const longVolume = volumeKey(Buffer.from("a"), Buffer.alloc(3000));
  assert.equal(decodeVolumeKey(longVolume).kind, "digest");
});

keys("malformed keys give E_INDEX_CORRUPT", () => {
  const volume = volumeKey(Buffer.from("fs"), Buffer.from("v"));
  const long = volumeKey(Buffer.from("fs"), Buffer.alloc(3000, "v"));
  for (let length = 0; length < volume.length; length++) {
    if (length === fsKey(Buffer.from("fs")).length) continue; // a whole key of its own
    assert.throws(() => decodeVolumeKey(volume.subarray(0, length)), withCode("E_INDEX_CORRUPT"));
  }
  assert.throws(() => decodeVolumeKey(long.subarray(0, -1)), withCode("E_INDEX_CORRUPT"));
  assert.throws(() => decodeVolumeKey(Buffer.concat([volume, Buffer.of(1)])), withCode("E_INDEX_CORRUPT"));
  assert.throws(() => decodeVolumeKey(Buffer.from([97, 0, 7])), withCode("E_INDEX_CORRUPT"));
  const object = objectKey(1, Buffer.alloc(3000, "v"));
  for (let length = 0; length < 7; length++) {
    assert.throws(() => decodeObjectKey(object.subarray(0, length)), withCode("E_INDEX_CORRUPT"));
  }
  assert.throws(() => decodeObjectKey(object.subarray(0, -1)), withCode("E_INDEX_CORRUPT"));
  assert.throws(() => decodeObjectKey(Buffer.from([0, 0, 0, 0, 0, 1, 2])), withCode("E_INDEX_CORRUPT"));
  const block = blockKey(1, 1);
  for (let length = 0; length < 12; length++) {
    assert.throws(() => decodeBlockKey(block.subarray(0, length)), withCode("E_INDEX_CORRUPT"));
  }
  assert.throws(() => decodeBlockKey(Buffer.alloc(12, 255)), withCode("E_INDEX_CORRUPT"));
});

keys("a prefix's range holds the inodes that begin so, but for those beyond the key limit", () => {
  fc.assert(
    fc.property(bytes(3), bytes(5), (prefix, inode) => {
      const begins = inode.subarray(0, prefix.length).equals(prefix);
      assert.equal(isIn(inodePrefixRange(7, prefix), objectKey(7, inode)), begins);
      assert.equal(isIn(inodePrefixRange(8, prefix), objectKey(7, inode)), false);
      assert.equal(isIn(inodeDigestRange(7), objectKey(7, inode)), false);
    }),
  );
  const long = Buffer.alloc(3000, 255);
  assert.ok(isIn(inodeDigestRange(7), objectKey(7, long)));
  assert.equal(isIn(inodePrefixRange(7, Buffer.of(255)), objectKey(7, long)), false);
  assert.equal(isIn(inodeDigestRange(6), objectKey(7, long)), false);
});

keys.run();
