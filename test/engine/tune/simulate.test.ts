import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import { POLICY_NAMES, type PolicyName } from "../../../engine/cache.js";
import { mixed } from "../../../engine/cull/policy.js";
import { type BlockTrace, loadTrace } from "../../../engine/tune/block-trace.js";
import { evenCapacities, exactCurve, sampledCurve } from "../../../engine/tune/curve.js";
import { simulate } from "../../../engine/tune/simulate.js";
import { withPlace } from "../../support/temp-cache.js";
import { goldenTrace } from "../trace/trace-cases.js";
import { naivePolicy } from "../cull/naive-policies.js";
import { drift, loop, popular, scans } from "./generated.js";

const tune = suite("simulations");

/** Hits by a naive search, or undefined where there is no such. */
function naiveHits({ touches }: BlockTrace, name: PolicyName, capacityBlocks: number): number | undefined {
  const naive = naivePolicy(name);
  if (naive === undefined) return undefined;
  const slotOf = new Map<number, number>();
  const blockOf = new Map<number, number>();
  const vacant = Array.from({ length: capacityBlocks }, (_, slot) => slot);
  let hits = 0;
  for (const block of touches) {
    const slot = slotOf.get(block);
    if (slot !== undefined) {
      hits += 1;
      naive.touch(slot);
      continue;
    }
    if (vacant.length === 0) {
      const victim = naive.victim(() => true) as number;
      naive.evict(victim);
      slotOf.delete(blockOf.get(victim) as number);
      vacant.push(victim);
    }
    const free = vacant.pop() as number;
    slotOf.set(block, free);
    blockOf.set(free, block);
    naive.insert(free, mixed(block));
  }
  return hits;
}

/** Blocks 0, 0, 1, 0 of one file, one of another, and 1 again. */
const RECORDED = { touches: [0, 0, 1, 0, 2, 1], uniqueBlocks: 3, repeatTouches: 1 };

const GENERATED = [popular(400, 4000), loop(120, 2000), scans(200, 4000), drift(150, 4000)];

for (const trace of GENERATED) {
  tune(`hits on ${trace.name} are those of a naive search, at every size`, () => {
    for (const policy of POLICY_NAMES) {
      for (const capacityBlocks of [1, 2, 7, 40, 100]) {
        const { hits, misses, touches, fetchedBytes } = simulate(trace, policy, capacityBlocks);
        const wanted = naiveHits(trace, policy, capacityBlocks);
        if (wanted !== undefined) assert.equal(hits, wanted, `${policy} ${capacityBlocks}`);
        assert.equal(hits + misses, touches);
        assert.equal(fetchedBytes, misses * 256 * 1024);
      }
      const all = simulate(trace, policy, trace.uniqueBlocks + 5);
      assert.equal(all.misses, trace.uniqueBlocks, `${policy} misses each block once where all have room`);
    }
  });
}

tune("the exact curve is what LRU does at each size", () => {
  for (const trace of GENERATED) {
    const capacities = evenCapacities(trace.uniqueBlocks, 9);
    for (const { capacityBlocks, missRatio } of exactCurve(trace, capacities)) {
      const { misses, touches } = simulate(trace, "lru", capacityBlocks);
      assert.ok(Math.abs(missRatio - misses / touches) < 1e-9, `${trace.name} at ${capacityBlocks}`);
    }
  }
});

/** The mean of what a sampled curve is off. */
function meanError(trace: BlockTrace, sample: { blocksMax: number; rate: number }): number {
  const capacities = evenCapacities(trace.uniqueBlocks, 100);
  const exact = exactCurve(trace, capacities);
  const sampled = sampledCurve(trace, capacities, sample);
  const errors = exact.map(({ missRatio }, place) => Math.abs(missRatio - (sampled[place]?.missRatio ?? 9)));
  return errors.reduce((sum, error) => sum + error, 0) / errors.length;
}

tune("a curve from a sample is right where nothing is left out, and near it in fixed memory", () => {
  for (const trace of GENERATED) {
    const error = meanError(trace, { blocksMax: 10_000, rate: 1 });
    assert.ok(error < 0.02, `${trace.name}: ${error}`);
  }
  for (const trace of [popular(30_000, 150_000), scans(20_000, 150_000)]) {
    assert.ok(trace.uniqueBlocks > 10_000);
    const error = meanError(trace, { blocksMax: 4096, rate: 1 });
    assert.ok(error <= 0.02, `${trace.name}: ${error}`);
  }
});

tune("a recording counts block by block, as text does", async () => {
  await withPlace(async (file) => {
    fs.writeFileSync(file, goldenTrace());
    const { touches, uniqueBlocks, repeatTouches } = await loadTrace(file);
    assert.deepEqual({ touches: [...touches], uniqueBlocks, repeatTouches }, RECORDED);
  });
});

tune("adaptive is near the best of LRU, SIEVE and S3-FIFO on traffic of every kind", () => {
  for (const trace of [popular(4000, 40_000), loop(1500, 40_000), scans(2000, 40_000), drift(1500, 40_000)]) {
    for (const capacityBlocks of [40, 200, 800]) {
      const ratio = (policy: PolicyName): number => simulate(trace, policy, capacityBlocks).hitRatio;
      const best = Math.max(ratio("lru"), ratio("sieve"), ratio("s3fifo"));
      const off = 100 * (best - ratio("adaptive"));
      assert.ok(off < 1, `${trace.name} at ${capacityBlocks}: ${off} points behind`);
    }
  }
  const looped = loop(1500, 40_000);
  assert.equal(simulate(looped, "lru", 800).hits, 0);
  assert.ok(simulate(looped, "adaptive", 800).hitRatio > 0.4, "loops are where it pays");
});

/** Real traces are no part of the project: a directory of them may be named, with what each policy has to hit. */
const TRACES = process.env["TAGCACHE_TRACES"] ?? "";
const real = (name: string, body: () => Promise<void>): void => {
  if (TRACES === "") tune.skip(name, body);
  else tune(name, body);
};
real("hits on real traces are to the unit what is expected", async () => {
  const [, ...rows] = fs.readFileSync(path.join(TRACES, "expected.tsv"), "utf8").trim().split("\n");
  const loaded = new Map<string, BlockTrace>();
  for (const row of rows) {
    const [name, policy, capacity, , hits] = row.split("\t") as [string, string, string, string, string];
    if (policy !== "lru" && policy !== "fifo" && policy !== "sieve") continue;
    const trace = loaded.get(name) ?? (await loadTrace(path.join(TRACES, `${name}.csv.gz`)));
    loaded.set(name, trace);
    assert.equal(simulate(trace, policy, Number(capacity)).hits, Number(hits), row);
  }
  for (const trace of loaded.values()) {
    if (trace.uniqueBlocks <= 10_000) continue;
    const error = meanError(trace, { blocksMax: 4096, rate: 1 / 8 });
    assert.ok(error <= 0.01, `${trace.name}: ${error}`);
  }
});

tune.run();
