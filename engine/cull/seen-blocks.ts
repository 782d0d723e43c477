/**
 * Blocks that were asked for lately and not kept, in bounded memory: two Bloom filters, the older of which is forgotten when
 * the newer one is full. So a block is remembered while the next 262,144 come, and at most 524,288.
 */
import { crc32 } from "@node-rs/crc32";

const GENERATION_BLOCKS = 262_144;
/** Eight bits a block and four places: about one block in 40 is taken for seen when a generation is full. */
const BITS = 2 ** 21;
const PLACES = 4;

/** The names that a block is known by; ids change while nothing of a file is kept. */
export interface SeenFile {
  readonly inode: Buffer;
  readonly volume: { readonly fs: Buffer; readonly volume: Buffer };
}

export class SeenBlocks {
  #newer: Uint8Array | undefined;
  #older: Uint8Array | undefined;
  #count = 0;

  /** Whether this part of the block came before; from now on it did. `page` is the first of the part. */
  seen(file: SeenFile, block: number, page: number): boolean {
    const name = crc32(file.inode, crc32(file.volume.volume, crc32(file.volume.fs)));
    const one = mixed(name ^ mixed(block >>> 0) ^ mixed(Math.floor(block / 2 ** 32) + 1) ^ page);
    const two = mixed(one ^ name ^ 0x5bd1_e995) | 1;
    this.#newer ??= new Uint8Array(BITS / 8);
    if (has(this.#newer, one, two)) return true;
    const before = this.#older !== undefined && has(this.#older, one, two);
    if (this.#count >= GENERATION_BLOCKS) {
      this.#older = this.#newer;
      this.#newer = new Uint8Array(BITS / 8);
      this.#count = 0;
    }
    for (let place = 0; place < PLACES; place += 1) {
      const bit = (one + Math.imul(place, two)) & (BITS - 1);
      this.#newer[bit >>> 3] = (this.#newer[bit >>> 3] as number) | (1 << (bit & 7));
    }
    this.#count += 1;
    return before;
  }

  /** Forgets all, and the memory with it. */
  clear(): void {
    this.#newer = undefined;
    this.#older = undefined;
    this.#count = 0;
  }
}

function has(bits: Uint8Array, one: number, two: number): boolean {
  for (let place = 0; place < PLACES; place += 1) {
    const bit = (one + Math.imul(place, two)) & (BITS - 1);
    if (((bits[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false;
  }
  return true;
}

/** MurmurHash3's finalizer: every bit of the argument changes half of the result's. */
function mixed(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
