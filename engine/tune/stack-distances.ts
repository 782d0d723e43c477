/**
 * How many other blocks were used since a block was used last, in O(log n) a use (Olken 1981, over a Fenwick tree): an LRU
 * cache of more blocks than that would have had it. In memory for `blocksMax` blocks, whatever the number of uses.
 */
const NEVER = 0xffff_ffff;
/** Times are given out anew after so many uses for each block. */
const TIMES_A_BLOCK = 4;
const TIMES_MIN = 1024;

export class StackDistances {
  /** By block: when it was used last. */
  readonly #usedAt: Uint32Array;
  /** By time, from 1: sums of how many blocks were used last then. */
  readonly #tree: Uint32Array;
  /** By time: which block was used last then, or NEVER. */
  readonly #blockAt: Uint32Array;
  #now = 0;
  #count = 0;

  constructor(blocksMax: number) {
    const times = Math.max(TIMES_MIN, blocksMax * TIMES_A_BLOCK);
    this.#usedAt = new Uint32Array(blocksMax).fill(NEVER);
    this.#blockAt = new Uint32Array(times).fill(NEVER);
    this.#tree = new Uint32Array(times + 1);
  }

  /** Blocks that were used and not forgotten. */
  get count(): number {
    return this.#count;
  }

  /** Notes a use of a block below blocksMax. @returns the distance, or undefined at its first use. */
  use(block: number): number | undefined {
    if (this.#now === this.#blockAt.length) this.#renumber();
    const before = this.#usedAt[block] as number;
    let distance: number | undefined;
    if (before === NEVER) {
      this.#count += 1;
    } else {
      distance = this.#count - this.#usedUntil(before);
      this.#mark(before, -1);
      this.#blockAt[before] = NEVER;
    }
    this.#usedAt[block] = this.#now;
    this.#blockAt[this.#now] = block;
    this.#mark(this.#now, 1);
    this.#now += 1;
    return distance;
  }

  /** As if the block had never been used. */
  forget(block: number): void {
    const before = this.#usedAt[block] as number;
    if (before === NEVER) return;
    this.#mark(before, -1);
    this.#blockAt[before] = NEVER;
    this.#usedAt[block] = NEVER;
    this.#count -= 1;
  }

  /** Blocks whose last use was at this time or earlier. */
  #usedUntil(time: number): number {
    let sum = 0;
    for (let at = time + 1; at > 0; at &= at - 1) sum += this.#tree[at] as number;
    return sum;
  }

  #mark(time: number, change: number): void {
    for (let at = time + 1; at < this.#tree.length; at += at & -at) {
      this.#tree[at] = (this.#tree[at] as number) + change;
    }
  }

  /** The last uses get the first times, in their order. */
  #renumber(): void {
    let count = 0;
    for (let time = 0; time < this.#now; time += 1) {
      const block = this.#blockAt[time] as number;
      if (block === NEVER) continue;
      this.#blockAt[count] = block;
      this.#usedAt[block] = count;
      count += 1;
    }
    this.#blockAt.fill(NEVER, count);
    this.#tree.fill(0);
    for (let time = 0; time < count; time += 1) this.#mark(time, 1);
    this.#now = count;
  }
}
