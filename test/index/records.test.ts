import assert from "node:assert/strict";
import fc from "fast-check";
import { pack } from "msgpackr";
import { suite } from "uvu";
import {
  decodeIdentity,
  decodeObjectRecord,
  decodeVolumeRecord,
  encodeIdentity,
  encodeObjectRecord,
  encodeVolumeRecord,
} from "../../index/records.js";
import { cacheId, withCode } from "./support.js";

const records = suite("records");
const bytes = (maxLength: number) => fc.uint8Array({ maxLength }).map((array) => Buffer.from(array));
const id = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const stamp = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const name = fc.oneof(
  bytes(20),
  fc.integer({ min: 1950, max: 2100 }).map((length) => Buffer.alloc(length, "n")),
);
const sizeBytes = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });

records("of objects read back, sizes to 2^63 - 1 and names beyond the key limit included", () => {
  const object = fc.record(
    { id, volumeId: id, inode: name, coherency: bytes(60), sizeBytes, stamp },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(object, (record) => {
      const { key, value } = encodeObjectRecord(record);
      assert.deepEqual(decodeObjectRecord(key, value), record);
    }),
  );
});

records("of volumes read back", () => {
  const volume = fc.record(
    { id, fs: bytes(9), volume: name, coherency: bytes(60), stamp },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(volume, (record) => {
      const { key, value } = encodeVolumeRecord(record);
      assert.deepEqual(decodeVolumeRecord(key, value), record);
    }),
  );
});

const object = {
  id: 1,
  volumeId: 2,
  inode: Buffer.from("i"),
  coherency: Buffer.of(9),
  sizeBytes: 7n,
  stamp: 0,
};
const volume = { id: 1, fs: Buffer.from("f"), volume: Buffer.from("v"), coherency: Buffer.of(9), stamp: 0 };

records("do not repeat a name that the key holds", () => {
  const inode = Buffer.from("a name that is easy to find");
  assert.equal(encodeObjectRecord({ ...object, inode }).value.includes(inode), false);
  assert.equal(encodeVolumeRecord({ ...volume, volume: inode }).value.includes(inode), false);
});

records("carry along fields that a later program added", () => {
  const { key, value } = encodeObjectRecord({ ...object, extra: ["mode", 0o644, Buffer.of(1)] });
  const read = decodeObjectRecord(key, value);
  assert.deepEqual(read.extra, ["mode", 0o644, Buffer.of(1)]);
  assert.deepEqual(encodeObjectRecord(read).value, value);
});

records("cut short at any length give E_INDEX_CORRUPT", () => {
  const long = encodeObjectRecord({ ...object, inode: Buffer.alloc(2000, "n") });
  for (let length = 0; length < long.value.length; length++) {
    assert.throws(
      () => decodeObjectRecord(long.key, long.value.subarray(0, length)),
      withCode("E_INDEX_CORRUPT"),
    );
  }
  const short = encodeVolumeRecord(volume);
  for (let length = 0; length < short.value.length; length++) {
    assert.throws(
      () => decodeVolumeRecord(short.key, short.value.subarray(0, length)),
      withCode("E_INDEX_CORRUPT"),
    );
  }
  const identity = encodeIdentity({ formatVersion: 1, cacheId, epoch: 1 });
  for (let length = 0; length < identity.length; length++) {
    assert.throws(() => decodeIdentity(identity.subarray(0, length)), withCode("E_INDEX_CORRUPT"));
  }
});

records("of another version, or with fields of another type, give E_INDEX_CORRUPT", () => {
  const { key, value } = encodeObjectRecord(object);
  const newer = Buffer.from(value);
  newer[0] = 2;
  assert.throws(() => decodeObjectRecord(key, newer), withCode("E_INDEX_CORRUPT"));
  const fields = [1, 0, 7, Buffer.of(9), null];
  for (let place = 0; place < 4; place++) {
    for (const wrong of ["text", -1, 0.5, [], undefined]) {
      const changed = fields.map((field, at) => (at === place ? wrong : field));
      const bad = Buffer.concat([Buffer.of(1), pack(changed)]);
      assert.throws(
        () => decodeObjectRecord(key, bad),
        withCode("E_INDEX_CORRUPT"),
        `field ${place} ${String(wrong)}`,
      );
    }
  }
});

records("whose name is not their key's give E_INDEX_CORRUPT", () => {
  const one = encodeObjectRecord({ ...object, inode: Buffer.alloc(2000, "a") });
  const other = encodeObjectRecord({ ...object, inode: Buffer.alloc(2000, "b") });
  assert.throws(() => decodeObjectRecord(one.key, other.value), withCode("E_INDEX_CORRUPT"));
  const oneVolume = encodeVolumeRecord({ ...volume, volume: Buffer.alloc(2000, "a") });
  const otherVolume = encodeVolumeRecord({ ...volume, volume: Buffer.alloc(2000, "b") });
  assert.throws(() => decodeVolumeRecord(oneVolume.key, otherVolume.value), withCode("E_INDEX_CORRUPT"));
});

records.run();
