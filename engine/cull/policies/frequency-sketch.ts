/**
 * How often blocks were used of late, estimated: counters of 4 bits, four for each block by different hashes, of which the
 * least counts (count-min with conservative update). After so many uses all counters are halved, in slices. 8 bytes for
 * each slot. As in TinyLFU (Einziger and others, 2017).
 */
import { mixed } from "../policy.js";

/** Uses are counted to here: a higher bound would make what was popular once stay for long. */
const COUNT_MAX = 7;
/** Counters of 4 bits a slot, in words of 8. */
const WORDS_A_SLOT = 2;
const WORDS_MIN = 128;
/** All counters are halved after so many uses for each slot. */
const USES_A_SLOT = 10;
const USES_MIN = 160;
/** Words that are halved with each use, while halving is under way. */
const SLICE_WORDS = 256;
const TWO_32 = 2 ** 32;
const FACTORS = [0x9e3779b1, 0x85ebca6b, 0xc2b2ae35, 0x27d4eb2f] as const;

export class FrequencySketch {
  #words = new Uint32Array(WORDS_MIN);
  #slots = 0;
  #uses = 0;
  #usesMax = USES_MIN;
  /** Words from here on are still to be halved. */
  #halved = WORDS_MIN;
  /** Scratch: where the counters of one block are. */
  readonly #word = new Uint32Array(FACTORS.length);
  readonly #shift = new Uint8Array(FACTORS.length);

  /** So many slots are in use: counters are halved at that pace. What is known is forgotten when the sketch has to grow. */
  fit(slots: number): void {
    this.#usesMax = Math.max(USES_MIN, slots * USES_A_SLOT);
    if (slots <= this.#slots) return;
    this.#slots = Math.max(slots, Math.floor(this.#slots * 1.5));
    this.#words = new Uint32Array(Math.max(WORDS_MIN, this.#slots * WORDS_A_SLOT));
    this.#halved = this.#words.length;
    this.#uses = 0;
  }

  /** Counts a use. */
  add(identity: number): void {
    const count = this.#locate(identity);
    if (count < COUNT_MAX) this.#raise(count);
    this.#uses += 1;
    if (this.#uses >= this.#usesMax) {
      this.#uses = Math.floor(this.#usesMax / 2);
      this.#halved = 0;
    }
    if (this.#halved < this.#words.length) this.#halveSome();
  }

  /** 0 to COUNT_MAX. */
  of(identity: number): number {
    return this.#locate(identity);
  }

  clear(): void {
    this.#words.fill(0);
    this.#uses = 0;
    this.#halved = this.#words.length;
  }

  /** Notes where the counters are. @returns the least of them. */
  #locate(identity: number): number {
    const counters = this.#words.length * 8;
    const base = mixed(identity ^ 0x5bd1e995);
    let least = COUNT_MAX;
    for (let row = 0; row < FACTORS.length; row += 1) {
      const hash = mixedRow(base, row);
      const counter = Math.floor((hash / TWO_32) * counters);
      const word = counter >>> 3;
      const shift = (counter & 7) << 2;
      this.#word[row] = word;
      this.#shift[row] = shift;
      const count = ((this.#words[word] as number) >>> shift) & 15;
      if (count < least) least = count;
    }
    return least;
  }

  /** Raises those of the counters located last that stand at `count`. */
  #raise(count: number): void {
    for (let row = 0; row < FACTORS.length; row += 1) {
      const word = this.#word[row] as number;
      const shift = this.#shift[row] as number;
      const held = this.#words[word] as number;
      if (((held >>> shift) & 15) === count) this.#words[word] = held + (1 << shift);
    }
  }

  #halveSome(): void {
    const end = Math.min(this.#words.length, this.#halved + SLICE_WORDS);
    for (let word = this.#halved; word < end; word += 1) {
      this.#words[word] = ((this.#words[word] as number) >>> 1) & 0x77777777;
    }
    this.#halved = end;
  }
}

function mixedRow(base: number, row: number): number {
  const hash = Math.imul(base ^ (base >>> 15), FACTORS[row] as number);
  return (hash ^ (hash >>> 13)) >>> 0;
}
