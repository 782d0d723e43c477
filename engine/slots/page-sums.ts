/**
 * Checksums at page ends, so that a part of a group can be checked without the rest of it. A group's checksum runs over
 * its pages in order; when a group is read to be checked, what the sum was at the end of each page is noted here, and
 * from then on any run of its pages is right if it leads from the sum before it to the sum behind it. Only what a check
 * of the whole group has proved is noted. In memory, of a fixed size: a slot has one row that it shares with others.
 */
import assert from "node:assert/strict";
import { crc32 } from "@node-rs/crc32";
import { GROUP_PAGES, PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";

/** Rows: a power of two. At 270 bytes each, 2.2 MiB once all are used; they cover 2 GiB of blocks read in parts. */
export const PAGE_SUM_ROWS = 8192;

/** Names what a slot holds: a tenancy of it, as one commit left it. */
export interface Holding {
  readonly slot: number;
  readonly sequence: number;
  /** Version of the entry. */
  readonly version: number;
}

export class PageSums {
  readonly #rows: number;
  /** By row: one more than the slot, 0 for none; what it holds; the seed of its sums; a bit a group that is known. */
  readonly #slots: Uint32Array;
  readonly #sequences: Float64Array;
  readonly #versions: Uint16Array;
  readonly #seeds: Uint32Array;
  readonly #groups: Uint8Array;
  readonly #sums: Uint32Array;

  constructor(rows = PAGE_SUM_ROWS) {
    assert.ok(rows > 0 && (rows & (rows - 1)) === 0);
    this.#rows = rows;
    this.#slots = new Uint32Array(rows);
    this.#sequences = new Float64Array(rows);
    this.#versions = new Uint16Array(rows);
    this.#seeds = new Uint32Array(rows);
    this.#groups = new Uint8Array(rows);
    this.#sums = new Uint32Array(rows * SLOT_PAGES);
  }

  /** Whether pages of this group can be checked alone. */
  knows(holding: Holding, group: number): boolean {
    const row = holding.slot & (this.#rows - 1);
    return this.#isRow(row, holding) && ((this.#groups[row] as number) & (1 << group)) !== 0;
  }

  /** Checks pages `firstPage` to `endPage` - 1 of the block, all of one group that is known. */
  matches({ slot }: Holding, firstPage: number, endPage: number, bytes: Uint8Array): boolean {
    const row = slot & (this.#rows - 1);
    const place = row * SLOT_PAGES;
    const before = firstPage % GROUP_PAGES === 0 ? this.#seeds[row] : this.#sums[place + firstPage - 1];
    return crc32(bytes as Buffer, before) === this.#sums[place + endPage - 1];
  }

  /**
   * Checks a whole group, and notes the sums at its page ends if it is right.
   * @param bytes the group from its start, cut where the block ends. @param seed of the tenancy's checksums.
   */
  learn(
    holding: Holding,
    group: number,
    bytes: Uint8Array,
    { seed, sum }: { seed: number; sum: number },
  ): boolean {
    const row = holding.slot & (this.#rows - 1);
    if (!this.#isRow(row, holding)) {
      this.#slots[row] = holding.slot + 1;
      this.#sequences[row] = holding.sequence;
      this.#versions[row] = holding.version;
      this.#seeds[row] = seed;
      this.#groups[row] = 0;
    }
    // Not known until it is proved: the places written here may hold what an earlier check has proved.
    this.#groups[row] = (this.#groups[row] as number) & ~(1 << group);
    let place = row * SLOT_PAGES + group * GROUP_PAGES;
    let running = seed;
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      running = crc32(bytes.subarray(at, at + PAGE_BYTES) as Buffer, running);
      this.#sums[place] = running;
      place += 1;
    }
    if (running !== sum) return false;
    this.#groups[row] = (this.#groups[row] as number) | (1 << group);
    return true;
  }

  #isRow(row: number, { slot, sequence, version }: Holding): boolean {
    return (
      this.#slots[row] === slot + 1 && this.#sequences[row] === sequence && this.#versions[row] === version
    );
  }
}
