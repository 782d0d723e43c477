import assert from "node:assert/strict";
import fc from "fast-check";
import { suite } from "uvu";
import type { BlockIndex } from "../../index/block-index.js";
import type { Entry } from "../../index/entry.js";
import type { ObjectRecord } from "../../index/records.js";
import { entryOf, openIndex, withDirectory } from "./support.js";

const model = suite("index against a map");

type Step =
  | { do: "put" | "remove"; objectId: number; block: number; slot: number }
  | { do: "name" | "unname"; inode: Buffer; id: number }
  | { do: "commit" | "breathe" | "reopen" };

const objectId = fc.integer({ min: 1, max: 3 });
const block = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constantFrom(2 ** 32, 2 ** 45 - 1));
const slot = fc.integer({ min: 0, max: 9 });
const inode = fc
  .oneof(
    fc.uint8Array({ maxLength: 3 }),
    fc.constantFrom(1970, 1971, 1972, 1973).map((length) => new Uint8Array(length)),
  )
  .map((bytes) => Buffer.from(bytes));
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("put" as const), objectId, block, slot }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("remove" as const), objectId, block, slot }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("name" as const, "unname" as const), inode, id: slot }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("commit" as const, "breathe" as const, "reopen" as const) }),
  },
);

class Model {
  readonly entries = new Map<string, { objectId: number; block: number; entry: Entry }>();
  readonly objects = new Map<string, ObjectRecord>();

  check(index: BlockIndex): void {
    const wanted = [...this.entries.values()].sort((a, b) => a.objectId - b.objectId || a.block - b.block);
    assert.deepEqual([...index.entries()], wanted);
    for (const id of [1, 2, 3]) {
      const blocks = wanted.filter((at) => at.objectId === id);
      assert.deepEqual([...index.blocksOf(id)], blocks);
      assert.equal(index.hasBlocks(id), blocks.length > 0);
    }
    for (const { objectId: id, block: number, entry } of wanted)
      assert.deepEqual(index.getEntry(id, number), entry);
    const found = [...index.objectsOf(1)].map((record) => record.inode.toString("hex"));
    assert.deepEqual(found.sort(), [...this.objects.keys()].sort());
    for (const record of this.objects.values())
      assert.deepEqual(index.names.findObject(1, record.inode), record);
  }
}

async function run(index: BlockIndex, state: Model, what: Step): Promise<void> {
  switch (what.do) {
    case "put": {
      const entry = entryOf(what.slot);
      index.putEntry(what.objectId, what.block, entry);
      state.entries.set(`${what.objectId}/${what.block}`, {
        objectId: what.objectId,
        block: what.block,
        entry,
      });
      return;
    }
    case "remove":
      index.removeEntry(what.objectId, what.block);
      state.entries.delete(`${what.objectId}/${what.block}`);
      assert.equal(index.getEntry(what.objectId, what.block), undefined);
      return;
    case "name": {
      const coherency = Buffer.of(what.id);
      const record = {
        id: what.id,
        volumeId: 1,
        inode: what.inode,
        coherency,
        sizeBytes: 1n,
        stamp: what.id,
      };
      index.names.putObject(record);
      state.objects.set(what.inode.toString("hex"), record);
      return;
    }
    case "unname":
      index.names.removeObject({ volumeId: 1, inode: what.inode });
      state.objects.delete(what.inode.toString("hex"));
      assert.equal(index.names.findObject(1, what.inode), undefined);
      return;
    case "commit":
      await index.committed();
      return;
    case "breathe":
      void index.committed(); // left in flight on purpose
      await new Promise((resolve) => setImmediate(resolve));
      return;
    case "reopen":
      return;
  }
}

model("holds what a map holds, through commits and reopening", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      await withDirectory(async (directory) => {
        let index = openIndex(directory);
        const state = new Model();
        for (const what of steps) {
          await run(index, state, what);
          if (what.do === "reopen") {
            await index.close();
            index = openIndex(directory, { create: false });
          }
          state.check(index);
        }
        await index.close();
        index = openIndex(directory, { create: false });
        state.check(index);
        assert.equal(index.stats().entryCount, state.entries.size);
        await index.close();
      });
    }),
    { numRuns: 40 },
  );
});

model.run();
