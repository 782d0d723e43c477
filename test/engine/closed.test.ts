import "../support/in-memory.js";
import assert from "node:assert/strict";
import fs from "node:fs";
import { suite } from "uvu";
import { type CacheErrorCode, isCacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, CookieHandle, VolumeHandle } from "../../engine/api.js";
import { FaultyIo } from "../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  slotFiles,
  startOf,
  store,
  tagOf,
  withCache,
  withCode,
  withPlace,
} from "../support/temp-cache.js";

const closed = suite("what was closed");

type Calls<Handle> = { readonly [Method in keyof Handle]?: (handle: Handle) => Promise<unknown> };

const cacheCalls: Calls<BlockCache> = {
  get: (cache) => cache.get(tagOf(0)),
  put: (cache) => cache.put(tagOf(0), bytesOf(0, 10)),
  has: (cache) => cache.has(tagOf(0)),
  remove: (cache) => cache.remove(tagOf(0)),
  acquireVolume: (cache) => cache.acquireVolume("test", "volume"),
  status: (cache) => cache.status(),
  wipe: (cache) => cache.wipe(),
};
const volumeCalls: Calls<VolumeHandle> = {
  acquireCookie: (volume) => volume.acquireCookie("file"),
  invalidate: (volume) => volume.invalidate(),
  relinquish: (volume) => volume.relinquish(),
};
const cookieCalls: Calls<CookieHandle> = {
  read: (cookie) => cookie.read(0n, 10),
  write: (cookie) => cookie.write(0n, bytesOf(0, 10)),
  invalidate: (cookie) => cookie.invalidate(),
  relinquish: (cookie) => cookie.relinquish(),
};

async function expectAll<Handle>(handle: Handle, calls: Calls<Handle>, code: CacheErrorCode): Promise<void> {
  for (const [method, call] of Object.entries(calls) as Array<
    [string, (handle: Handle) => Promise<unknown>]
  >) {
    const error = await call(handle).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.ok(isCacheError(error, code), `${method}: want ${code}, got ${String(error)}`);
  }
}

async function handlesOf(cache: BlockCache): Promise<{ volume: VolumeHandle; cookie: CookieHandle }> {
  const volume = await cache.acquireVolume("test", "volume");
  return { volume, cookie: await volume.acquireCookie("file", { sizeBytes: 10n }) };
}

closed("every call of a closed cache, its volumes and its cookies fails with E_CLOSED", async () => {
  await withCache({}, async (cache) => {
    const { volume, cookie } = await handlesOf(cache);
    const closing = cache.close();
    await expectAll(cache, cacheCalls, "E_CLOSED");
    await closing;
    await expectAll(cache, cacheCalls, "E_CLOSED");
    await expectAll(volume, volumeCalls, "E_CLOSED");
    await expectAll(cookie, cookieCalls, "E_CLOSED");
    await cache.close();
  });
});

closed("every call of a volume that was given up, and of its cookies, fails with E_CLOSED", async () => {
  await withCache({}, async (cache) => {
    const { volume, cookie } = await handlesOf(cache);
    await volume.relinquish();
    await expectAll(volume, volumeCalls, "E_CLOSED");
    await expectAll(cookie, cookieCalls, "E_CLOSED");
  });
});

closed(
  "every call of a cookie that was given up fails with E_CLOSED, other handles on the file go on",
  async () => {
    await withCache({}, async (cache) => {
      const { volume, cookie } = await handlesOf(cache);
      const other = await volume.acquireCookie("file");
      await cookie.relinquish();
      await expectAll(cookie, cookieCalls, "E_CLOSED");
      await other.write(0n, bytesOf(1, 10));
      assert.ok((await other.read(0n, 10)).bytes.equals(bytesOf(1, 10)));
    });
  },
);

closed(
  "every call of a handle from before a wipe fails with E_STALE, but giving it up does not",
  async () => {
    await withCache({}, async (cache) => {
      const { volume, cookie } = await handlesOf(cache);
      await cache.wipe();
      const { relinquish: _, ...ofVolume } = volumeCalls;
      const { relinquish: __, ...ofCookie } = cookieCalls;
      await expectAll(volume, ofVolume, "E_STALE");
      await expectAll(cookie, ofCookie, "E_STALE");
      await cookie.relinquish({ coherency: Buffer.from("x"), retire: true });
      await volume.relinquish({ invalidate: true });
      const { slots, epoch } = await cache.status();
      assert.equal(slots.used, 0);
      assert.equal(epoch, 2);
    });
  },
);

closed("a handle used at any moment of a wipe works or fails with E_STALE", async () => {
  await withCache({}, async (cache) => {
    for (let turn = 0; turn < 10; turn += 1) {
      const { volume, cookie } = await handlesOf(cache);
      let wiping = true;
      const wiped = cache.wipe().finally(() => (wiping = false));
      while (wiping) {
        for (const call of [
          () => cookie.invalidate(),
          () => volume.invalidate(),
          () => volume.acquireCookie("other", { coherency: Buffer.from("x") }),
          () => cookie.read(0n, 10),
          () => cache.acquireVolume("test", "another"),
          () => cache.remove(tagOf(0)),
          () => cache.has(tagOf(0)),
          () => cache.get(tagOf(0)),
        ]) {
          await call().catch((error: unknown) => assert.ok(isCacheError(error, "E_STALE"), String(error)));
        }
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      await wiped;
    }
  });
});

closed("wipes at the same time follow each other, and the cache is whole after them", async () => {
  await withCache({}, async (cache) => {
    await store(cache, tagOf(0), bytesOf(0, 1000));
    await Promise.all([cache.wipe(), cache.wipe(), cache.wipe()]);
    assert.equal((await cache.status()).epoch, 4);
    assert.equal((await cache.get(tagOf(0))).kind, "miss");
    await store(cache, tagOf(0), bytesOf(1, 1000));
    expectHit(await cache.get(tagOf(0)), bytesOf(1, 1000));
  });
});

closed("wipes one after another never take the index in use for an old one", async () => {
  await withCache({}, async (cache) => {
    for (let turn = 0; turn < 8; turn += 1) {
      await cache.wipe();
      await store(cache, tagOf(turn), bytesOf(turn, 1000));
    }
    expectHit(await cache.get(tagOf(7)), bytesOf(7, 1000));
  });
});

closed("a close right after a wipe was asked for ends clean", async () => {
  await withPlace(async (directory) => {
    for (const callsFirst of [true, false]) {
      const cache = await openAt(directory);
      await store(cache, tagOf(0), bytesOf(0, 1000));
      if (callsFirst) void cache.status();
      const wiped = cache
        .wipe()
        .catch((error: unknown) => assert.ok(isCacheError(error, "E_CLOSED"), String(error)));
      await cache.close();
      await wiped;
      assert.equal((await startOf(directory)).kind, "clean");
    }
    await expectSound(directory);
  });
});

closed("close under full load ends clean, and what was stored before is there", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory);
    for (let block = 0; block < 20; block += 1) await store(cache, tagOf(block), bytesOf(block, 20_000));
    let going = true;
    const load = Array.from({ length: 12 }, async (_, worker) => {
      for (let turn = 0; going; turn += 1) {
        try {
          const tag = tagOf(turn % 50, `file ${worker}`);
          await (turn % 3 === 0
            ? cache.get(tag)
            : cache.put(tag, bytesOf(turn, 1 + ((turn * 7919) % SLOT_BYTES))));
          if (turn % 11 === 0) await cache.remove(tag);
        } catch (error) {
          assert.ok(isCacheError(error, "E_CLOSED"), String(error));
          return;
        }
      }
    });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const beganMs = Date.now();
    const [first, second] = [cache.close(), cache.close()];
    await first;
    await second;
    assert.ok(Date.now() - beganMs < 10_000);
    going = false;
    await Promise.all(load);
    await expectSound(directory);
    const next = await openAt(directory);
    assert.equal((await next.status()).start.kind, "clean");
    for (let block = 0; block < 20; block += 1)
      expectHit(await next.get(tagOf(block)), bytesOf(block, 20_000));
    await next.close();
  });
});

closed("a read under way when the cache is closed is answered", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    await store(first, tagOf(0), bytesOf(0, SLOT_BYTES));
    await first.close();
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    const hold = io.hold("read");
    const read = cache.get(tagOf(0));
    await hold.reached;
    const closing = cache.close();
    setTimeout(() => hold.release(), 50);
    expectHit(await read, bytesOf(0, SLOT_BYTES));
    await closing;
    assert.equal((await startOf(directory)).kind, "clean");
  });
});

closed("a damaged block that is found while the cache is closed does not make the stop unclean", async () => {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    await store(first, tagOf(0), bytesOf(0, SLOT_BYTES));
    await first.close();
    for (const file of slotFiles(directory).values()) fs.writeFileSync(file, bytesOf(1, SLOT_BYTES));
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    const hold = io.hold("read");
    const read = cache.get(tagOf(0));
    await hold.reached;
    const closing = cache.close();
    hold.release();
    assert.deepEqual(await read, { kind: "miss" });
    await closing;
    assert.equal((await startOf(directory)).kind, "clean");
    await expectSound(directory);
  });
});

closed("a second owner in the same process is refused", async () => {
  await withCache({}, async (_, directory) => {
    await assert.rejects(openAt(directory), withCode("E_BUSY", new RegExp(`process ${process.pid} owns it`)));
  });
});

closed.run();
