import assert from "node:assert/strict";
import { suite } from "uvu";
import type { IndexTable } from "../../index/batch.js";
import { CacheError } from "../../index/core/errors.js";
import type { Store } from "../../index/environment.js";
import { BATCH_CHANGES_MAX } from "../../index/group-commit.js";
import { beforeCommit, entryOf, openIndex, withCode, withDirectory, withIndex } from "./support.js";

const commits = suite("commits");

function failing(times: number): {
  count: number;
  wrapStore: (store: Store<IndexTable>) => Store<IndexTable>;
} {
  const state = { count: times, wrapStore: beforeCommit(async () => {}) };
  state.wrapStore = beforeCommit(async () => {
    state.count -= 1;
    if (state.count >= 0) throw new CacheError("E_IO", "Cannot commit: injected");
  });
  return state;
}

commits("that fail are reported, stay visible, and go again", async () => {
  const fault = failing(1);
  await withDirectory(async (directory) => {
    const index = openIndex(directory, { wrapStore: fault.wrapStore });
    index.putEntry(1, 1, entryOf(1));
    const first = index.committed();
    index.putEntry(1, 1, entryOf(2)); // while it is in flight: the later one counts
    index.putEntry(1, 2, entryOf(3));
    await assert.rejects(first, withCode("E_IO"));
    assert.equal(index.failure?.code, "E_IO");
    assert.equal(index.queuedChanges, 2);
    assert.deepEqual(index.getEntry(1, 1), entryOf(2));
    await index.committed();
    assert.equal(index.failure, undefined);
    await index.close();
    const reopened = openIndex(directory, { create: false });
    assert.deepEqual(reopened.getEntry(1, 1), entryOf(2));
    assert.deepEqual(reopened.getEntry(1, 2), entryOf(3));
    assert.equal(reopened.stats().entryCount, 2);
    await reopened.close();
  });
});

commits("that fail go again unasked", async () => {
  await withIndex(
    async (index) => {
      index.putEntry(1, 1, entryOf(1));
      await assert.rejects(index.committed(), withCode("E_IO"));
      for (let turn = 0; turn < 200 && index.queuedChanges > 0; turn++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      assert.equal(index.queuedChanges, 0);
      assert.equal(index.stats().entryCount, 1);
    },
    { wrapStore: failing(2).wrapStore },
  );
});

commits("that keep failing make close fail, and it closes all the same", async () => {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, { wrapStore: failing(Infinity).wrapStore });
    index.putEntry(1, 1, entryOf(1));
    await assert.rejects(index.close(), withCode("E_IO"));
    const reopened = openIndex(directory, { create: false });
    assert.equal(reopened.getEntry(1, 1), undefined);
    await reopened.close();
  });
});

commits("without an end fail those who wait within a bounded time, close included", async () => {
  let goOn = (): void => {};
  const wrapStore = beforeCommit(() => new Promise((resolve) => (goOn = resolve)));
  await withDirectory(async (directory) => {
    const index = openIndex(directory, { wrapStore, commitMsMax: 30 });
    index.putEntry(1, 1, entryOf(1));
    await assert.rejects(index.committed(), withCode("E_IO"));
    await assert.rejects(index.committed(), withCode("E_IO"));
    assert.deepEqual(index.getEntry(1, 1), entryOf(1));
    goOn();
    for (let turn = 0; turn < 200 && index.queuedChanges > 0; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await index.committed();
    index.putEntry(1, 2, entryOf(1));
    await assert.rejects(index.close(), withCode("E_IO"));
    goOn();
  });
});

commits("gather what comes while one is in flight, and start at once with a full batch", async () => {
  let commitCount = 0;
  const wrapStore = beforeCommit(async () => {
    commitCount += 1;
  });
  await withIndex(
    async (index) => {
      for (let block = 0; block < BATCH_CHANGES_MAX - 1; block++) index.putEntry(1, block, entryOf(block));
      await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(commitCount, 0);
      index.putEntry(1, BATCH_CHANGES_MAX, entryOf(1));
      assert.equal(commitCount, 1);
      for (let block = 0; block < 100; block++) index.putEntry(2, block, entryOf(block));
      assert.equal(commitCount, 1);
      await index.committed();
      assert.equal(commitCount, 2);
      assert.equal(index.stats().entryCount, BATCH_CHANGES_MAX + 100);
    },
    { wrapStore, commitDelayMs: 60_000 },
  );
});

commits.run();
