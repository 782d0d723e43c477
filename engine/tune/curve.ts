/** Miss-ratio curves of LRU: for each size of a cache the part of all uses that it would have missed. */
import { mixed } from "../cull/policy.js";
import type { BlockTrace } from "./block-trace.js";
import { Shards } from "./shards.js";
import { StackDistances } from "./stack-distances.js";

export interface CurvePoint {
  readonly capacityBlocks: number;
  /** 0 to 1. */
  readonly missRatio: number;
}

/** Points of a curve that is shown. */
export const CURVE_POINTS = 64;

/** The exact curve. @param capacities ascending. */
export function exactCurve(trace: BlockTrace, capacities: readonly number[]): CurvePoint[] {
  const { touches, uniqueBlocks } = trace;
  const distances = new StackDistances(uniqueBlocks);
  const uses = new Float64Array(uniqueBlocks);
  for (let at = 0; at < touches.length; at += 1) {
    const distance = distances.use(touches[at] as number);
    if (distance !== undefined) uses[distance] = (uses[distance] as number) + 1;
  }
  let hits = 0;
  let distance = 0;
  return capacities.map((capacityBlocks) => {
    for (; distance < Math.min(capacityBlocks, uniqueBlocks); distance += 1) hits += uses[distance] as number;
    return { capacityBlocks, missRatio: 1 - hits / touches.length };
  });
}

/** Estimated from a sample of `blocksMax` blocks at most, of which `rate` are looked at to begin with. */
export function sampledCurve(
  trace: BlockTrace,
  capacities: readonly number[],
  sample: { readonly blocksMax: number; readonly rate: number },
): CurvePoint[] {
  const shards = new Shards(sample);
  const { touches } = trace;
  for (let at = 0; at < touches.length; at += 1) {
    const identity = mixed(touches[at] as number);
    shards.uses += 1;
    if (identity < shards.end) shards.use(identity);
  }
  return capacities.map((capacityBlocks) => ({
    capacityBlocks,
    missRatio: shards.missRatio(capacityBlocks),
  }));
}

/** Sizes from one block to `blocks`, evenly spread. */
export function evenCapacities(blocks: number, points: number = CURVE_POINTS): number[] {
  const count = Math.max(1, Math.min(points, blocks));
  return Array.from({ length: count }, (_, place) => Math.max(1, Math.round((blocks * (place + 1)) / count)));
}
