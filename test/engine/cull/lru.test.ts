import assert from "node:assert/strict";
import { suite } from "uvu";
import type { BlockCache } from "../../../engine/api.js";
import type { OpenCacheOptions } from "../../../engine/cache.js";
import { LruPolicy } from "../../../engine/cull/policies/lru.js";
import { VICTIM_LOOKS_MAX } from "../../../engine/cull/policy.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  pause,
  randomOf,
  store,
  tagOf,
  withPlace,
} from "../../support/temp-cache.js";

const lru = suite("recency");

const TAGS = 80;
const STEPS = 500;

interface Workload {
  readonly seed: number;
  readonly options: Partial<OpenCacheOptions>;
  readonly lengthBytes: (random: () => number) => number;
}

/** Blocks from the longest unused to the last used, as a list that is searched from its start. */
class NaiveLru {
  readonly order: Array<{ block: number; bytes: Buffer }> = [];
  culled = 0;

  use(block: number, bytes: Buffer): void {
    this.remove(block);
    this.order.push({ block, bytes });
  }

  bytes(block: number): Buffer | undefined {
    return this.order.find((one) => one.block === block)?.bytes;
  }

  remove(block: number): void {
    const place = this.order.findIndex((one) => one.block === block);
    if (place >= 0) this.order.splice(place, 1);
  }

  /** What is gone from the cache must be what was unused for longest. */
  async follow(cache: BlockCache): Promise<void> {
    const present = await Promise.all(this.order.map(({ block }) => cache.has(tagOf(block))));
    const gone = present.indexOf(true);
    const victims = this.order.splice(0, gone < 0 ? this.order.length : gone);
    this.culled += victims.length;
    assert.deepEqual(
      present.slice(victims.length),
      this.order.map(() => true),
      `a block left before ${victims.at(-1)?.block ?? "those"} that were unused for longer`,
    );
  }
}

async function follow({ seed, options, lengthBytes }: Workload): Promise<void> {
  const random = randomOf(seed);
  const model = new NaiveLru();
  await withPlace(async (directory) => {
    let cache = await openAt(directory, options);
    try {
      for (let step = 0; step < STEPS; step += 1) {
        const block = Math.floor(random() * TAGS);
        const choice = random();
        if (choice < 0.55) {
          const bytes = bytesOf(step, lengthBytes(random));
          await store(cache, tagOf(block), bytes);
          model.use(block, bytes);
        } else if (choice < 0.95) {
          const result = await cache.get(tagOf(block));
          await model.follow(cache);
          const bytes = model.bytes(block);
          if (result.kind === "hit") assert.ok(bytes === undefined || result.bytes.equals(bytes));
          else assert.equal(bytes, undefined);
          if (bytes !== undefined) model.use(block, bytes);
        } else {
          await cache.remove(tagOf(block));
          model.remove(block);
        }
        await model.follow(cache);
        if (step % 125 !== 124) continue;
        await pause(20);
        await model.follow(cache);
        await cache.close();
        await model.follow((cache = await openAt(directory, options)));
      }
      assert.ok(model.culled > 50, `${model.culled} were culled`);
      await pause(50); // the last puts may have started the culler
      await model.follow(cache);
      for (const { block, bytes } of model.order) expectHit(await cache.get(tagOf(block)), bytes);
    } finally {
      await cache.close();
    }
    await expectSound(directory);
  });
}

lru(
  "victims leave in exact order of their last use where slots are short, over clean stops too",
  async () => {
    await follow({
      seed: 11,
      options: { slotsMax: 32 },
      lengthBytes: (random) => 1 + Math.floor(random() * 20_000),
    });
  },
);

lru(
  "victims leave in exact order of their last use where bytes are short, over clean stops too",
  async () => {
    await follow({
      seed: 12,
      options: { capacityBytes: 8 * MIB },
      lengthBytes: (random) => 1 + Math.floor(random() * 256 * 1024),
    });
  },
);

lru("a cache of so many slots holds nearly so many blocks", async () => {
  await withPlace(async (directory) => {
    const cache = await openAt(directory, { slotsMax: 64 });
    for (let block = 0; block < 300; block += 1) await store(cache, tagOf(block), bytesOf(block, 100));
    const { slots } = await cache.status();
    assert.equal(slots.total, 64);
    assert.ok(slots.used >= 60, `${slots.used} are used`);
    await cache.close();
  });
});

lru("the policy passes over what may not leave, up to a bound", () => {
  const policy = new LruPolicy(new SlotLinks());
  for (let slot = 0; slot <= VICTIM_LOOKS_MAX; slot += 1) policy.insert(slot);
  assert.equal(
    policy.victim(() => true),
    0,
  );
  assert.equal(
    policy.victim((slot) => slot >= 7),
    7,
  );
  assert.equal(
    policy.victim((slot) => slot >= VICTIM_LOOKS_MAX),
    undefined,
  );
  policy.touch(0);
  assert.equal(
    policy.victim(() => true),
    1,
  );
  assert.deepEqual([...policy.order()].slice(-1), [0]);
  policy.clear();
  assert.equal(
    policy.victim(() => true),
    undefined,
  );
});

lru.run();
