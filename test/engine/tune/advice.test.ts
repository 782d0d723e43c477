import assert from "node:assert/strict";
import { suite } from "uvu";
import { POLICY_NAMES } from "../../../engine/cache.js";
import { mixed } from "../../../engine/cull/policy.js";
import { Advice } from "../../../engine/tune/advice.js";
import type { BlockTrace } from "../../../engine/tune/block-trace.js";
import { exactCurve } from "../../../engine/tune/curve.js";
import { simulate } from "../../../engine/tune/simulate.js";
import { bytesOf, store, tagOf, withCache, withCode, withPlace, openAt } from "../../support/temp-cache.js";
import { loop, popular, scans } from "./generated.js";

const advising = suite("advice");

/** Tells an Advice of every touch as the engine would; a slot is a block here. */
function watched(trace: BlockTrace, blocks: number): Advice {
  const capacity = () => ({ blocks, blockBytes: 4096 });
  const advice = new Advice({ policy: "lru", identityOf: mixed, capacity });
  const seen = new Set<number>();
  for (const block of trace.touches) {
    if (seen.has(block)) advice.hit(block);
    else advice.stored(block);
    seen.add(block);
  }
  return advice;
}

advising("the curve and the policies of the sample are near those of all traffic", () => {
  for (const trace of [scans(30_000, 200_000), loop(12_000, 100_000)]) {
    const blocks = Math.round(trace.uniqueBlocks / 5);
    const report = watched(trace, blocks).report();
    assert.equal(report.uses, trace.touches.length);
    assert.ok(report.sampledBlocks > 300 && report.sampledBlocks <= 2048, `${report.sampledBlocks}`);
    const exact = exactCurve(
      trace,
      report.curve.map(({ capacityBlocks }) => capacityBlocks),
    );
    const errors = report.curve.map(({ missRatio }, place) =>
      Math.abs(missRatio - (exact[place]?.missRatio ?? 9)),
    );
    const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
    assert.ok(mean < 0.03, `${trace.name}: ${errors.join(" ")}`);
    for (const { policy, missRatio } of report.policies) {
      const { misses, touches } = simulate(trace, policy, blocks);
      const off = Math.abs(missRatio - misses / touches);
      // How soon a choice is made depends on how much is seen.
      assert.ok(
        off < (policy === "adaptive" ? 0.12 : 0.06),
        `${trace.name}, ${policy}: ${missRatio} and ${misses / touches}`,
      );
    }
    assert.deepEqual(report.policies.map(({ policy }) => policy).toSorted(), [...POLICY_NAMES].toSorted());
    assert.deepEqual(
      report.sizes.map(({ capacityBlocks }) => capacityBlocks),
      [Math.round(blocks / 2), blocks, blocks * 2],
    );
  }
});

advising("a looping traffic is told that another policy, or a larger cache, would do", () => {
  const { policies, sizes } = watched(loop(12_000, 120_000), 8000).report();
  const missesOf = (name: string): number => policies.find(({ policy }) => policy === name)?.missRatio ?? 9;
  assert.ok(missesOf("lru") > 0.99 && missesOf("adaptive") < 0.6);
  assert.equal(policies.at(-1)?.missRatio, missesOf("lru"));
  assert.ok((sizes[2]?.missRatio ?? 9) < 0.2, "twice the capacity holds it all");
});

advising("popular blocks make the miss ratio of now what a simulation says", () => {
  const trace = popular(20_000, 100_000);
  const { sizes } = watched(trace, 2000).report();
  const { misses, touches } = simulate(trace, "lru", 2000);
  assert.ok(Math.abs((sizes[1]?.missRatio ?? 9) - misses / touches) < 0.1);
});

advising("a cache counts what was culled without ever having been hit", async () => {
  await withCache({ slotsMax: 32 }, async (cache) => {
    for (let block = 0; block < 20; block += 1) await store(cache, tagOf(block), bytesOf(block, 100));
    for (let block = 0; block < 10; block += 1) await cache.get(tagOf(block));
    for (let block = 20; block < 200; block += 1) await store(cache, tagOf(block), bytesOf(block, 100));
    const { culled, culledUnused, uses, policy, capacityBlocks } = await cache.tuneAdvice();
    assert.equal(culled, (await cache.status()).culled);
    assert.equal(culledUnused, culled - 10);
    assert.equal(uses, 20 + 10 + 180);
    assert.deepEqual([policy, capacityBlocks], ["lru", 32]);
    await cache.wipe();
    assert.equal((await cache.tuneAdvice()).uses, 0);
  });
  await withPlace(async (directory) => {
    const cache = await openAt(directory, { advice: false });
    await assert.rejects(cache.tuneAdvice(), withCode("E_OPERATION"));
    await cache.close();
    await assert.rejects(cache.tuneAdvice(), withCode("E_CLOSED"));
  });
});

advising.run();
