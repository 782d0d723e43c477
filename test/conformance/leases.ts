/** Fill leases: one fetch for all who miss a block at the same time. */
import * as assert from "uvu/assert";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { LEASE_MS_MAX, LEASE_WAIT_MS_MAX } from "../../engine/lease-api.js";
import type { BlockCache, Lease, LeaseOptions, LeaseResult, Tag } from "../../engine/api.js";
import { bytesOf, isHit, isStored, rejects, tagOf } from "./support.js";
import type { Check } from "./support.js";

const STALE = { kind: "bypass", reason: "stale" } as const;

function isLease(result: LeaseResult): Lease {
  assert.is(result.kind, "lease");
  if (result.kind !== "lease") throw new Error("no lease");
  return result.lease;
}

async function leaseOf(cache: BlockCache, tag: Tag, options?: LeaseOptions): Promise<Lease> {
  return isLease(await cache.getOrLease(tag, options));
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Begins to ask, and comes back when the question has surely arrived. */
async function asked(cache: BlockCache, tag: Tag, options?: LeaseOptions) {
  const outcome: { now: LeaseResult | undefined; later: Promise<LeaseResult> } = {
    now: undefined,
    later: cache.getOrLease(tag, options).then((result) => (outcome.now = result)),
  };
  await cache.has(tag);
  await pause(10);
  return outcome;
}

export function leaseTests(check: Check): void {
  check("leases a miss, and answers a hit as get does", async (cache) => {
    const bytes = bytesOf(1, 70_000);
    const lease = await leaseOf(cache, tagOf(0));
    assert.ok(lease.expiresInMs > 0 && lease.expiresInMs <= 10_000);
    isStored(await lease.put(bytes));
    assert.is(lease.expiresInMs, 0);
    isHit((await cache.getOrLease(tagOf(0))) as never, bytes);
    const range = { offsetBytes: 4096, lengthBytes: 8192 };
    isHit((await cache.getOrLease(tagOf(0), range)) as never, bytes.subarray(4096, 12_288));
    const into = new Uint8Array(SLOT_BYTES);
    const whole = await cache.getOrLease(tagOf(0), { into });
    assert.ok(whole.kind === "hit" && whole.bytes.buffer === into.buffer);
    isHit(await cache.get(tagOf(0)), bytes);
  });

  check("lets others wait for the bytes of one fetch, whatever part they want", async (cache) => {
    const bytes = bytesOf(2, SLOT_BYTES);
    const lease = await leaseOf(cache, tagOf(0));
    const waiting = await Promise.all([
      asked(cache, tagOf(0)),
      asked(cache, tagOf(0), { offsetBytes: 100, lengthBytes: 50 }),
      asked(cache, tagOf(0), { into: new Uint8Array(SLOT_BYTES) }),
    ]);
    assert.ok(waiting.every(({ now }) => now === undefined));
    isLease(await cache.getOrLease(tagOf(1)));
    assert.is((await cache.get(tagOf(0))).kind, "miss", "a plain get does not wait");
    isStored(await lease.put(bytes));
    const [first, part, third] = await Promise.all(waiting.map(({ later }) => later));
    isHit(first as never, bytes);
    isHit(part as never, bytes.subarray(100, 150));
    isHit(third as never, bytes);
    const { leases } = await cache.status();
    assert.equal({ held: leases.held, waiting: leases.waiting }, { held: 1, waiting: 0 });
  });

  check("passes a lease that is given up to the next, in order", async (cache) => {
    const lease = await leaseOf(cache, tagOf(0));
    const second = await asked(cache, tagOf(0));
    const third = await asked(cache, tagOf(0));
    await lease.giveUp();
    await lease.giveUp();
    assert.equal(await lease.put(bytesOf(0, 10)), STALE);
    const next = isLease(await second.later);
    await pause(20);
    assert.is(third.now, undefined);
    isStored(await next.put(bytesOf(3, 10)));
    isHit((await third.later) as never, bytesOf(3, 10));
  });

  check("ends a lease when its time is over, and stores what comes later all the same", async (cache) => {
    const lease = await leaseOf(cache, tagOf(0), { leaseMs: 50 });
    const beganMs = performance.now();
    const next = await leaseOf(cache, tagOf(0), { leaseMs: 60_000 });
    assert.ok(performance.now() - beganMs < 5000);
    await pause(50); // a client counts from when it heard of it
    assert.is(lease.expiresInMs, 0);
    assert.ok(next.expiresInMs > 10_000);
    const third = await asked(cache, tagOf(0));
    isStored(await lease.put(bytesOf(4, 10)));
    isHit((await third.later) as never, bytesOf(4, 10));
    isStored(await next.put(bytesOf(5, 10)));
    isHit(await cache.get(tagOf(0)), bytesOf(5, 10));
  });

  check("serves those who wait by a put without a lease, or through a file's handle", async (cache) => {
    await leaseOf(cache, tagOf(0));
    await leaseOf(cache, tagOf(1));
    const waiting = await Promise.all([asked(cache, tagOf(0)), asked(cache, tagOf(1))]);
    isStored(await cache.put(tagOf(0), bytesOf(6, 10)));
    isHit((await waiting[0]?.later) as never, bytesOf(6, 10));
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: BigInt(2 * SLOT_BYTES) });
    const again = await asked(cache, tagOf(1));
    await cookie.write(BigInt(SLOT_BYTES), bytesOf(7, SLOT_BYTES));
    isHit((await again.later) as never, bytesOf(7, SLOT_BYTES));
    // Acquiring the file with another size has invalidated it: this one took over then, and nobody put for it.
    const taken = await waiting[1]?.later;
    assert.ok(taken?.kind === "lease" || taken?.kind === "hit");
  });

  check("waits no longer than it was told to", async (cache) => {
    const lease = await leaseOf(cache, tagOf(0));
    assert.equal(await cache.getOrLease(tagOf(0), { waitMs: 0 }), { kind: "miss" });
    const beganMs = performance.now();
    assert.equal(await cache.getOrLease(tagOf(0), { waitMs: 100 }), { kind: "miss" });
    const tookMs = performance.now() - beganMs;
    assert.ok(tookMs >= 95 && tookMs < 3000, `took ${tookMs} ms`);
    isStored(await lease.put(bytesOf(8, 10)));
  });

  check("gives the fetch to the next when the block is removed or invalidated", async (cache) => {
    const volume = await cache.acquireVolume("nfs", "volume");
    const cookie = await volume.acquireCookie("file", { sizeBytes: 10n });
    const ends = [
      () => cache.remove(tagOf(0)),
      () => cookie.invalidate(),
      () => volume.invalidate(),
      () => cache.wipe(),
    ];
    for (const end of ends) {
      const lease = await leaseOf(cache, tagOf(0));
      const second = await asked(cache, tagOf(0));
      await end();
      const next = isLease(await second.later);
      // It may have been fetched before that.
      assert.equal(await lease.put(bytesOf(9, 10)), STALE);
      assert.is(await cache.has(tagOf(0)), false);
      isStored(await next.put(bytesOf(10, 10)));
      isHit(await cache.get(tagOf(0)), bytesOf(10, 10));
      await cache.remove(tagOf(0));
    }
  });

  check("counts a wait as what it ends as", async (cache) => {
    const before = await cache.status();
    const lease = await leaseOf(cache, tagOf(0));
    const waiting = await Promise.all(Array.from({ length: 5 }, () => asked(cache, tagOf(0))));
    assert.equal((await cache.status()).leases.waiting, 5);
    await lease.put(bytesOf(11, 10));
    for (const { later } of waiting) isHit((await later) as never, bytesOf(11, 10));
    const after = await cache.status();
    assert.is(after.hits - before.hits, 5);
    assert.is(after.misses - before.misses, 1);
    assert.is(after.leases.given - before.leases.given, 1);
  });

  check("tells those who wait when it is closed", async (cache) => {
    const lease = await leaseOf(cache, tagOf(0));
    const waiting = await asked(cache, tagOf(0), { waitMs: 300 });
    await cache.close();
    const result = await waiting.later;
    assert.ok(result.kind === "bypass" || result.kind === "miss", result.kind);
    if (result.kind === "bypass") assert.is(result.reason, "closing");
    await rejects(() => cache.getOrLease(tagOf(0)), "E_CLOSED");
    await rejects(() => lease.put(bytesOf(1, 1)), "E_CLOSED");
    await rejects(() => lease.giveUp(), "E_CLOSED");
  });

  check("refuses times, ranges, names and bytes of a lease out of their limits", async (cache) => {
    const bad = "E_ARGUMENT";
    const options: LeaseOptions[] = [
      { leaseMs: 0 },
      { leaseMs: -1 },
      { leaseMs: Number.NaN },
      { leaseMs: LEASE_MS_MAX + 1 },
      { waitMs: -1 },
      { waitMs: Number.NaN },
      { waitMs: LEASE_WAIT_MS_MAX + 1 },
      { offsetBytes: -1 },
      { lengthBytes: SLOT_BYTES + 1 },
      { into: new Uint8Array(1) },
    ];
    for (const each of options) await rejects(() => cache.getOrLease(tagOf(0), each), bad);
    await rejects(() => cache.getOrLease(tagOf(-1)), bad);
    await rejects(() => cache.getOrLease({ ...tagOf(0), fs: "" }), bad);
    const lease = await leaseOf(cache, tagOf(0));
    await rejects(() => lease.put(new Uint8Array(0)), bad);
    await rejects(() => lease.put(new Uint8Array(SLOT_BYTES + 1)), bad);
    isStored(await lease.put(bytesOf(1, 1)));
  });
}
