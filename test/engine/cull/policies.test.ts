import assert from "node:assert/strict";
import { suite } from "uvu";
import { type PolicyName, POLICY_NAMES } from "../../../engine/cache.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import { makePolicy } from "../../../engine/cull/policies/make.js";
import { type CullPolicy, mixed } from "../../../engine/cull/policy.js";
import { SlotBytes } from "../../../engine/cull/slot-bytes.js";
import { Ranking } from "../../../engine/cull/ranking.js";
import { Shares } from "../../../engine/cull/shares.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import { PAGE_BYTES } from "../../../index/core/layout.js";
import {
  MIB,
  bytesOf,
  expectHit,
  expectSound,
  openAt,
  randomOf,
  store,
  tagOf,
  withCode,
  withPlace,
} from "../../support/temp-cache.js";
import { naivePolicy } from "./naive-policies.js";

const policies = suite("policies");

/** Blocks in slots, as the engine would keep them, over a policy by itself. */
class Bench {
  readonly policy: CullPolicy;
  readonly blockOf = new Map<number, number>();
  readonly slotOf = new Map<number, number>();
  readonly #vacant: number[] = [];

  constructor(name: PolicyName, slots: number) {
    for (let slot = slots - 1; slot >= 0; slot -= 1) this.#vacant.push(slot);
    const identityOf = (slot: number): number => mixed(this.blockOf.get(slot) as number);
    this.policy = makePolicy(name, { links: new SlotLinks(), notes: new SlotBytes(), identityOf });
  }

  get full(): boolean {
    return this.#vacant.length === 0;
  }

  store(block: number): number {
    const slot = this.#vacant.pop() as number;
    this.blockOf.set(slot, block);
    this.slotOf.set(block, slot);
    this.policy.insert(slot);
    return slot;
  }

  leave(slot: number, how: "evict" | "remove"): void {
    this.policy[how](slot);
    this.slotOf.delete(this.blockOf.get(slot) as number);
    this.blockOf.delete(slot);
    this.#vacant.push(slot);
  }
}

for (const name of POLICY_NAMES) {
  policies(
    `${name}: chooses as a naive search would, whatever is stored, hit, moved, removed and read`,
    () => {
      for (let seed = 1; seed <= 30; seed += 1) {
        const random = randomOf(seed);
        const slots = 1 + Math.floor(random() * 40);
        const bench = new Bench(name, slots);
        const naive = naivePolicy(name);
        const blocks = slots * (1 + Math.floor(random() * 4));
        for (let step = 0; step < 1500; step += 1) {
          const block = Math.floor(random() ** 2 * blocks);
          const slot = bench.slotOf.get(block);
          const choice = random();
          if (slot !== undefined && choice < 0.9) {
            bench.policy.touch(slot);
            naive?.touch(slot);
          } else if (slot !== undefined) {
            bench.leave(slot, "remove");
            naive?.remove(slot);
            if (choice > 0.95) naive?.insert(bench.store(block), mixed(block)); // rewritten, in another slot
          } else {
            while (bench.full || random() < 0.02) {
              const reading = random() < 0.2 ? Math.floor(random() * slots) : -1;
              const mayLeave = (one: number): boolean => one !== reading;
              const victim = bench.policy.victim(mayLeave);
              assert.equal(bench.policy.victim(mayLeave), victim, "asked twice");
              if (naive !== undefined)
                assert.equal(victim, naive.victim(mayLeave), `seed ${seed} step ${step}`);
              if (victim === undefined) {
                assert.ok([...bench.blockOf.keys()].every((one) => one === reading));
                break;
              }
              bench.leave(victim, "evict");
              naive?.evict(victim);
            }
            if (!bench.full) naive?.insert(bench.store(block), mixed(block));
          }
          if (step % 50 !== 0) continue;
          const order = [...bench.policy.order()];
          assert.deepEqual(
            order.toSorted((a, b) => a - b),
            [...bench.blockOf.keys()].toSorted((a, b) => a - b),
            "the order names each slot once",
          );
        }
      }
    },
  );

  policies(`${name}: what it puts last in its order outlives a restart and new blocks`, () => {
    const slots = 1000;
    const bench = new Bench(name, slots);
    for (let block = 0; block < slots; block += 1) bench.store(block);
    const old = [...bench.policy.order()];
    const again = new Bench(name, slots);
    for (const slot of old) again.store(bench.blockOf.get(slot) as number);
    again.policy.restored();
    assert.deepEqual(
      [...again.policy.order()].map((slot) => again.blockOf.get(slot)),
      old.map((slot) => bench.blockOf.get(slot)),
    );
    for (let block = slots; block < slots + 90; block += 1) {
      again.leave(again.policy.victim(() => true) as number, "evict");
      again.store(block);
    }
    for (const slot of old.slice(90)) assert.ok(again.slotOf.has(bench.blockOf.get(slot) as number));
  });

  policies(`${name}: shares and pins hold`, () => {
    const table = new SlotTable();
    const links = new SlotLinks();
    const notes = new SlotBytes();
    const identityOf = (slot: number): number => mixed(slot);
    const budget = () => ({
      pinBytesMax: 20 * PAGE_BYTES,
      pinSlotsMax: 1000,
      holdBytesMax: 0,
      holdSlotsMax: 0,
    });
    const ranking = new Ranking(table, () => makePolicy(name, { links, notes, identityOf }), budget);
    const rules = [
      { fs: "kept", minPercent: 20 },
      { fs: "capped", maxPercent: 30 },
    ];
    const shares = new Shares(rules, () => 100 * PAGE_BYTES);
    ranking.regroup(shares, () => 0);
    const random = randomOf(3);
    const shareOf: number[] = [];
    for (let slot = 0; slot < 100; slot += 1) {
      table.append(STATE.used);
      table.setPages(slot, 1);
      shareOf.push(slot < 20 ? 1 : slot < 60 ? 2 : 0);
      ranking.insert(slot, shareOf[slot]);
    }
    const pinned = new Set<number>();
    for (let slot = 0; slot < 100; slot += 4) if (ranking.pin(slot)) pinned.add(slot);
    assert.equal(pinned.size, 20);
    for (let use = 0; use < 1000; use += 1) ranking.touch(Math.floor(random() * 100));
    assert.equal([...ranking.order()].length, 100);
    assert.deepEqual(
      [...ranking.order()].slice(80).toSorted((a, b) => a - b),
      [...pinned].toSorted((a, b) => a - b),
    );
    const gone: number[] = [];
    for (let slot = ranking.victim(() => true); slot !== undefined; slot = ranking.victim(() => true)) {
      ranking.evict(slot);
      gone.push(slot);
    }
    assert.equal(gone.length, 80);
    assert.ok(gone.every((slot) => !pinned.has(slot)));
    assert.ok(
      gone.slice(0, 10).every((slot) => shareOf[slot] === 2),
      "over its maximum",
    );
    const firstKept = gone.findIndex((slot) => shareOf[slot] === 1);
    assert.ok(
      gone.slice(firstKept).every((slot) => shareOf[slot] === 1),
      "at its minimum",
    );
    for (const slot of pinned) ranking.unpin(slot);
    for (let slot = ranking.victim(() => true); slot !== undefined; slot = ranking.victim(() => true)) {
      ranking.evict(slot);
      pinned.delete(slot);
    }
    assert.equal(pinned.size, 0);
  });

  policies(`${name}: a cache keeps its promises with it, over a clean stop too`, async () => {
    await withPlace(async (directory) => {
      const options = { slotsMax: 48, capacityBytes: 16 * MIB, policy: name };
      let cache = await openAt(directory, options);
      const random = randomOf(17);
      for (let step = 0; step < 400; step += 1) {
        const block = Math.floor(random() ** 2 * 120);
        const found = await cache.get(tagOf(block));
        if (found.kind === "hit") expectHit(found, bytesOf(block, 3000));
        else if (found.kind === "miss") await store(cache, tagOf(block), bytesOf(block, 3000));
        if (step % 40 === 0) await store(cache, tagOf(block), bytesOf(block, 3000));
        if (step !== 250) continue;
        const { slots } = await cache.status();
        await cache.close();
        cache = await openAt(directory, options);
        const { start, policy } = await cache.status();
        assert.equal(start.kind, "clean");
        assert.equal(policy, name);
        assert.ok(slots.used > 30);
      }
      const { culled, hits, slots } = await cache.status();
      assert.ok(culled > 10 && hits > 30 && slots.total <= 48, `${culled} ${hits} ${slots.total}`);
      await cache.close();
      await expectSound(directory);
    });
  });
}

policies("a policy that there is not is refused before anything is touched", async () => {
  await withPlace(async (directory) => {
    await assert.rejects(
      openAt(directory, { policy: "mru" as PolicyName }),
      withCode("E_CONFIG", /Cannot use policy mru: want one of lru, fifo, sieve, s3fifo, adaptive/),
    );
  });
});

policies.run();
