/**
 * Items that a reader has found in the lookup file, so that the next read of the same block needs one look less: it reads
 * the slot by what it saw before, and the look at the end tells whether that is still so. Of a bounded number.
 */
import { type CacheError, isCacheError } from "../../index/core/errors.js";
import { NO_SLOT } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import type { Known } from "./known-names.js";
import {
  BUCKET_BYTES,
  ITEM_BYTES,
  bucketAt,
  bucketOf,
  findItem,
  isBucketIntact,
  itemEntry,
} from "./lookup-format.js";
import type { LookupView } from "./lookup-view.js";
import type { UseHolder } from "./uses.js";

/** At some 500 bytes each. */
export const SEEN_ITEMS_MAX = 8192;
/** Of an item that no second look has confirmed yet. */
const NEVER = -1;
const ITEM_WORDS = ITEM_BYTES / 4;

export interface SeenItem extends UseHolder {
  readonly entry: Entry;
  /** Where its bucket begins in the file. */
  readonly bucketAt: number;
  /** The item as it stood. */
  readonly words: Uint32Array;
  /** Where in the bucket it stood when it was looked at last, in words. */
  wordAt: number;
  /** It stood when so many items had been taken out. */
  asOf: number;
}

export class SeenItems {
  readonly #view: LookupView;
  readonly #words = new Uint32Array(BUCKET_BYTES / 4);
  readonly #bytes = Buffer.from(this.#words.buffer);
  /** By file; whoever knows the file no more, what it saw goes with it. */
  #files = new WeakMap<Known, Map<number, SeenItem>>();
  #count = 0;

  constructor(view: LookupView) {
    this.#view = view;
  }

  /** What was seen of a block, by an earlier look or by this one; undefined where the file shows nothing of it. */
  find(known: Known, block: number): { readonly item: SeenItem; readonly fresh: boolean } | undefined {
    const seen = this.#files.get(known)?.get(block);
    if (seen !== undefined) return { item: seen, fresh: false };
    const item = this.look(known, block);
    return item && { item, fresh: true };
  }

  /** A fresh look at a block. */
  look(known: Known, block: number): SeenItem | undefined {
    const { objectId } = known;
    const at = bucketAt(bucketOf(objectId, block, this.#view.buckets));
    if (!this.#view.readBucket(this.#bytes, at) || !isBucketIntact(this.#bytes)) return undefined;
    const itemAt = findItem(this.#words, objectId, block);
    if (itemAt === -1) return undefined;
    const entry = soundEntry(this.#bytes, itemAt);
    if (entry === undefined || entry.slot === NO_SLOT || entry.sequence < known.stampOf(block))
      return undefined;
    const wordAt = itemAt / 4;
    const words = this.#words.slice(wordAt, wordAt + ITEM_WORDS);
    const item = { entry, bucketAt: at, words, wordAt, asOf: NEVER, use: undefined };
    this.#keep(known, block, item);
    return item;
  }

  /**
   * A second, fresh look: whether this very item is still there, to the last byte, the file is still in use, and nobody has
   * said that the names mean something else. Most often the header alone tells: nothing was taken out since the last look.
   */
  stands(known: Known, block: number, item: SeenItem): boolean {
    if (!this.#view.look() || !known.valid) return false;
    const asOf = this.#view.withdrawals;
    if (asOf === item.asOf) return true;
    // What is there now was there when the header was read: so at that moment all of it was so.
    if (!this.#isThere(known, block, item)) return false;
    item.asOf = asOf;
    return true;
  }

  #isThere(known: Known, block: number, item: SeenItem): boolean {
    if (!this.#view.readBucket(this.#bytes, item.bucketAt)) return false;
    if (this.#isAt(item, item.wordAt)) return true;
    // Others may have come before it; else something was being written.
    const itemAt = isBucketIntact(this.#bytes) ? findItem(this.#words, known.objectId, block) : -1;
    if (itemAt === -1 || !this.#isAt(item, itemAt / 4)) return false;
    item.wordAt = itemAt / 4;
    return true;
  }

  /** What was seen of a block is not so any more. */
  forget(known: Known, block: number): void {
    if (this.#files.get(known)?.delete(block) === true) this.#count -= 1;
  }

  #isAt({ words }: SeenItem, wordAt: number): boolean {
    for (let place = 0; place < ITEM_WORDS; place += 1) {
      if (words[place] !== this.#words[wordAt + place]) return false;
    }
    return true;
  }

  #keep(known: Known, block: number, item: SeenItem): void {
    if (this.#count >= SEEN_ITEMS_MAX) {
      this.#files = new WeakMap();
      this.#count = 0;
    }
    let blocks = this.#files.get(known);
    if (blocks === undefined) this.#files.set(known, (blocks = new Map()));
    if (!blocks.has(block)) this.#count += 1;
    blocks.set(block, item);
  }
}

/** A sum that fits by chance, or a layout of a later version, makes no entry. */
function soundEntry(bytes: Buffer, itemAt: number): Entry | undefined {
  try {
    return itemEntry(bytes, itemAt);
  } catch (error) {
    if (isCacheError(error as CacheError, "E_INDEX_CORRUPT")) return undefined;
    throw error;
  }
}
