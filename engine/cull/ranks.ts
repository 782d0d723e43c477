/** How blocks stand among others of the same worth, as their files say: a byte a slot, and none while nobody said anything. */
import type { CullRank } from "../open-api.js";
import { grown } from "../slots/slot-table.js";

const CODES: Readonly<Record<CullRank, number>> = { normal: 0, first: 1, last: 2 };
const NAMES = Object.keys(CODES) as readonly CullRank[];
const FIRST = CODES.first;
const LAST = CODES.last;
const CODE_BITS = 3;
/** A block of the last rank had its turn already, and was not used since. */
const SPARED = 4;

export class Ranks {
  #codes = new Uint8Array(0);

  /** Whether any block ever had another rank than the normal one. */
  get any(): boolean {
    return this.#codes.length > 0;
  }

  of(slot: number): CullRank {
    return NAMES[(this.#codes[slot] ?? 0) & CODE_BITS] as CullRank;
  }

  isFirst(slot: number): boolean {
    return this.any && this.#codes[slot] === FIRST;
  }

  /** Whether it is of the last rank, and its turn would be the first since its last use. */
  isToBeSpared(slot: number): boolean {
    return this.any && this.#codes[slot] === LAST;
  }

  set(slot: number, rank: CullRank): void {
    const code = CODES[rank];
    if (slot >= this.#codes.length) {
      if (code === CODES.normal) return;
      const slots = Math.max(slot + 1, 1024, Math.floor(this.#codes.length * 1.5));
      this.#codes = grown(this.#codes, new Uint8Array(slots));
    }
    this.#codes[slot] = code;
  }

  spare(slot: number): void {
    this.#codes[slot] = LAST | SPARED;
  }

  /** The block was used: its next turn is a first one again. */
  used(slot: number): void {
    if (this.any && this.#codes[slot] === (LAST | SPARED)) this.#codes[slot] = LAST;
  }
}
