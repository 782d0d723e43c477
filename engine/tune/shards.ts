/**
 * SHARDS (Waldspurger and others, FAST 2015): the miss-ratio curve of LRU from the uses of a sample of the blocks, chosen
 * by their identity, in fixed memory. When the sample has too many blocks, those with the highest identities leave it, and
 * what was counted weighs less. What the sample missed or saw too often of all uses is put to the shortest distances.
 */
import { IdentityTable, NO_PLACE } from "../cull/policies/identity-table.js";
import { StackDistances } from "./stack-distances.js";

const TWO_32 = 2 ** 32;
/** Distances are counted in classes: each power of two has so many. */
const CLASSES_A_DOUBLING = 64;
const CLASSES = 48 * CLASSES_A_DOUBLING;
/** So much of the sample stays when it is full. */
const KEPT_SHARE = 7 / 8;

export class Shards {
  /** Only uses of blocks with an identity below this are to be told; it goes down, never up. */
  end: number;
  /** All uses, in the sample or not: counted by the caller, because that is cheaper than a call. */
  uses = 0;
  readonly #blocksMax: number;
  readonly #places: IdentityTable;
  readonly #distances: StackDistances;
  readonly #vacant: number[] = [];
  #placesUsed = 0;
  /** Uses that each class stands for, in the sample, as it is now. */
  readonly #counts = new Float64Array(CLASSES);
  #counted = 0;

  /** @param rate the part of all blocks that is looked at to begin with, more than 0 and at most 1. */
  constructor({ blocksMax, rate }: { readonly blocksMax: number; readonly rate: number }) {
    this.#blocksMax = blocksMax;
    this.#places = new IdentityTable(blocksMax + 1);
    this.#distances = new StackDistances(blocksMax + 1);
    this.end = Math.max(1, Math.round(TWO_32 * rate));
  }

  get rate(): number {
    return this.end / TWO_32;
  }

  /** Blocks in the sample. */
  get blocks(): number {
    return this.#distances.count;
  }

  /** A use of a block of the sample. @returns whether the sample has become smaller. */
  use(identity: number): boolean {
    let place = this.#places.find(identity);
    if (place === NO_PLACE) {
      place = this.#vacant.pop() ?? this.#placesUsed++;
      this.#places.set(place, identity);
    }
    const distance = this.#distances.use(place);
    this.#counted += 1;
    if (distance !== undefined) {
      const at = classOf(distance / this.rate);
      this.#counts[at] = (this.#counts[at] as number) + 1;
    }
    if (this.#distances.count <= this.#blocksMax) return false;
    this.#thin();
    return true;
  }

  /** Of all uses that count, the part that an LRU cache of so many blocks would have missed. */
  missRatio(capacityBlocks: number): number {
    const all = this.uses * this.rate;
    if (all === 0) return 1;
    let hits = all - this.#counted;
    for (let at = 0; at < CLASSES && middleOf(at) < capacityBlocks; at += 1)
      hits += this.#counts[at] as number;
    return Math.min(1, Math.max(0, 1 - hits / all));
  }

  /** What was counted so far weighs half as much. */
  fade(): void {
    for (let at = 0; at < CLASSES; at += 1) this.#counts[at] = (this.#counts[at] as number) / 2;
    this.#counted /= 2;
    this.uses /= 2;
  }

  #thin(): void {
    const before = this.end;
    while (this.#distances.count > this.#blocksMax * KEPT_SHARE) {
      this.end = Math.max(1, Math.floor(this.end * KEPT_SHARE));
      for (let place = 0; place < this.#placesUsed; place += 1) {
        const identity = this.#places.identityAt(place);
        if (identity < this.end || this.#places.find(identity) !== place) continue;
        this.#places.vacate(place);
        this.#distances.forget(place);
        this.#vacant.push(place);
      }
    }
    const weight = this.end / before;
    for (let at = 0; at < CLASSES; at += 1) this.#counts[at] = (this.#counts[at] as number) * weight;
    this.#counted *= weight;
  }
}

function classOf(distance: number): number {
  return Math.min(CLASSES - 1, Math.floor(Math.log2(distance + 1) * CLASSES_A_DOUBLING));
}

function middleOf(at: number): number {
  return 2 ** ((at + 0.5) / CLASSES_A_DOUBLING) - 1;
}
