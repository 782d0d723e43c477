/** A reader over a cache in this process, with a clock and a drive that the test has in hand. */
import assert from "node:assert/strict";
import { suite } from "uvu";
import type { DirectSource, OwnedCache, Publication } from "../../../engine/api.js";
import { DirectReader } from "../../../engine/direct/direct-reader.js";
import { type Known, KnownNames } from "../../../engine/direct/known-names.js";
import { LookupView, openPlace } from "../../../engine/direct/lookup-view.js";
import { SlotFiles } from "../../../engine/slots/slot-files.js";
import { SLOT_BYTES } from "../../../index/core/layout.js";
import { FaultyIo } from "../../support/faulty-io.js";
import { itemsIn } from "./published.js";
import { MIB, bytesOf, store, tagOf, until, withCache } from "../../support/temp-cache.js";

const reader = suite("direct reader");

interface Parts {
  readonly cache: OwnedCache;
  readonly io: FaultyIo;
  readonly lookup: string;
  readonly clock: { ms: number };
  readonly hits: number[];
  readonly read: (block: number, lengthBytes?: number) => Buffer | undefined | Promise<Buffer | undefined>;
}

/** Runs the body with a reader of one file, whose blocks 0 to 3 are whole. */
function withReader(body: (parts: Parts) => Promise<void>, capacityMib = 64): Promise<void> {
  return withCache({ publish: true, capacityBytes: capacityMib * MIB }, async (cache) => {
    const source = cache.direct as DirectSource;
    await until(() => source.publication !== undefined);
    for (let block = 0; block < 4; block += 1) await store(cache, tagOf(block), bytesOf(block, SLOT_BYTES));
    const { lookup, slots } = source.publication as Publication;
    await until(() => itemsIn(lookup.path).length === 4);
    const cacheId = Buffer.from((await cache.status()).cacheId, "hex");
    const opened = LookupView.open(openPlace(lookup, "file") as number, cacheId);
    assert.ok(opened !== undefined);
    const { view, notices } = opened;
    const names = new KnownNames({ instance: view.instance, notices });
    view.names = names;
    const io = new FaultyIo();
    const clock = { ms: 1000 };
    const hits: number[] = [];
    const files = new SlotFiles({ root: slots.path, descriptorsMax: 64, io, readOnly: true });
    const direct = new DirectReader({
      view,
      files,
      cacheId,
      now: () => clock.ms,
      verify: true,
      driveReads: () => io.calls("readSync"),
      onHit: (_slot, _objectId, block) => hits.push(block),
    });
    const resolution = source.resolve("test", "volume", "file");
    assert.ok(resolution !== undefined);
    const known = names.adopt(resolution) as Known;
    const read = (block: number, lengthBytes = 4096) =>
      direct.read(known, block, { offsetBytes: 0, lengthBytes });
    await body({ cache, io, lookup: lookup.path, clock, hits, read });
    files.close();
    view.close();
  });
}

reader("reads what it used before on the spot, and asides for a minute after one that took over 50 ms", () =>
  withReader(async ({ io, clock, read }) => {
    const isAside = async (): Promise<boolean> => {
      const bytes = read(0);
      const aside = bytes instanceof Promise;
      assert.ok((await bytes)?.equals(bytesOf(0, SLOT_BYTES).subarray(0, 4096)));
      return aside;
    };
    assert.equal(await isAside(), true, "nothing is known of the first read");
    assert.equal(await isAside(), false);
    const slowly = (ms: number): void => {
      io.choose = (operation) => {
        if (operation === "readSync") clock.ms += ms;
        return undefined;
      };
    };
    slowly(50);
    assert.equal(await isAside(), false);
    assert.equal(await isAside(), false, "that is slow, but not too slow");
    slowly(51);
    assert.equal(await isAside(), false);
    assert.equal(await isAside(), true);
    clock.ms += 59_999;
    assert.equal(await isAside(), true);
    clock.ms += 1;
    assert.equal(await isAside(), false);
  }),
);

for (const warm of [false, true]) {
  const where = warm ? "on the spot" : "aside";
  /** What happens between the first look and the second. */
  const changes: Array<[string, (cache: OwnedCache) => void]> = [
    ["another put", (cache) => void cache.put(tagOf(1), bytesOf(9, SLOT_BYTES))],
    ["its removal", (cache) => void cache.remove(tagOf(1))],
    ["an invalidation", (cache) => void cache.invalidate({ fs: "test", volume: "volume", inode: "file" })],
    ["that of the volume", (cache) => void cache.invalidate({ fs: "test", volume: "volume" })],
  ];
  for (const [what, change] of changes) {
    reader(`gives nothing back when ${what} begins while it reads ${where}`, () =>
      withReader(async ({ cache, io, hits, read }) => {
        if (warm) await read(1);
        const before = hits.length;
        let changed = false;
        io.choose = (operation) => {
          if (!changed && operation === (warm ? "readSync" : "read")) {
            changed = true;
            change(cache);
          }
          return undefined;
        };
        const got = read(1);
        assert.equal(got instanceof Promise, !warm);
        // A put waits for a slot and a write before it changes what is shown; then it is the old bytes that are right.
        const bytes = await got;
        assert.ok(changed);
        if (what !== "another put") assert.ok(bytes === undefined);
        else assert.ok(bytes === undefined || bytes.equals(bytesOf(1, SLOT_BYTES).subarray(0, 4096)));
        assert.equal(hits.length - before, bytes === undefined ? 0 : 1);
        io.choose = undefined;
        await cache.get(tagOf(0)); // what was begun is done before the end
      }),
    );
  }

  reader(
    `a drive that fails, or a file that is shorter, is no hit ${where}, and the next read may be one`,
    () =>
      withReader(async ({ io, hits, read }) => {
        if (warm) await read(1);
        const before = hits.length;
        // Twice: what was seen before is looked up anew after a failure.
        for (const operation of ["read", "readSync"] as const) io.fail(operation, "EIO", 2);
        assert.ok((await read(1)) === undefined);
        assert.equal(hits.length, before);
        io.heal();
        for (const operation of ["read", "readSync"] as const) io.shorten(operation, 0, 2);
        assert.ok((await read(1)) === undefined);
        io.heal();
        assert.ok((await read(1)) !== undefined, "the drive is well again");
      }),
  );
}

reader("gives nothing old back of a block that others pushed out before it changed", () =>
  withReader(async ({ cache, lookup, read }) => {
    for (let reads = 0; reads < 3; reads += 1) assert.ok((await read(1)) !== undefined);
    const shows = () => itemsIn(lookup).some(({ objectId, block }) => objectId === 1 && block === 1);
    for (let other = 0; shows(); other += 1) {
      assert.ok(other < 5000);
      await store(cache, tagOf(other, "other"), bytesOf(other, 1));
    }
    await store(cache, tagOf(1), bytesOf(9, SLOT_BYTES));
    const bytes = await read(1);
    assert.ok(bytes === undefined || bytes.equals(bytesOf(9, SLOT_BYTES).subarray(0, 4096)));
  }, 16),
);

reader.run();
