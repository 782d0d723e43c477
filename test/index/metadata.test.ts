import assert from "node:assert/strict";
import { suite } from "uvu";
import { BlockIndex } from "../../index/block-index.js";
import {
  ATTRIBUTES_BYTES_MAX,
  COHERENCY_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  XATTR_BYTES_MAX,
} from "../../index/core/layout.js";
import { decodeMetadataKey, metadataKey } from "../../index/keys.js";
import {
  type EntryRecord,
  type MetadataRecord,
  decodeMetadata,
  encodeMetadata,
  reclaimName,
  reclaimedId,
} from "../../index/metadata-records.js";
import { number, pack } from "../../index/records.js";
import { openIndex, withCode, withDirectory, withIndex } from "./support.js";

const metadata = suite("metadata in the index");

const coherency = Buffer.from("version");
const value = Buffer.from("value");

function entryOf(name: string | Buffer, sequence = 1, objectId = 7): EntryRecord {
  const target = { type: 8, inode: Buffer.from(`inode ${String(name)}`), value };
  return { kind: "entry", objectId, name: Buffer.from(name), sequence, target };
}

const records: MetadataRecord[] = [
  { kind: "attributes", objectId: 7, sequence: 2 ** 47, coherency, value },
  { kind: "attributes", objectId: 7, sequence: 0, coherency: Buffer.alloc(0), value: Buffer.alloc(0) },
  {
    kind: "attributes",
    objectId: 2 ** 48 - 1,
    sequence: 1,
    coherency,
    value: Buffer.alloc(ATTRIBUTES_BYTES_MAX),
  },
  { kind: "symlink", objectId: 7, sequence: 1, coherency: Buffer.alloc(COHERENCY_BYTES_MAX), value },
  { kind: "xattrs", objectId: 7, sequence: 1, coherency, complete: true },
  {
    kind: "xattr",
    objectId: 7,
    name: Buffer.from("user.a"),
    sequence: 1,
    value: Buffer.alloc(XATTR_BYTES_MAX),
  },
  { kind: "directory", objectId: 7, sequence: 1, coherency, complete: false },
  entryOf("a"),
  entryOf(Buffer.alloc(ENTRY_NAME_BYTES_MAX)),
  { ...entryOf("a"), target: { type: 0, inode: Buffer.alloc(65_535), value: Buffer.alloc(4096) } },
  { ...entryOf("a"), target: { expiresMs: 2 ** 40 } },
  { kind: "reclaim", objectId: 0, name: reclaimName(2 ** 48 - 1), sequence: Number.MAX_SAFE_INTEGER },
];

metadata("every record reads back as it was written", () => {
  for (const record of records) {
    const { key, value: bytes } = encodeMetadata(record);
    assert.deepEqual(decodeMetadata(key, bytes), record);
  }
  assert.equal(reclaimedId(reclaimName(12_345)), 12_345);
});

metadata("keys keep the order of object, kind and name", () => {
  const keys = [
    metadataKey(1, 255, Buffer.alloc(3)),
    metadataKey(2, 0, Buffer.alloc(0)),
    metadataKey(2, 5, Buffer.from("z")),
    metadataKey(2, 6, Buffer.from("a")),
    metadataKey(2, 6, Buffer.from("a\0")),
    metadataKey(2, 6, Buffer.from("b")),
    metadataKey(256, 1, Buffer.alloc(0)),
  ];
  assert.deepEqual(
    keys.toSorted((a, b) => a.compare(b)),
    keys,
  );
  assert.deepEqual(decodeMetadataKey(keys[5] as Buffer), { objectId: 2, kind: 6, name: Buffer.from("b") });
});

metadata("what does not read back is E_INDEX_CORRUPT", () => {
  const { key, value: bytes } = encodeMetadata(entryOf("a"));
  const other = (kind: number, name = "") => metadataKey(7, kind, Buffer.from(name));
  const wrong: Array<[Buffer, Buffer]> = [
    [key, Buffer.alloc(0)],
    [key, Buffer.of(9, ...bytes.subarray(1))],
    [key, bytes.subarray(0, bytes.length - 1)],
    [key, pack([])],
    [key, pack([1, 8, Buffer.from("i")])],
    [key, pack([1, 256, Buffer.alloc(1), Buffer.alloc(1)])],
    [key, pack([1, "8", Buffer.alloc(1), Buffer.alloc(1)])],
    [key, pack([1, 8, Buffer.alloc(65_536), Buffer.alloc(1)])],
    [key, pack([1, null, -1])],
    [key, pack([-1, 8, Buffer.alloc(1), Buffer.alloc(1)])],
    [key.subarray(0, 6), bytes],
    [Buffer.concat([key, Buffer.alloc(ENTRY_NAME_BYTES_MAX)]), bytes],
    [other(6), bytes],
    [other(7, "a"), bytes],
    [other(1, "a"), pack([1, coherency, value])],
    [other(1), pack([1, coherency, Buffer.alloc(ATTRIBUTES_BYTES_MAX + 1)])],
    [other(1), pack([1, Buffer.alloc(COHERENCY_BYTES_MAX + 1), value])],
    [other(4, "x".repeat(256)), pack([1, value])],
    [other(5), pack([1, coherency, 1])],
    [other(0, "123456"), pack([1])],
    [metadataKey(0, 0, Buffer.alloc(5)), pack([1])],
    [metadataKey(0, 6, Buffer.from("a")), bytes],
  ];
  for (const [badKey, badValue] of wrong) {
    assert.throws(() => decodeMetadata(badKey, badValue), withCode("E_INDEX_CORRUPT"));
  }
  assert.deepEqual(decodeMetadata(other(1), pack([number(1), coherency, value, "later"])).kind, "attributes");
});

/** All names of an object's entries, by slices of so many records. */
function namesOf(index: BlockIndex, recordsMax: number): string[] {
  const names: string[] = [];
  let after: Buffer | undefined;
  do {
    const slice = index.metadata.slice({ objectId: 7, kind: "entry", after, recordsMax });
    for (const record of slice.records) names.push("name" in record ? record.name.toString() : "");
    after = slice.next;
  } while (after !== undefined);
  return names;
}

metadata("queued changes lie over what is committed, in get and in slices of any size", async () => {
  await withIndex(
    async (index) => {
      const all = Array.from({ length: 40 }, (_, place) => `name ${String(place).padStart(2, "0")}`);
      for (const name of all.filter((_, place) => place % 2 === 0)) index.metadata.put(entryOf(name));
      index.metadata.put({ kind: "directory", objectId: 7, sequence: 1, coherency, complete: true });
      index.metadata.put(entryOf("name 01", 1, 8));
      await index.committed();
      for (const name of all.filter((_, place) => place % 2 === 1)) index.metadata.put(entryOf(name));
      index.metadata.remove(7, "entry", Buffer.from("name 04"));
      index.metadata.put(entryOf("name 06", 99));
      const wanted = all.filter((name) => name !== "name 04");
      for (const recordsMax of [1, 2, 3, 7, 19, 20, 21, 100])
        assert.deepEqual(namesOf(index, recordsMax), wanted);
      assert.equal(index.metadata.get(7, "entry", Buffer.from("name 04")), undefined);
      assert.equal(index.metadata.get(7, "entry", Buffer.from("name 06"))?.sequence, 99);
      await index.committed();
      for (const recordsMax of [1, 7, 100]) assert.deepEqual(namesOf(index, recordsMax), wanted);
      assert.equal(index.metadata.slice({ objectId: 7, recordsMax: 1 }).records[0]?.kind, "directory");
      assert.equal(index.metadata.slice({ recordsMax: 100 }).records.length, wanted.length + 2);
    },
    { commitDelayMs: 60_000 },
  );
});

metadata("an object has metadata until the last record is removed, queued or committed", async () => {
  await withIndex(
    async (index) => {
      assert.equal(index.metadata.has(7), false);
      index.metadata.put(entryOf("a"));
      assert.equal(index.metadata.has(7), true);
      await index.committed();
      index.metadata.put(entryOf("b"));
      index.metadata.remove(7, "entry", Buffer.from("a"));
      assert.equal(index.metadata.has(7), true);
      index.metadata.remove(7, "entry", Buffer.from("b"));
      assert.equal(index.metadata.has(7), false);
      assert.equal(index.metadata.has(6), false);
      assert.equal(index.metadata.has(8), false);
    },
    { commitDelayMs: 60_000 },
  );
});

metadata("records are there after a reopening, and gone calls fail with E_CLOSED", async () => {
  await withDirectory(async (directory) => {
    const index = openIndex(directory);
    for (const record of records) index.metadata.put(record);
    assert.ok(index.metadata.queuedBytes > XATTR_BYTES_MAX);
    await index.close();
    assert.throws(() => index.metadata.put(entryOf("a")), withCode("E_CLOSED"));
    assert.throws(() => index.metadata.get(7, "entry", Buffer.from("a")), withCode("E_CLOSED"));
    assert.throws(() => index.metadata.slice({ recordsMax: 1 }), withCode("E_CLOSED"));
    const again = openIndex(directory);
    assert.deepEqual(again.metadata.get(7, "directory"), records[6]);
    assert.deepEqual(again.metadata.get(0, "reclaim", reclaimName(2 ** 48 - 1)), records.at(-1));
    assert.equal(again.metadata.queuedBytes, 0);
    await again.close();
  });
});

metadata.run();
