/**
 * Commits of index and ledger that fail, for a while or for good, and an index whose map is full: what was asked for is
 * answered in time, nothing wrong is seen, and the cache goes on once commits go well again.
 */
import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { CacheError } from "../../index/core/errors.js";
import { Environment } from "../../index/environment.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import {
  MIB,
  expectSound,
  openAt,
  startOf,
  tagOf,
  until,
  withCode,
  withPlace,
} from "../support/temp-cache.js";
import { Known, expectRecovered, inTime, tried } from "./ride.js";

const indexFaults = suite("trouble with index and ledger");
const LIMITS = { capacityBytes: 6 * MIB, slotsMax: 28 } as const;

/** Which commits and flushes fail now. */
const failing = { index: false, ledger: false, flushes: false };

const open = Environment.open.bind(Environment);
Environment.open = (options) => {
  const environment = open(options);
  const isLedger = fs.realpathSync(options.directory).endsWith("ledger"); // it is named by descriptor
  const commit = environment.commit.bind(environment);
  const sync = environment.sync.bind(environment);
  environment.commit = async (writes) => {
    if (isLedger ? failing.ledger : failing.index)
      throw new CacheError("E_IO", "Cannot commit: the test says so");
    await commit(writes);
  };
  environment.sync = async () => {
    if (failing.flushes) throw new CacheError("E_IO", "Cannot flush: the test says so");
    await sync();
  };
  return environment;
};

indexFaults.before.each(() => {
  Object.assign(failing, { index: false, ledger: false, flushes: false });
});

indexFaults("while commits fail, hits go on, changes are refused by a code, and all comes back", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, LIMITS);
    const known = new Known();
    for (let block = 0; block < 20; block += 1) await known.put(cache, tagOf(block), 100_000);
    await cache.flush({ fs: "test", volume: "volume", inode: "nobody" }); // all is committed
    failing.index = true;
    for (let block = 0; block < 20; block += 1) assert.ok(await known.get(cache, tagOf(block)));
    assert.equal(await tried("invalidate", cache.invalidate({ fs: "test", volume: "nobody" })), true);
    assert.equal(
      await tried("invalidate", cache.invalidate({ fs: "test", volume: "volume", inode: "other" })),
      true,
    );
    await known.remove(cache, tagOf(3));
    assert.equal((await cache.get(tagOf(3))).kind, "miss", "a removal shows, committed or not");
    // Slots of culled blocks can't be used again before the commit: writers are told so, in time.
    const puts = Array.from({ length: 40 }, (_, block) => known.put(cache, tagOf(block, "more"), SLOT_BYTES));
    assert.ok((await Promise.all(puts)).some((stored) => !stored));
    failing.index = false;
    await expectRecovered(cache, known);
    await cache.close();
    assert.equal((await startOf(directory, LIMITS)).kind, "clean");
    await expectSound(directory);
  });
});

indexFaults("a stop without its last commit, flush or mark is not clean, and ends in time", async () => {
  for (const what of ["index", "flushes", "ledger"] as const) {
    await withPlace(async (directory) => {
      const cache = await openAt(directory, LIMITS);
      const known = new Known();
      failing[what] = true;
      for (let block = 0; block < 5; block += 1) await known.put(cache, tagOf(block), 10_000);
      assert.equal(await tried("close", cache.close()), false, what);
      failing[what] = false;
      assert.equal((await startOf(directory, LIMITS)).kind, "unclean", what);
      await expectSound(directory);
    });
  }
});

indexFaults("a pin and a wipe that the ledger does not take change nothing", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, LIMITS);
    const known = new Known();
    await known.put(cache, tagOf(0), 10_000);
    const { epoch } = await cache.status();
    failing.ledger = true;
    await assert.rejects(inTime("pin", cache.pin({ fs: "test", volume: "volume" })), withCode("E_IO"));
    await assert.rejects(inTime("wipe", cache.wipe()), withCode("E_IO"));
    failing.ledger = false;
    assert.deepEqual((await cache.pins()).pins, []);
    assert.equal((await cache.status()).epoch, epoch);
    assert.ok(await known.get(cache, tagOf(0)));
    await cache.pin({ fs: "test", volume: "volume" });
    await cache.close();
    const again = await openAt(directory, LIMITS);
    assert.equal((await again.pins()).pins.length, 1);
    await again.close();
    await expectSound(directory);
  });
});

indexFaults("an index that outgrows its map goes on", async () => {
  const roomy = Environment.open.bind(Environment);
  Environment.open = (options) => roomy({ ...options, mapBytes: 256 * 1024 });
  try {
    await withPlace(async (directory) => {
      const cache = await openAt(directory, { capacityBytes: 64 * MIB });
      const known = new Known();
      let stored = 0;
      const put = async (block: number) => {
        if (await known.put(cache, tagOf(block % 40, `file ${block}`), 500)) stored += 1;
      };
      for (let block = 0; block < 1500; block += 50)
        await Promise.all(Array.from({ length: 50 }, (_, place) => put(block + place)));
      assert.ok(stored > 1000, `${stored} were stored`);
      await until(() => cache.status().then(({ indexBytes }) => indexBytes > 256 * 1024));
      for (let block = 0; block < 1500; block += 1)
        await known.get(cache, tagOf(block % 40, `file ${block}`));
      await cache.close();
      assert.equal((await startOf(directory, { capacityBytes: 64 * MIB })).kind, "clean");
      await expectSound(directory);
    });
  } finally {
    Environment.open = roomy;
  }
});

indexFaults.run();
