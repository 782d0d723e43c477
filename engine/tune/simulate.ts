/** What a policy would have made of a trace: the policies of the engine over a cache without bytes. */
import { SLOT_BYTES } from "../../index/core/layout.js";
import { makePolicy } from "../cull/policies/make.js";
import { SimulatedCache } from "../cull/policies/simulated.js";
import { mixed } from "../cull/policy.js";
import type { PolicyName } from "../policy-names.js";
import type { BlockTrace } from "./block-trace.js";

/** Ratios are 0 to 1. */
export interface Simulation {
  readonly trace: string;
  readonly policy: PolicyName;
  readonly capacityBlocks: number;
  readonly hits: number;
  readonly misses: number;
  readonly touches: number;
  /** Touches of the block just touched, which hit under every policy. */
  readonly repeatTouches: number;
  readonly uniqueBlocks: number;
  readonly hitRatio: number;
  /** The same without the repeats: what a policy is judged by. */
  readonly hitRatioWithoutRepeats: number;
  /** Whole blocks for all misses. */
  readonly fetchedBytes: number;
}

/** @param capacityBlocks 1 or more; blocks that there are not take no memory. */
export function simulate(trace: BlockTrace, policy: PolicyName, capacityBlocks: number): Simulation {
  const { touches: list, name, repeatTouches, uniqueBlocks } = trace;
  const cache = new SimulatedCache(
    (parts) => makePolicy(policy, parts),
    Math.min(capacityBlocks, uniqueBlocks),
  );
  let hits = 0;
  // Mixing is one to one, so that no two blocks are taken for one.
  for (let at = 0; at < list.length; at += 1) if (cache.access(mixed(list[at] as number))) hits += 1;
  const touches = list.length;
  const misses = touches - hits;
  return {
    trace: name,
    policy,
    capacityBlocks,
    hits,
    misses,
    touches,
    repeatTouches,
    uniqueBlocks,
    hitRatio: hits / touches,
    hitRatioWithoutRepeats:
      touches === repeatTouches ? 1 : (hits - repeatTouches) / (touches - repeatTouches),
    fetchedBytes: misses * SLOT_BYTES,
  };
}
