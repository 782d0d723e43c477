import assert from "node:assert/strict";
import { suite } from "uvu";
import type { IndexTable } from "../../index/batch.js";
import type { Store } from "../../index/environment.js";
import { CacheError } from "../../index/core/errors.js";
import { entryOf, openIndex, withCode, withDirectory, withIndex } from "./support.js";

const settled = suite("index that is flushed");
const RECOVERABLE = { regime: "recoverable" } as const;
const object = {
  id: 7,
  volumeId: 1,
  inode: Buffer.from("f"),
  coherency: Buffer.alloc(0),
  sizeBytes: 0n,
  stamp: 0,
};

/** The store, with one of its calls done by `work`. */
function instead(call: "sync" | "commit", work: (real: () => Promise<void>) => Promise<void>) {
  return (store: Store<IndexTable>): Store<IndexTable> =>
    new Proxy(store, {
      get(target, key) {
        if (key === "sync" && call === key) return () => work(() => target.sync());
        if (key === "commit" && call === key)
          return (writes: Parameters<typeof target.commit>[0]) => work(() => target.commit(writes));
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? (value.bind(target) as unknown) : value;
      },
    });
}

settled("tells what a cut would bring back until it is flushed, under its new owner's name too", async () => {
  let release: () => void = () => undefined;
  let held = new Promise<void>((resolve) => (release = resolve));
  const wrapStore = instead("sync", async (real) => {
    await held;
    await real();
  });
  await withIndex(
    async (index) => {
      index.names.putObject(object);
      index.putEntry(7, 0, entryOf(3));
      await index.committed();
      assert.equal(index.wouldReturn(7, 0), false);
      index.removeEntry(7, 0);
      index.names.removeObject(object);
      assert.deepEqual([index.wouldReturn(7, 0), index.wouldReturn(7, 1)], [true, false]);
      await index.committed();
      assert.equal(index.wouldReturn(7, 0), true);
      index.names.putObject({ ...object, id: 8 });
      assert.deepEqual([index.wouldReturn(8, 5), index.hasUndone], [true, true]);
      const done = index.settled();
      release();
      await done;
      await index.settled();
      assert.deepEqual(
        [index.wouldReturn(7, 0), index.wouldReturn(8, 5), index.hasUndone],
        [false, false, false],
      );
      held = Promise.resolve();
    },
    { ...RECOVERABLE, wrapStore },
  );
});

settled("one flush serves all who asked while the last one ran", async () => {
  let flushes = 0;
  const wrapStore = instead("sync", (real) => {
    flushes += 1;
    return real();
  });
  await withIndex(
    async (index) => {
      index.putEntry(1, 1, entryOf(1));
      await index.settled();
      const before = flushes;
      index.putEntry(1, 2, entryOf(2));
      await Promise.all(Array.from({ length: 50 }, () => index.settled()));
      assert.ok(flushes - before <= 3, `${flushes - before} flushes`);
    },
    { ...RECOVERABLE, wrapStore },
  );
});

settled("tells once of a flush that failed, of a commit too, but not of want of room for one", async () => {
  for (const call of ["sync", "commit"] as const) {
    let code: number | string = 28;
    let fails = true;
    const wrapStore = instead(call, async (real) => {
      const cause = Object.assign(new Error("told to"), { code });
      if (fails) throw new CacheError("E_IO", `Cannot ${call}`, { cause });
      await real();
    });
    await withIndex(
      async (index) => {
        let losses = 0;
        index.watchLoss(() => (losses += 1));
        index.putEntry(1, 1, entryOf(1));
        await assert.rejects(index.settled(), withCode("E_IO"));
        assert.equal(losses, call === "sync" ? 1 : 0, call);
        code = 5;
        await assert.rejects(index.settled(), withCode("E_IO"));
        await assert.rejects(index.settled(), withCode("E_IO"));
        assert.equal(losses, 1, call);
        fails = false;
      },
      { ...RECOVERABLE, wrapStore },
    );
  }
});

settled("speaks for numbers ahead of their use, and raises them before they are used up", async () => {
  await withDirectory(async (directory) => {
    const index = openIndex(directory, RECOVERABLE);
    assert.equal(index.spokenFor(), undefined);
    await index.speakFor(() => ({ sequence: 10, objectId: 20, volumeId: 30 }));
    const first = index.spokenFor();
    assert.ok(first && first.sequence > 10 && first.objectId > 20 && first.volumeId > 30);
    index.numbersFrom(() => ({ sequence: first.sequence - 1, objectId: 20, volumeId: 30 }));
    index.putEntry(1, 1, entryOf(1));
    await index.committed();
    const second = index.spokenFor();
    assert.ok(second && second.sequence > first.sequence);
    await index.close();
    const again = openIndex(directory, { ...RECOVERABLE, create: false });
    assert.deepEqual(again.spokenFor(), second);
    await again.close();
  });
});

settled.run();
