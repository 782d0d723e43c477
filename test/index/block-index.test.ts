import assert from "node:assert/strict";
import { statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import { BlockIndex } from "../../index/block-index.js";
import type { Entry } from "../../index/entry.js";
import { KEY_INODE_BYTES_MAX } from "../../index/keys.js";
import type { ObjectRecord, VolumeRecord } from "../../index/records.js";
import { measureIndex } from "../bench/index-bytes.js";
import { cacheId, entryOf, openIndex, withCode, withDirectory, withIndex } from "./support.js";

const index = suite("block index");
const fs = Buffer.from("dir");
const coherency = Buffer.from("c");

function volumeOf(id: number, name: string | Buffer): VolumeRecord {
  return { id, fs, volume: Buffer.from(name), coherency, stamp: 0 };
}

function objectOf(id: number, inode: string | Buffer, volumeId = 1): ObjectRecord {
  return { id, volumeId, inode: Buffer.from(inode), coherency, sizeBytes: 5n, stamp: 0 };
}

index("shows changes at once, before and after their commit", async () => {
  await withIndex(async (opened) => {
    const check = (): void => {
      assert.deepEqual(opened.names.findVolume(fs, Buffer.from("v")), volumeOf(1, "v"));
      assert.deepEqual(opened.names.findObject(1, Buffer.from("i")), objectOf(1, "i"));
      assert.deepEqual(opened.getEntry(1, 9), entryOf(4));
      assert.deepEqual([...opened.volumes()], [volumeOf(1, "v")]);
      assert.deepEqual([...opened.objectsOf(1)], [objectOf(1, "i")]);
      assert.deepEqual([...opened.blocksOf(1)], [{ objectId: 1, block: 9, entry: entryOf(4) }]);
      assert.deepEqual([...opened.entries()], [{ objectId: 1, block: 9, entry: entryOf(4) }]);
      assert.equal(opened.hasBlocks(1), true);
      assert.equal(opened.hasBlocks(2), false);
    };
    opened.names.putVolume(volumeOf(1, "v"));
    opened.names.putObject(objectOf(1, "i"));
    opened.putEntry(1, 9, entryOf(4));
    assert.equal(opened.queuedChanges, 3);
    check();
    const committed = opened.committed();
    check(); // in flight now
    await committed;
    check();
    assert.equal(opened.queuedChanges, 0);
    opened.names.removeVolume(volumeOf(1, "v"));
    opened.names.removeObject(objectOf(1, "i"));
    opened.removeEntry(1, 9);
    const gone = (): void => {
      assert.equal(opened.names.findVolume(fs, Buffer.from("v")), undefined);
      assert.equal(opened.names.findObject(1, Buffer.from("i")), undefined);
      assert.equal(opened.getEntry(1, 9), undefined);
      assert.equal([...opened.volumes(), ...opened.objectsOf(1), ...opened.entries()].length, 0);
      assert.equal(opened.hasBlocks(1), false);
    };
    gone();
    await opened.committed();
    gone();
    assert.equal(opened.stats().entryCount, 0);
  });
});

index("commits by itself after its delay", async () => {
  await withIndex(async (opened) => {
    opened.putEntry(1, 1, entryOf(1));
    for (let turn = 0; turn < 500 && opened.queuedChanges > 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    assert.equal(opened.queuedChanges, 0);
    assert.equal(opened.stats().entryCount, 1);
  });
});

index("has no entry where the group of a block has others", async () => {
  await withIndex(async (opened) => {
    opened.putEntry(1, 3, entryOf(1));
    await opened.committed();
    assert.equal(opened.getEntry(1, 2), undefined);
    opened.putEntry(1, 2, entryOf(2));
    opened.removeEntry(1, 3);
    await opened.committed();
    assert.equal(opened.getEntry(1, 3), undefined);
    assert.deepEqual(opened.getEntry(1, 2), entryOf(2));
    assert.equal(opened.stats().entryCount, 1);
  });
});

index("tells names beyond the key limit apart that differ only there", async () => {
  await withIndex(async (opened, directory) => {
    const one = Buffer.alloc(KEY_INODE_BYTES_MAX + 500, "n");
    const other = Buffer.from(one);
    other[other.length - 1] = 1;
    opened.names.putVolume(volumeOf(1, one));
    opened.names.putVolume(volumeOf(2, other));
    opened.names.putObject(objectOf(1, one));
    opened.names.putObject(objectOf(2, other));
    await opened.close();
    const reopened = openIndex(directory, { create: false });
    assert.equal(reopened.names.findVolume(fs, one)?.id, 1);
    assert.equal(reopened.names.findVolume(fs, other)?.id, 2);
    assert.deepEqual(reopened.names.findObject(1, one), objectOf(1, one));
    assert.deepEqual(reopened.names.findObject(1, other), objectOf(2, other));
    assert.equal(reopened.names.findObject(1, one.subarray(0, -2)), undefined);
    assert.deepEqual(
      [...reopened.objectsOf(1)].map(({ id }) => id).sort((a, b) => a - b),
      [1, 2],
    );
    await reopened.close();
  });
});

index("walks can be left and resumed while things change", async () => {
  await withIndex(async (opened) => {
    for (let block = 0; block < 6000; block++) opened.putEntry(1, block, entryOf(block));
    await opened.committed();
    const seen = new Set<number>();
    let last = -1;
    for (const { block } of opened.blocksOf(1)) {
      assert.ok(block > last, "ascending, none twice");
      last = block;
      seen.add(block);
      if (block % 500 !== 0) continue;
      opened.putEntry(1, 7000 + block, entryOf(1)); // far ahead: must be met
      opened.removeEntry(1, 5999 - (block >> 3)); // ahead too, but may have been read already near the end
      await opened.committed();
    }
    for (let block = 0; block < 5000; block++) assert.ok(seen.has(block));
    for (let block = 7000; block < 12_500; block += 500) assert.ok(seen.has(block), `block ${block}`);
  });
});

index("keeps an index that belongs to another cache, epoch or nobody shut", async () => {
  await withDirectory(async (directory) => {
    assert.throws(() => openIndex(directory, { create: false }), withCode("E_INDEX_CORRUPT"));
    await openIndex(directory).close();
    assert.throws(() => openIndex(directory, { epoch: 2 }), withCode("E_INDEX_CORRUPT"));
    assert.throws(() => openIndex(directory, { cacheId: Buffer.alloc(16) }), withCode("E_INDEX_CORRUPT"));
    await openIndex(directory, { create: false }).close();
  });
});

index("refuses files that LMDB would die of", async () => {
  await withDirectory(async (directory) => {
    const data = join(directory, "data.mdb");
    writeFileSync(data, Buffer.alloc(8192, 7));
    assert.throws(() => openIndex(directory), withCode("E_INDEX_CORRUPT"));
    writeFileSync(data, Buffer.alloc(100));
    assert.throws(() => openIndex(directory), withCode("E_INDEX_CORRUPT"));
  });
  await withDirectory(async (directory) => {
    const opened = openIndex(directory);
    for (let block = 0; block < 2000; block++) opened.putEntry(1, block, entryOf(block));
    await opened.close();
    truncateSync(join(directory, "data.mdb"), 3 * 4096);
    assert.throws(() => openIndex(directory), withCode("E_INDEX_CORRUPT"));
  });
  await withDirectory(async (directory) => {
    writeFileSync(join(directory, "file"), "");
    assert.throws(() => openIndex(join(directory, "file")), withCode("E_IO"));
    assert.throws(() => openIndex(join(directory, "file", "below")), withCode("E_IO"));
  });
});

index("has files that only their owner may read, whatever the umask", async () => {
  const umask = process.umask(0);
  try {
    await withDirectory(async (directory) => {
      const below = join(directory, "index");
      const opened = openIndex(below);
      assert.equal(statSync(below).mode & 0o777, 0o700);
      for (const name of ["data.mdb", "lock.mdb"])
        assert.equal(statSync(join(below, name)).mode & 0o777, 0o600);
      await opened.close();
    });
  } finally {
    process.umask(umask);
  }
});

index("counts its pages and commits", async () => {
  await withIndex(async (opened, directory) => {
    const before = opened.stats();
    for (let block = 0; block < 4096; block++) opened.putEntry(1, block, entryOf(block));
    await opened.committed();
    const after = opened.stats();
    const sizes = ["data.mdb", "lock.mdb"].map((name) => statSync(join(directory, name)).size);
    assert.equal(after.fileBytes, (sizes[0] ?? 0) + (sizes[1] ?? 0));
    assert.equal(after.entryCount, 4096);
    assert.ok(after.usedBytes > before.usedBytes && after.usedBytes <= after.fileBytes);
    assert.ok(after.transactionId > before.transactionId);
    await opened.sync();
  });
});

index("takes at most 140 bytes a block, names counted", async () => {
  for (const order of ["file by file", "interleaved"] as const) {
    const found = await measureIndex({ order, blockCount: 50_000, fileCount: 500 });
    assert.equal(found.blockCount, 50_000);
    assert.ok(found.usedBytesPerBlock <= 140, `${order}: ${found.usedBytesPerBlock} used`);
    // In a small index the pages that one commit frees for the next weigh more than at full size.
    if (order === "file by file")
      assert.ok(found.fileBytesPerBlock <= 140, `${found.fileBytesPerBlock} on disk`);
  }
});

index("ends every method with E_CLOSED after close", async () => {
  await withIndex(async (opened) => {
    const entry: Entry = entryOf(1);
    await opened.close();
    await opened.close();
    const calls: Array<() => unknown> = [
      () => opened.names.findVolume(fs, fs),
      () => opened.names.putVolume(volumeOf(1, "v")),
      () => opened.names.removeVolume(volumeOf(1, "v")),
      () => opened.volumes(),
      () => opened.names.findObject(1, fs),
      () => opened.names.putObject(objectOf(1, "i")),
      () => opened.names.removeObject(objectOf(1, "i")),
      () => opened.objectsOf(1),
      () => opened.getEntry(1, 1),
      () => opened.putEntry(1, 1, entry),
      () => opened.removeEntry(1, 1),
      () => opened.hasBlocks(1),
      () => opened.blocksOf(1),
      () => opened.entries(),
      () => opened.stats(),
    ];
    for (const call of calls) assert.throws(call, withCode("E_CLOSED"), String(call));
    await assert.rejects(opened.committed(), withCode("E_CLOSED"));
    await assert.rejects(opened.sync(), withCode("E_CLOSED"));
  });
});

index("ends a walk with E_CLOSED when it is closed meanwhile", async () => {
  await withDirectory(async (directory) => {
    const opened = BlockIndex.open({ directory, mapBytes: 2 ** 26, cacheId, epoch: 1, create: true });
    for (let block = 0; block < 5000; block++) opened.putEntry(1, block, entryOf(block));
    await opened.committed();
    const walk = opened.blocksOf(1)[Symbol.iterator]();
    walk.next();
    await opened.close();
    assert.throws(() => {
      while (walk.next().done !== true);
    }, withCode("E_CLOSED"));
  });
});

index.run();
