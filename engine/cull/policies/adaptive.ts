/**
 * The window policy with the rule that would have done best of late. Shadows say which that is: for each rule a cache
 * without bytes, which sees the uses of a sample of the blocks. All rules work on the same lists, so that another one is
 * an assignment; a window of another size grows or shrinks with the victims that follow. 18 bytes a slot beyond LRU, and
 * some 60 KB.
 */
import type { CullPolicy, MayLeave, PolicyParts } from "../policy.js";
import { FrequencySketch } from "./frequency-sketch.js";
import { SimulatedCache } from "./simulated.js";
import { type Rule, WindowPolicy } from "./window.js";

/** The first stands until another one has proved itself. The last is LRU: the window is all there is. */
const RULES: readonly Rule[] = [
  { admission: "seen", windowShare: 0.1 },
  { admission: "frequent", windowShare: 0.05 },
  { admission: "frequent", windowShare: 0.6 },
  { admission: "frequent", windowShare: 1 },
];

/** Blocks that a shadow has at most; of caches no larger every block is in the sample. */
const SHADOW_SLOTS_MAX = 512;
/** The choice is looked at after so many uses for each block of a shadow. */
const USES_A_SLOT = 4;
/** What remains of earlier hits at each look. */
const DECAY = 0.9;
/** Another rule has to bring so much more, as a part of all uses. */
const MARGIN = 0.01;
const TWO_32 = 2 ** 32;

interface Shadow {
  readonly rule: Rule;
  readonly cache: SimulatedCache;
  /** Hits of late, earlier ones counting less. */
  hits: number;
}

export class AdaptivePolicy implements CullPolicy {
  readonly name = "adaptive";
  readonly #main: WindowPolicy;
  readonly #sketch = new FrequencySketch();
  readonly #identityOf: PolicyParts["identityOf"];
  readonly #shadows: readonly Shadow[];
  #current: Shadow;
  /** Blocks with an identity below this are in the sample. */
  #sampleEnd = TWO_32;
  /** Uses in the sample since the last look, and those before it as the hits count. */
  #uses = 0;
  #usesBefore = 0;
  #shadowSlots = SHADOW_SLOTS_MAX;

  constructor(parts: PolicyParts) {
    this.#identityOf = parts.identityOf;
    this.#shadows = RULES.map((rule) => ({ rule, cache: this.#newCache(rule), hits: 0 }));
    this.#current = this.#shadows[0] as Shadow;
    this.#main = new WindowPolicy(parts, this.#sketch, this.#current.rule);
  }

  insert(slot: number): void {
    this.#note(this.#identityOf(slot));
    this.#main.insert(slot);
    this.#measure();
  }

  insertAll(slots: Uint32Array): void {
    this.#main.insertAll(slots);
    this.#measure();
  }

  touch(slot: number): void {
    this.#note(this.#identityOf(slot));
    this.#main.touch(slot);
  }

  evict(slot: number): void {
    const shadowSlots = Math.max(1, Math.round(this.#main.slots * (this.#sampleEnd / TWO_32)));
    if (shadowSlots !== this.#shadowSlots) {
      this.#shadowSlots = shadowSlots;
      for (const { cache } of this.#shadows) cache.capacityBlocks = shadowSlots;
    }
    this.#main.evict(slot);
  }

  remove(slot: number): void {
    this.#main.remove(slot);
  }

  victim(mayLeave: MayLeave): number | undefined {
    return this.#main.victim(mayLeave);
  }

  order(): Iterable<number> {
    return this.#main.order();
  }

  restored(): void {
    this.#main.restored();
  }

  clear(): void {
    this.#main.clear();
    this.#sketch.clear();
    for (const { cache } of this.#shadows) cache.removeWhere(() => true);
  }

  #newCache(rule: Rule): SimulatedCache {
    const newPolicy = (parts: PolicyParts): CullPolicy => new WindowPolicy(parts, this.#sketch, rule);
    return new SimulatedCache(newPolicy, SHADOW_SLOTS_MAX);
  }

  #note(identity: number): void {
    this.#sketch.add(identity);
    if (identity >= this.#sampleEnd) return;
    for (const shadow of this.#shadows) if (shadow.cache.access(identity)) shadow.hits += 1;
    this.#uses += 1;
    if (this.#uses >= USES_A_SLOT * this.#shadowSlots) this.#choose();
  }

  #choose(): void {
    const uses = this.#uses + this.#usesBefore;
    let best = this.#current;
    for (const shadow of this.#shadows) if (shadow.hits > best.hits) best = shadow;
    if (best.hits > this.#current.hits + MARGIN * uses + 1) {
      this.#current = best;
      this.#main.rule = best.rule;
    }
    for (const shadow of this.#shadows) shadow.hits *= DECAY;
    this.#usesBefore = uses * DECAY;
    this.#uses = 0;
  }

  /** Fits sketch and sample to the number of blocks. */
  #measure(): void {
    const { slots } = this.#main;
    this.#sketch.fit(slots);
    const sampled = slots * (this.#sampleEnd / TWO_32);
    if (sampled > SHADOW_SLOTS_MAX) this.#thin();
    else if (sampled < SHADOW_SLOTS_MAX / 4 && this.#sampleEnd < TWO_32) this.#sampleEnd *= 2;
  }

  #thin(): void {
    while (this.#main.slots * (this.#sampleEnd / TWO_32) > SHADOW_SLOTS_MAX) this.#sampleEnd /= 2;
    const end = this.#sampleEnd;
    for (const { cache } of this.#shadows) cache.removeWhere((identity) => identity >= end);
  }
}
