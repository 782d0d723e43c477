import assert from "node:assert/strict";
import { suite } from "uvu";
import { SLOT_BYTES } from "../../index/core/layout.js";
import type { BlockCache, Lease } from "../../engine/api.js";
import { type Grant, type LeaseAnswer, Leases } from "../../engine/leases.js";
import { FaultyIo } from "../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  openAt,
  pause,
  randomOf,
  store,
  tagOf,
  until,
  withCache,
  withPlace,
} from "../support/temp-cache.js";

const table = suite("table of leases");

interface File {
  stampMax: number;
  users: number;
}

function begin(limits: { readonly leasesMax?: number; readonly waitersMax?: number } = {}) {
  const leases = new Leases<File>({
    now: () => performance.now(),
    hold: (file) => (file.users += 1),
    letGo: (file) => (file.users -= 1),
    ...limits,
  });
  const file = (): File => ({ stampMax: 0, users: 0 });
  return { leases, file };
}

const TIMES = { leaseMs: 10_000, waitMs: 5000 };

async function grantOf(answer: LeaseAnswer<File> | Promise<LeaseAnswer<File>>): Promise<Grant<File>> {
  const settled = await answer;
  assert.equal(settled.kind, "lease");
  if (settled.kind !== "lease") throw new Error("no lease");
  return settled.grant;
}

table("holds a file while it has leases, and each block on its own", async () => {
  const { leases, file } = begin();
  const one = file();
  const first = await grantOf(leases.take(one, 0, TIMES));
  const second = await grantOf(leases.take(one, 2 ** 44, TIMES));
  assert.equal(one.users, 1);
  leases.end(first);
  assert.equal(one.users, 1);
  leases.stored(one, 2 ** 44);
  assert.equal(one.users, 0);
  assert.equal(leases.holds(second), false);
  assert.deepEqual(leases.counts, { held: 0, waiting: 0, given: 2 });
});

table("beyond its limits the answer is a plain miss at once", async () => {
  const { leases, file } = begin({ leasesMax: 2, waitersMax: 3 });
  const one = file();
  await grantOf(leases.take(one, 0, TIMES));
  await grantOf(leases.take(one, 1, TIMES));
  assert.deepEqual(leases.take(one, 2, TIMES), { kind: "miss" });
  assert.deepEqual(leases.take(file(), 0, TIMES), { kind: "miss" });
  const waiting = [1, 2, 3].map(() => leases.take(one, 0, TIMES));
  assert.deepEqual(leases.take(one, 0, TIMES), { kind: "miss" });
  assert.deepEqual(leases.counts, { held: 2, waiting: 3, given: 2 });
  leases.endAll();
  for (const each of waiting) assert.deepEqual(await each, { kind: "again" });
  assert.deepEqual(leases.counts, { held: 0, waiting: 0, given: 2 });
});

table("an end that comes twice or too late touches no other's lease", async () => {
  const { leases, file } = begin();
  const one = file();
  const first = await grantOf(leases.take(one, 0, TIMES));
  const next = leases.take(one, 0, TIMES);
  leases.end(first);
  const second = await grantOf(next);
  leases.end(first);
  leases.fail(first, "no-space");
  assert.equal(leases.holds(second), true);
  leases.fail(second, "no-space");
  assert.equal(leases.holds(second), false);
});

table("a raised stamp passes on the leases of its files and no others", async () => {
  const { leases, file } = begin();
  const [one, other] = [file(), file()];
  const first = await grantOf(leases.take(one, 0, TIMES));
  const kept = await grantOf(leases.take(other, 0, TIMES));
  const next = leases.take(one, 0, TIMES);
  one.stampMax = 7;
  leases.invalidated();
  const second = await grantOf(next);
  assert.equal(leases.holds(first), false);
  assert.equal(leases.holds(kept), true);
  leases.invalidated();
  assert.equal(leases.holds(second), true, "it was given with the new stamp");
  leases.endAll();
});

table("whatever happens, a block has one holder at a time, and everybody is answered", async () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = randomOf(seed);
  const { leases, file } = begin({ leasesMax: 5, waitersMax: 8 });
  const files = [file(), file()];
  const grants: Grant<File>[] = [];
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  const answers: Array<Promise<void>> = [];
  for (let step = 0; step < 3000; step += 1) {
    const [one, block] = [pick(files), Math.floor(random() * 4)];
    const what = random();
    if (what < 0.5) {
      const times = { leaseMs: 1 + random() * 20, waitMs: random() * 20 };
      const answer = Promise.resolve(leases.take(one, block, times));
      answers.push(answer.then((settled) => void (settled.kind === "lease" && grants.push(settled.grant))));
    } else if (what < 0.7 && grants.length > 0) leases.end(pick(grants));
    else if (what < 0.8 && grants.length > 0) leases.fail(pick(grants), "no-space");
    else if (what < 0.86) leases.stored(one, block);
    else if (what < 0.92) leases.removed(one, block);
    else if (what < 0.96) {
      one.stampMax += 1;
      leases.invalidated();
    } else await pause(1);
    const held = grants.filter((grant) => leases.holds(grant));
    const names = held.map((grant) => `${files.indexOf(grant.file)} ${grant.block}`);
    assert.equal(new Set(names).size, names.length, `seed ${seed}`);
    assert.ok(leases.counts.held <= 5 && held.every((grant) => !grant.void), `seed ${seed}`);
    assert.ok(
      held.every((grant) => grant.stamp === grant.file.stampMax),
      `seed ${seed}`,
    );
    for (const each of files) assert.ok(each.users === 0 || each.users === 1, `seed ${seed}`);
  }
  leases.endAll();
  await Promise.all(answers);
  assert.deepEqual({ ...leases.counts, given: 0 }, { held: 0, waiting: 0, given: 0 }, `seed ${seed}`);
  assert.deepEqual([files[0]?.users, files[1]?.users], [0, 0], `seed ${seed}`);
});

table.run();

const engine = suite("leases over slots");

async function leaseOf(cache: BlockCache, block: number): Promise<Lease> {
  const result = await cache.getOrLease(tagOf(block));
  assert.equal(result.kind, "lease");
  if (result.kind !== "lease") throw new Error("no lease");
  return result.lease;
}

engine("when what was fetched cannot be stored, all who wait are told why at once", async () => {
  const io = new FaultyIo();
  await withCache({ io }, async (cache) => {
    const lease = await leaseOf(cache, 0);
    const waiting = Array.from({ length: 5 }, () => cache.getOrLease(tagOf(0)));
    await until(async () => (await cache.status()).leases.waiting === 5);
    io.fail("write", "EMFILE");
    const wanted = { kind: "bypass", reason: "io-error" } as const;
    assert.deepEqual(await lease.put(bytesOf(0, 100)), wanted);
    for (const each of waiting) assert.deepEqual(await each, wanted);
    assert.equal((await cache.status()).bypassed["io-error"], 6);
    await store(cache, tagOf(0), bytesOf(0, 100));
  });
});

engine("a block that is found corrupt is fetched once by those who miss it", async () => {
  await withPlace(async (directory) => {
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    await store(cache, tagOf(0), bytesOf(0, SLOT_BYTES));
    io.fail("readSync", "EIO");
    io.fail("read", "EIO");
    assert.equal((await cache.getOrLease(tagOf(0))).kind, "bypass");
    const lease = await leaseOf(cache, 0);
    const waiting = cache.getOrLease(tagOf(0));
    await lease.put(bytesOf(1, 100));
    expectHit((await waiting) as never, bytesOf(1, 100));
    await cache.close();
  });
});

engine("after its end a lease still stores, unless the file was invalidated since", async () => {
  await withCache({}, async (cache) => {
    const first = await cache.getOrLease(tagOf(0), { leaseMs: 1 });
    const second = await cache.getOrLease(tagOf(1), { leaseMs: 1 });
    await pause(30);
    assert.ok(first.kind === "lease" && second.kind === "lease");
    assert.equal(first.lease.expiresInMs, 0);
    assert.deepEqual(await first.lease.put(bytesOf(0, 10)), { kind: "stored" });
    const volume = await cache.acquireVolume("test", "volume");
    await volume.invalidate();
    assert.deepEqual(await second.lease.put(bytesOf(1, 10)), { kind: "bypass", reason: "stale" });
    assert.equal(await cache.has(tagOf(1)), false);
  });
});

engine.run();
