/**
 * A drive that takes its time over one call: its client waits no longer than it said, the others are served meanwhile, and
 * when the call ends all is as it should be. 10 s in make torture, less here.
 */
import assert from "node:assert/strict";
import { suite } from "uvu";
import { setTimeout as sleep } from "node:timers/promises";
import type { CacheClient } from "../../engine/daemon/client.js";
import { startTestServer } from "../daemon/with-server.js";
import { roundsOf } from "../support/effort.js";
import { tried } from "./ride.js";
import { FaultyIo, type Operation } from "../support/faulty-io.js";
import {
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  startOf,
  store,
  tagOf,
  until,
  withPlace,
} from "../support/temp-cache.js";

const slow = suite("a slow drive");
const HELD_MS = roundsOf(1) > 1 ? 10_000 : 6000;
const DEADLINE_MS = 1000;
/** A busy machine is late as well, but not so late that the call has ended. */
const ANSWER_MS_MAX = HELD_MS - 1000;
const BYTES = 50_000;
const TIMEOUT = { kind: "bypass", reason: "timeout" } as const;
const CALLS = [
  "open",
  "read",
  "write",
  "fdatasync",
  "ftruncate",
  "unlink",
] as const satisfies readonly Operation[];
const SLOTS_LEFT = 16;

async function inDeadline<T>(answer: Promise<T>): Promise<T> {
  const beganMs = performance.now();
  const value = await answer;
  const tookMs = performance.now() - beganMs;
  assert.ok(tookMs < ANSWER_MS_MAX, `an answer took ${tookMs} ms`);
  return value;
}

/** On a busy machine the first try may be too hasty. */
async function connected(connect: () => Promise<CacheClient>): Promise<CacheClient> {
  let client: CacheClient | undefined;
  await until(async () => (client = await connect().catch(() => undefined)) !== undefined, 20_000);
  return client as CacheClient;
}

async function rideSlow(operation: (typeof CALLS)[number]): Promise<void> {
  await withPlace(async (directory) => {
    const first = await openAt(directory);
    for (const block of [0, 1]) await store(first, tagOf(block), bytesOf(block, BYTES));
    await first.close();
    const io = new FaultyIo();
    const cache = await openAt(directory, { io });
    const server = await startTestServer({ cache });
    const client = await connected(() => server.connect(DEADLINE_MS));
    await store(cache, tagOf(5), bytesOf(5, BYTES));
    if (operation === "unlink")
      for (let block = 10; block < 10 + SLOTS_LEFT; block += 1)
        await store(cache, tagOf(block), bytesOf(block, BYTES));
    const hold = io.hold(operation);
    try {
      const [got, put] = await Promise.all([
        inDeadline(client.get(tagOf(0))), // cold: it opens and reads
        inDeadline(client.put(tagOf(6), bytesOf(6, BYTES))),
      ]);
      let culling: Promise<unknown> | undefined;
      if (operation === "ftruncate") culling = client.cull({ usedBytesMax: BYTES });
      if (operation === "unlink")
        culling = tried("configure", cache.configure({ slotsMax: SLOTS_LEFT }), 3 * HELD_MS);
      await hold.reached;
      const held = sleep(HELD_MS).then(() => hold.release());
      if (operation === "read") assert.deepEqual(got, TIMEOUT);
      if (operation === "write") assert.deepEqual(put, TIMEOUT);
      if (operation === "open") assert.ok(got.kind === "bypass" || put.kind === "bypass");
      // The others are served: this client once it has seen that somebody answers.
      await until(async () => (await inDeadline(client.get(tagOf(99)))).kind === "miss", ANSWER_MS_MAX);
      await held;
      await culling;
      await until(async () => (await client.put(tagOf(7), bytesOf(7, BYTES))).kind === "stored", 20_000);
      expectHit(await cache.get(tagOf(7)), bytesOf(7, BYTES));
    } finally {
      hold.release();
      await client.close();
      await server.done();
      await cache.close();
    }
    assert.equal((await startOf(directory)).kind, "clean");
    await expectSound(directory);
  });
}

slow(`one call that takes ${HELD_MS / 1000} s holds up nobody beyond the deadline`, async () => {
  await Promise.all(CALLS.map(rideSlow));
});

slow.run();
