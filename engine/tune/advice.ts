/**
 * A shadow of the cache's own traffic in fixed memory, about 1 MB: the uses of a sample of the blocks go into a miss-ratio
 * curve (shards.ts) and into caches without bytes, one for each policy, and two for half and double the capacity.
 */
import { CacheError } from "../../index/core/errors.js";
import { makePolicy } from "../cull/policies/make.js";
import { SimulatedCache } from "../cull/policies/simulated.js";
import { SlotBytes } from "../cull/slot-bytes.js";
import { POLICY_NAMES, type PolicyName } from "../policy-names.js";
import type { AdvicePoint, TuneAdvice } from "../tune-api.js";
import { Shards } from "./shards.js";

export type { TuneAdvice } from "../tune-api.js";

/** Blocks in the sample at most; of the first blocks so many are in it. */
const SAMPLE = { blocksMax: 2048, rate: 1 / 32 };
/** Counts weigh half after so many uses of the sample, so that the advice is on recent traffic. */
const FADE_USES = 1_000_000;
/** The sizes of the shadows follow the cache after so many uses of the sample. */
const RESIZE_USES = 64;
/** Sizes of the curve, as parts of the capacity. */
const CURVE_FACTORS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1, 3 / 2, 2, 3, 4, 8];
const SIZE_FACTORS = [1 / 2, 1, 2] as const;

interface Shadow {
  readonly policy: PolicyName;
  /** Of the capacity. */
  readonly factor: number;
  readonly cache: SimulatedCache;
  misses: number;
}

export interface AdviceParts {
  readonly policy: PolicyName;
  readonly identityOf: (slot: number) => number;
  /** Blocks that have room now, 1 or more, and what one takes. */
  readonly capacity: () => { readonly blocks: number; readonly blockBytes: number };
}

export class Advice {
  readonly #parts: AdviceParts;
  readonly #shards = new Shards(SAMPLE);
  readonly #shadows: readonly Shadow[];
  /** By slot: 1 if its block was hit since it was stored. */
  readonly #hit = new SlotBytes();
  /** Uses of the sample that count, and since the sizes were looked at. */
  #sampled = 0;
  #sinceResize = RESIZE_USES;
  #culled = 0;
  #culledUnused = 0;

  constructor(parts: AdviceParts) {
    this.#parts = parts;
    const { policy } = parts;
    const wanted = [
      ...POLICY_NAMES.map((name) => ({ policy: name, factor: 1 })),
      ...SIZE_FACTORS.filter((factor) => factor !== 1).map((factor) => ({ policy, factor })),
    ];
    this.#shadows = wanted.map((one) => ({
      ...one,
      misses: 0,
      cache: new SimulatedCache((own) => makePolicy(one.policy, own), SAMPLE.blocksMax),
    }));
  }

  /** The block in this slot was hit. */
  hit(slot: number): void {
    this.#hit.reserve(slot); // slots of an earlier session were never stored in this one
    this.#hit.set(slot, 1);
    this.#use(slot);
  }

  /** A block was stored in this slot. */
  stored(slot: number): void {
    this.#hit.reserve(slot);
    this.#hit.set(slot, 0);
    this.#use(slot);
  }

  /** The block in this slot was chosen to go. */
  culled(slot: number): void {
    this.#hit.reserve(slot);
    this.#culled += 1;
    if (this.#hit.get(slot) === 0) this.#culledUnused += 1;
  }

  report(): TuneAdvice {
    const { blocks, blockBytes } = this.#parts.capacity();
    const { policy } = this.#parts;
    const shards = this.#shards;
    const own = (factor: number): AdvicePoint => {
      const shadow = this.#shadows.find((one) => one.policy === policy && one.factor === factor);
      return { capacityBlocks: scaled(blocks, factor), missRatio: this.#missRatio(shadow as Shadow) };
    };
    const policies = this.#shadows
      .filter(({ factor }) => factor === 1)
      .map((shadow) => ({ policy: shadow.policy, missRatio: this.#missRatio(shadow) }));
    return {
      policy,
      capacityBlocks: blocks,
      blockBytes,
      uses: Math.round(shards.uses),
      sampledBlocks: shards.blocks,
      sampleRate: shards.rate,
      curve: CURVE_FACTORS.map((factor) => {
        const capacityBlocks = scaled(blocks, factor);
        return { capacityBlocks, missRatio: shards.missRatio(capacityBlocks) };
      }),
      sizes: SIZE_FACTORS.map(own),
      policies: policies.toSorted((a, b) => a.missRatio - b.missRatio),
      culled: this.#culled,
      culledUnused: this.#culledUnused,
    };
  }

  #use(slot: number): void {
    this.#shards.uses += 1;
    const identity = this.#parts.identityOf(slot);
    if (identity < this.#shards.end) this.#watch(identity);
  }

  #watch(identity: number): void {
    this.#sinceResize += 1;
    if (this.#shards.use(identity)) this.#follow();
    else if (this.#sinceResize > RESIZE_USES) this.#resize();
    this.#sampled += 1;
    for (const shadow of this.#shadows) if (!shadow.cache.access(identity)) shadow.misses += 1;
    if (this.#sampled < FADE_USES) return;
    this.#shards.fade();
    this.#sampled /= 2;
    for (const shadow of this.#shadows) shadow.misses /= 2;
  }

  /** The sample has become smaller. */
  #follow(): void {
    const { end } = this.#shards;
    for (const { cache } of this.#shadows) cache.removeWhere((identity) => identity >= end);
    this.#resize();
  }

  #resize(): void {
    this.#sinceResize = 0;
    const sampled = this.#parts.capacity().blocks * this.#shards.rate;
    for (const { cache, factor } of this.#shadows) cache.capacityBlocks = Math.round(sampled * factor);
  }

  #missRatio({ misses }: Shadow): number {
    return this.#sampled === 0 ? 1 : misses / this.#sampled;
  }
}

/** @throws {CacheError} E_OPERATION where nothing is watched. */
export function reportOf(advice: Advice | undefined): TuneAdvice {
  if (advice !== undefined) return advice.report();
  throw new CacheError("E_OPERATION", "Cannot advise: the cache was opened without");
}

function scaled(blocks: number, factor: number): number {
  return Math.max(1, Math.round(blocks * factor));
}
