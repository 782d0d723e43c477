/**
 * The bytes that fixtures/index-format.json holds, as the code makes them now. Run directly, it prints the file:
 * `node --import tsx test/index/golden-cases.ts > fixtures/index-format.json`.
 */
import { pathToFileURL } from "node:url";
import { changeGroup } from "../../index/block-group.js";
import { encodeEntry } from "../../index/entry.js";
import {
  blockKey,
  fsKey,
  KEY_BYTES_MAX,
  KEY_INODE_BYTES_MAX,
  metadataKey,
  objectKey,
  volumeKey,
} from "../../index/keys.js";
import { encodeLedgerState } from "../../index/ledger-state.js";
import { encodeMetadata, reclaimName } from "../../index/metadata-records.js";
import { encodeIdentity, encodeObjectRecord, encodeVolumeRecord } from "../../index/records.js";
import { cacheId, entryOf } from "./support.js";

const fs = Buffer.from("afs");
/** The longest volume name of letters that a key with `fs` holds whole: two parts, each ended by two bytes. */
const volumeBytesMax = KEY_BYTES_MAX - fs.length - 4;

/** Hexadecimal bytes by the name of what they are. */
export function goldenCases(): Record<string, string> {
  const bytes: Record<string, Buffer> = { ...keyCases(), ...recordCases(), ...metadataCases() };
  return Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, value.toString("hex")]));
}

function keyCases(): Record<string, Buffer> {
  return {
    "fs key": fsKey(fs),
    "volume key": volumeKey(fs, Buffer.from("root.cell")),
    "volume key, empty volume": volumeKey(fs, Buffer.alloc(0)),
    "volume key, zero bytes": volumeKey(Buffer.from("a\0b"), Buffer.from([0, 0, 255, 1, 0])),
    "volume key, just below the limit": volumeKey(fs, Buffer.alloc(volumeBytesMax - 1, "v")),
    "volume key, at the limit": volumeKey(fs, Buffer.alloc(volumeBytesMax, "v")),
    "volume key, above the limit": volumeKey(fs, Buffer.alloc(volumeBytesMax + 1, "v")),
    "volume key, above the limit by escapes alone": volumeKey(fs, Buffer.alloc(volumeBytesMax - 10)),
    "object key": objectKey(0x0102_0304_0506, Buffer.from("fid.536870918.1.1")),
    "object key, empty inode": objectKey(1, Buffer.alloc(0)),
    "object key, zero bytes": objectKey(2 ** 48 - 1, Buffer.from([0, 0, 1])),
    "object key, just below the limit": objectKey(7, Buffer.alloc(KEY_INODE_BYTES_MAX - 1, "i")),
    "object key, at the limit": objectKey(7, Buffer.alloc(KEY_INODE_BYTES_MAX, "i")),
    "object key, above the limit": objectKey(7, Buffer.alloc(KEY_INODE_BYTES_MAX + 1, "i")),
    "block key": blockKey(0x0102_0304_0506, 0x1112_1314_1516),
    "block key, largest": blockKey(2 ** 48 - 1, 2 ** 45 - 1),
  };
}

function recordCases(): Record<string, Buffer> {
  const coherency = Buffer.from("c0ffee", "hex");
  const volume = { id: 5, fs, volume: Buffer.from("root.cell"), coherency, stamp: 2 ** 40 };
  const longVolume = { ...volume, volume: Buffer.alloc(volumeBytesMax + 1, "v") };
  const object = { id: 2 ** 47, volumeId: 5, inode: Buffer.from("f"), coherency, sizeBytes: 1000n, stamp: 3 };
  const longInode = Buffer.alloc(KEY_INODE_BYTES_MAX + 1, "i");
  const sparse = {
    validBytes: 200_000,
    presentLow: 0x0000_00ff,
    presentHigh: 1,
    zeroLow: 0x0000_0f00,
    zeroHigh: 6,
  };
  const group = new Map([
    [8, entryOf(1)],
    [11, entryOf(2)],
    [15, entryOf(3)],
  ]);
  const mark = {
    state: "clean",
    regime: "volatile",
    bootId: "b-1",
    transactionId: 2 ** 33,
    checkpointId: 9,
  } as const;
  return {
    entry: encodeEntry(entryOf(0x0102_0304, { version: 0xfffe, epoch: 7, sequence: 0x0a0b_0c0d_0e0f })),
    "entry, partly present": encodeEntry(entryOf(9, sparse)),
    "entry, zero pages only": encodeEntry(
      entryOf(0xffff_ffff, {
        presentLow: 0,
        presentHigh: 0,
        zeroLow: 1,
        validBytes: 10,
        checksumKind: 0,
        sums: new Uint32Array(8),
      }),
    ),
    "block record": changeGroup(undefined, group) ?? Buffer.alloc(0),
    "volume record": encodeVolumeRecord(volume).value,
    "volume record, name in the value": encodeVolumeRecord(longVolume).value,
    "object record": encodeObjectRecord(object).value,
    "object record, largest size": encodeObjectRecord({ ...object, sizeBytes: 2n ** 63n - 1n }).value,
    "object record, inode in the value": encodeObjectRecord({ ...object, inode: longInode }).value,
    "index identity": encodeIdentity({ formatVersion: 1, cacheId, epoch: 70_000 }),
    "ledger state": encodeLedgerState({ cacheId, epoch: 2 ** 32 - 1, mark }),
  };
}

function metadataCases(): Record<string, Buffer> {
  const objectId = 0x0102_0304_0506;
  const coherency = Buffer.from("c0ffee", "hex");
  const sequence = 2 ** 40;
  const value = Buffer.from("value");
  const target = { type: 8, inode: Buffer.from("fid"), value };
  const name = Buffer.from("a\0b");
  return {
    "metadata key": metadataKey(objectId, 6, name),
    "metadata key, no name": metadataKey(objectId, 1, Buffer.alloc(0)),
    "attributes record": encodeMetadata({ kind: "attributes", objectId, sequence, coherency, value }).value,
    "symlink record": encodeMetadata({ kind: "symlink", objectId, sequence: 7, coherency, value }).value,
    "xattrs record": encodeMetadata({ kind: "xattrs", objectId, sequence, coherency, complete: false }).value,
    "xattr record": encodeMetadata({ kind: "xattr", objectId, name, sequence, value }).value,
    "directory record": encodeMetadata({ kind: "directory", objectId, sequence, coherency, complete: true })
      .value,
    "entry record": encodeMetadata({ kind: "entry", objectId, name, sequence, target }).value,
    "entry record, negative": encodeMetadata({
      kind: "entry",
      objectId,
      name,
      sequence,
      target: { expiresMs: 2 ** 33 },
    }).value,
    "reclaim key": encodeMetadata({ kind: "reclaim", objectId: 0, name: reclaimName(objectId), sequence })
      .key,
    "reclaim record": encodeMetadata({ kind: "reclaim", objectId: 0, name: reclaimName(objectId), sequence })
      .value,
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(JSON.stringify(goldenCases(), undefined, 2));
}
