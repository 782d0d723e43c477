import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import type { OwnedCache } from "../../../engine/api.js";
import { bucketOf } from "../../../engine/direct/lookup-format.js";
import { LookupFile } from "../../../engine/direct/lookup-file.js";
import { cacheId, entryOf, withIndex } from "../../index/support.js";
import {
  bytesOf,
  expectHit,
  openAt,
  store,
  tagOf,
  until,
  withCache,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";
import { digestOf } from "../../support/digest.js";
import { headerOf, itemsIn, shownIn } from "./published.js";
import { BUCKETS, CAPACITY_BYTES, withPublisher } from "./with-publisher.js";

const publisher = suite("publisher");

publisher("shows nothing before its commit, and takes away what is about to change at once", () =>
  withPublisher(async ({ index, lookup, gate }) => {
    const shown = () => shownIn(lookup, BUCKETS, 1, 3)?.slot;
    gate.held = true;
    index.putEntry(1, 3, entryOf(3));
    const first = index.committed();
    await until(() => gate.reached);
    assert.equal(shown(), undefined);
    gate.next();
    await first;
    assert.equal(shown(), 3);
    index.putEntry(1, 3, entryOf(4));
    assert.equal(shown(), undefined, "of the change that is queued nobody was told yet");
    const second = index.committed();
    await until(() => gate.reached);
    assert.equal(shown(), undefined);
    gate.next();
    await second;
    assert.equal(shown(), 4);
    index.removeEntry(1, 3);
    assert.equal(shown(), undefined);
    gate.held = false;
    await index.committed();
    assert.equal(shown(), undefined);
  }),
);

publisher("passes over what a commit brings when the next change is queued already", () =>
  withPublisher(async ({ index, lookup, gate }) => {
    const shown = () => shownIn(lookup, BUCKETS, 1, 3)?.slot;
    gate.held = true;
    index.putEntry(1, 3, entryOf(3));
    index.putEntry(1, 5, entryOf(5));
    const first = index.committed();
    await until(() => gate.reached);
    index.putEntry(1, 3, entryOf(4));
    const second = index.committed();
    gate.next();
    await first;
    assert.equal(shown(), undefined);
    assert.equal(shownIn(lookup, BUCKETS, 1, 5)?.slot, 5, "the others are shown");
    await until(() => gate.reached);
    gate.next();
    await second;
    assert.equal(shown(), 4);
  }),
);

/** Blocks of file 1 that have their place where this one has it. */
function rivalsOf(block: number, count: number): number[] {
  const place = bucketOf(1, block, BUCKETS);
  const others = Array.from({ length: 5000 }, (_, number) => number + 100);
  return others.filter((other) => bucketOf(1, other, BUCKETS) === place).slice(0, count);
}

publisher("shows a block that lost its place again when it is asked for, unless it is about to change", () =>
  withPublisher(async ({ index, lookup, publisher: published, gate }) => {
    const shown = () => shownIn(lookup, BUCKETS, 1, 3)?.slot;
    index.putEntry(1, 3, entryOf(3));
    await index.committed();
    for (const rival of rivalsOf(3, 6)) index.putEntry(1, rival, entryOf(rival));
    await index.committed();
    assert.equal(shown(), undefined);
    published.offer(1, 3);
    assert.equal(shown(), 3);
    gate.held = true;
    index.putEntry(1, 3, entryOf(3, { version: 2 }));
    published.offer(1, 3);
    assert.equal(shown(), undefined);
  }),
);

publisher("counts as withdrawn what is taken out, and what others push out", () =>
  withPublisher(async ({ index, lookup }) => {
    const fd = fs.openSync(lookup, "r");
    const withdrawals = () => headerOf(fd)?.withdrawals;
    const [last = 0, ...rivals] = rivalsOf(3, 6);
    for (const block of [3, ...rivals]) index.putEntry(1, block, entryOf(block));
    await index.committed();
    assert.equal(withdrawals(), 0);
    index.putEntry(1, last, entryOf(last));
    await index.committed();
    assert.equal(withdrawals(), 1, "there is no place for seven");
    index.putEntry(1, 3, entryOf(4));
    assert.equal(withdrawals(), 1, "it was out already");
    index.removeEntry(1, last);
    assert.equal(withdrawals(), 2);
    await index.committed();
    fs.closeSync(fd);
  }),
);

for (const [what, damage] of [
  ["was cut", (lookup: string) => fs.truncateSync(lookup, 512)],
  ["has other bytes", (lookup: string) => fs.writeFileSync(lookup, header(lookup, 0xa5), { flag: "r+" })],
  [
    "has zeros in place of its own",
    (lookup: string) => fs.writeFileSync(lookup, header(lookup, 0), { flag: "r+" }),
  ],
] as const) {
  publisher(
    `closes a file at once whose bucket ${what} when it is about to change it, and makes another one`,
    () =>
      withPublisher(async ({ index, lookup, publisher: published }) => {
        index.putEntry(1, 3, entryOf(3));
        await index.committed();
        const fd = fs.openSync(lookup, "r");
        damage(lookup);
        assert.ok(headerOf(fd) !== undefined, "its header is as it was");
        index.putEntry(1, 3, entryOf(4));
        assert.equal(headerOf(fd), undefined);
        fs.closeSync(fd);
        await index.committed();
        await until(() => published.publication !== undefined);
        index.putEntry(1, 3, entryOf(5));
        await index.committed();
        assert.equal(shownIn(lookup, BUCKETS, 1, 3)?.slot, 5);
      }),
  );
}

/** The header that stands, and other bytes behind it. */
function header(lookup: string, byte: number): Buffer {
  const bytes = fs.readFileSync(lookup);
  return bytes.fill(byte, 512);
}

/** Calls of the file system on the lookup file fail while the body runs. */
async function withFailing(
  calls: ReadonlyArray<"writeSync" | "ftruncateSync">,
  errno: string,
  body: () => Promise<void>,
): Promise<void> {
  const right = { writeSync: fs.writeSync, ftruncateSync: fs.ftruncateSync };
  const isLookup = (fd: number) => /\/lookup(\.new)?$/.test(fs.readlinkSync(`/proc/self/fd/${fd}`));
  for (const call of calls) {
    const original = right[call] as (...args: unknown[]) => unknown;
    Object.assign(fs, {
      [call]: (fd: number, ...args: unknown[]) => {
        if (isLookup(fd)) throw Object.assign(new Error(errno), { code: errno });
        return original(fd, ...args);
      },
    });
  }
  try {
    await body();
  } finally {
    Object.assign(fs, right);
  }
}

for (const errno of ["ENOSPC", "EIO"]) {
  publisher(`closes a file that ${errno} keeps it from changing, and makes another one later`, () =>
    withPublisher(async ({ index, lookup, publisher: published, logged }) => {
      index.putEntry(1, 3, entryOf(3));
      await index.committed();
      const fd = fs.openSync(lookup, "r");
      const { instance } = published;
      await withFailing(["writeSync"], errno, async () => {
        index.putEntry(1, 3, entryOf(4));
        assert.equal(headerOf(fd), undefined, "nobody uses what still stands in it");
        assert.equal(published.publication, undefined);
        await index.committed();
      });
      fs.closeSync(fd);
      await until(() => published.publication !== undefined);
      assert.notEqual(published.instance, instance);
      index.putEntry(1, 3, entryOf(5));
      await index.committed();
      assert.equal(shownIn(lookup, BUCKETS, 1, 3)?.slot, 5);
      assert.ok(logged.some((message) => message.includes("direct reads are off for a while")));
    }),
  );
}

publisher(
  "fails commits while a file that shows what they replace can neither be changed, closed nor cut",
  () =>
    withPublisher(async ({ index, lookup, publisher: published }) => {
      index.putEntry(1, 3, entryOf(3));
      await index.committed();
      await withFailing(["writeSync", "ftruncateSync"], "EIO", async () => {
        index.putEntry(1, 3, entryOf(4));
        published.pause("sick", true);
        published.restart();
        await assert.rejects(index.committed(), withCode("E_IO"));
        assert.equal(shownIn(lookup, BUCKETS, 1, 3)?.slot, 3);
      });
      published.pause("sick", false);
      await until(() => index.queuedChanges === 0);
      assert.equal(shownIn(lookup, BUCKETS, 1, 3)?.slot, 4);
    }),
);

publisher("makes another file for one that was removed, replaced, cut or overwritten", () =>
  withPublisher(async ({ lookup, publisher: published }) => {
    const damages: Array<() => void> = [
      () => fs.unlinkSync(lookup),
      () => {
        fs.unlinkSync(lookup);
        fs.writeFileSync(lookup, "something else");
      },
      () => fs.truncateSync(lookup, 700),
      () => fs.writeFileSync(lookup, Buffer.alloc(600, 7), { flag: "r+" }),
    ];
    for (const damage of damages) {
      const { instance } = published;
      published.repair();
      assert.equal(published.instance, instance, "nothing is wrong with it");
      damage();
      published.repair();
      await until(() => published.publication !== undefined);
      assert.notEqual(published.instance, instance);
      const fd = fs.openSync(lookup, "r");
      assert.equal(headerOf(fd)?.instance, published.instance);
      fs.closeSync(fd);
    }
  }),
);

publisher("shows nothing of what an index commits after a wipe has put another in its place", () =>
  withPublisher(async ({ index, lookup, publisher: published, gate, replace }) => {
    gate.held = true;
    index.putEntry(1, 3, entryOf(3));
    const late = index.committed();
    await until(() => gate.reached);
    published.withdraw();
    await withIndex(async (next) => {
      replace(next);
      published.follow(next);
      published.restart();
      await until(() => published.publication !== undefined);
      gate.next();
      await late;
      assert.deepEqual(itemsIn(lookup), []);
      next.putEntry(1, 4, entryOf(5));
      await next.committed();
      assert.deepEqual(
        itemsIn(lookup).map(({ block }) => block),
        [4],
      );
    });
    replace(index);
  }),
);

const whenPublished = (cache: OwnedCache) => until(() => cache.direct?.publication !== undefined);

publisher("a wipe and a change of the capacity close the old file for whoever has it open", () =>
  withCache({ publish: true }, async (cache, directory) => {
    const lookup = path.join(directory, "lookup");
    const changes: Array<() => Promise<unknown>> = [
      () => cache.wipe(),
      () => cache.configure({ capacityBytes: CAPACITY_BYTES / 2 }),
      () => cache.configure({ capacityBytes: CAPACITY_BYTES }),
    ];
    for (const [round, change] of changes.entries()) {
      await whenPublished(cache);
      await store(cache, tagOf(0), bytesOf(round, 4096));
      await until(() => itemsIn(lookup).length > 0);
      const fd = fs.openSync(lookup, "r");
      const before = headerOf(fd);
      await change();
      assert.equal(headerOf(fd), undefined);
      fs.closeSync(fd);
      await whenPublished(cache);
      const next = fs.openSync(lookup, "r");
      assert.notEqual(headerOf(next)?.instance, before?.instance);
      fs.closeSync(next);
    }
  }),
);

publisher("keeps within a thousandth of the capacity, which it counts with the index", async () => {
  let without = 0;
  await withCache({}, async (cache, directory) => {
    without = (await cache.status()).indexBytes;
    assert.equal(cache.direct, undefined);
    assert.deepEqual(
      fs.readdirSync(directory).filter((name) => name.startsWith("lookup")),
      [],
    );
  });
  await withCache({ publish: true }, async (cache, directory) => {
    await whenPublished(cache);
    const { size } = fs.statSync(path.join(directory, "lookup"));
    assert.equal(size, 512 + 512 * BUCKETS);
    assert.ok(size <= CAPACITY_BYTES / 1000 && size > CAPACITY_BYTES / 1100);
    assert.equal((await cache.status()).indexBytes, without + size);
  });
});

publisher("shows everything again after a clean restart, and only what is there", () =>
  withPlace(async (directory) => {
    const first = await openAt(directory, { publish: true });
    await whenPublished(first);
    for (let block = 0; block < 150; block += 1) await store(first, tagOf(block), bytesOf(block, 5000));
    await first.remove(tagOf(7));
    const lookup = path.join(directory, "lookup");
    await until(() => itemsIn(lookup).length === 149);
    const shown = itemsIn(lookup);
    await first.close();
    assert.equal(fs.existsSync(lookup), false);
    const second = await openAt(directory, { publish: true });
    await whenPublished(second);
    await until(() => itemsIn(lookup).length === 149);
    const byBlock = (items: typeof shown) => items.toSorted((one, other) => one.block - other.block);
    assert.deepEqual(byBlock(itemsIn(lookup)), byBlock(shown));
    await second.close();
  }),
);

publisher("a start closes the file of an owner who died, for whoever has it open", () =>
  withPlace(async (directory) => {
    await (await openAt(directory)).close();
    const lookup = path.join(directory, "lookup");
    const options = { path: lookup, cacheId, epoch: 1, buckets: 3, mode: 0o600 };
    const left = LookupFile.create(options);
    left.put(1, 3, entryOf(3));
    const fd = fs.openSync(lookup, "r");
    assert.equal(headerOf(fd)?.instance, left.instance);
    const cache = await openAt(directory); // one that publishes nothing itself, too
    const head = Buffer.alloc(512, 1);
    fs.readSync(fd, head, 0, 512, 0);
    assert.ok(head.every((byte) => byte === 0));
    assert.equal(fs.existsSync(lookup), false);
    fs.closeSync(fd);
    await cache.close();
  }),
);

publisher("what stands in its place and is no lookup file is set aside unchanged, at a start and later", () =>
  withPlace(async (directory) => {
    await (await openAt(directory)).close();
    const lookup = path.join(directory, "lookup");
    const elsewhere = path.join(directory, "..", "elsewhere");
    fs.writeFileSync(elsewhere, "TAGLOOK1 and precious");
    const things: Array<() => void> = [
      () => fs.symlinkSync(elsewhere, lookup),
      () => fs.symlinkSync("/nonexistent", lookup),
      () => {
        fs.mkdirSync(lookup);
        fs.writeFileSync(path.join(lookup, "inside"), "precious");
      },
      () => fs.writeFileSync(lookup, "precious"),
    ];
    for (const put of things) {
      put();
      const kind = fs.lstatSync(lookup);
      const cache = await openAt(directory, { publish: true });
      await whenPublished(cache);
      await store(cache, tagOf(0), bytesOf(0, 4096));
      expectHit(await cache.get(tagOf(0)), bytesOf(0, 4096));
      const aside = fs.readdirSync(directory).filter((name) => name.startsWith("lookup.foreign-"));
      assert.equal(aside.length, 1);
      const name = path.join(directory, aside[0] as string);
      assert.equal(fs.lstatSync(name).ino, kind.ino);
      if (kind.isDirectory()) assert.deepEqual(Object.keys(digestOf(name)), ["inside"]);
      if (kind.isFile()) assert.equal(fs.readFileSync(name, "utf8"), "precious");
      fs.rmSync(name, { recursive: true });
      await cache.close();
    }
    assert.equal(fs.readFileSync(elsewhere, "utf8"), "TAGLOOK1 and precious");
  }),
);

publisher.run();
