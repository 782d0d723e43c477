/**
 * Reads blocks from the slot files of a cache that another process owns, by what that process publishes. It takes no lock
 * and leaves nothing behind: an entry is looked up, the slot is read and checked, and then a second, fresh look has to
 * find the very same entry, a file that is still open, and no notice that concerns the names. Published bytes never change
 * (FORMAT.md "Lookup file"), so whatever came in between, the bytes are those that were stored, and were current when the
 * call began or later. Anything else is `undefined`: ask the owner.
 */
import { type CacheError, isCacheError } from "../../index/core/errors.js";
import { GROUP_PAGES, NO_SLOT, PAGE_BYTES, SLOT_BYTES, pagesOf } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import { isNone, pagesBetween, without } from "../pages.js";
import { type ReadPlan, readPlan } from "../read-plan.js";
import { Checksummer } from "../slots/checksums.js";
import { HotSlots } from "../slots/hot.js";
import { nodeIo } from "../slots/io.js";
import { PageSums } from "../slots/page-sums.js";
import type { SlotFiles } from "../slots/slot-files.js";
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

/** What is wanted of a block. */
export interface WantedPart {
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  /** Where the block ends, if the caller knows; then all of the part has to be there. Else it is cut where the block ends. */
  readonly endBytes?: number;
  /** Takes the bytes from its start; a fresh buffer is made unless given. */
  readonly into?: Buffer | undefined;
}

export interface DirectReaderOptions {
  readonly view: LookupView;
  readonly files: SlotFiles;
  readonly cacheId: Buffer;
  readonly now: () => number;
  /** Whether bytes are checked against their checksums; without, only against the second look. */
  readonly verify: boolean;
  /** Told of every hit. */
  readonly onHit: (slot: number, objectId: number, block: number, bytes: number) => void;
}

/** One read under way. */
interface Reading {
  readonly known: Known;
  readonly block: number;
  readonly entry: Entry;
  readonly plan: ReadPlan;
  readonly target: Buffer;
}

export class DirectReader {
  readonly #options: DirectReaderOptions;
  readonly #checksummer: Checksummer;
  readonly #pageSums = new PageSums();
  readonly #hot: HotSlots;
  readonly #words = new Uint32Array(BUCKET_BYTES / 4);
  readonly #first = Buffer.from(this.#words.buffer);
  readonly #secondWords = new Uint32Array(BUCKET_BYTES / 4);
  readonly #second = Buffer.from(this.#secondWords.buffer);
  readonly #scratch = Buffer.allocUnsafeSlow(SLOT_BYTES);
  /** Of the last item that was found: where its bucket lies in the file, and where it lies in the bucket. */
  #bucketAt = 0;
  #itemAt = 0;

  constructor(options: DirectReaderOptions) {
    this.#options = options;
    this.#checksummer = new Checksummer(options.cacheId);
    this.#hot = new HotSlots({ now: options.now, driveReads: () => nodeIo.driveReads() });
  }

  /** The wanted bytes, or undefined (perhaps later): ask the owner. */
  read(known: Known, block: number, wanted: WantedPart): Buffer | undefined | Promise<Buffer | undefined> {
    const entry = this.#find(known, block);
    if (entry === undefined) return undefined;
    const { offsetBytes, into } = wanted;
    const endBytes = availableEnd(entry, wanted);
    if (endBytes <= offsetBytes) return undefined;
    const lengthBytes = endBytes - offsetBytes;
    const hot = this.#hot;
    const likely = hot.likely(entry.slot);
    // What is known of pages may be forgotten while others are read: so only reads on the spot go by it.
    const part = { startBytes: offsetBytes, endBytes };
    const plan = this.#options.verify
      ? readPlan(known.objectId, block, entry, part, likely ? this.#pageSums : undefined)
      : uncheckedPlan(known.objectId, block, entry, part);
    if (!arePresent(entry, plan)) return undefined;
    hot.noteUse(entry.slot, pagesOf(plan.lengthBytes));
    const target = into === undefined ? Buffer.allocUnsafe(lengthBytes) : into.subarray(0, lengthBytes);
    const reading = { known, block, entry, plan, target };
    return likely ? this.#readOnTheSpot(reading) : this.#readAside(reading);
  }

  /** The first look. */
  #find(known: Known, block: number): Entry | undefined {
    if (!known.valid) return undefined;
    const { view } = this.#options;
    const { objectId } = known;
    this.#bucketAt = bucketAt(bucketOf(objectId, block, view.buckets));
    if (!view.readBucket(this.#first, this.#bucketAt) || !isBucketIntact(this.#first)) return undefined;
    this.#itemAt = findItem(this.#words, objectId, block);
    if (this.#itemAt === -1) return undefined;
    try {
      const entry = itemEntry(this.#first, this.#itemAt);
      if (entry.slot === NO_SLOT || entry.sequence < known.stampOf(block)) return undefined;
      // Of before an unclean end: right only if its checksums are.
      return entry.epoch === view.epoch || this.#options.verify ? entry : undefined;
    } catch (error) {
      if (isCacheError(error, "E_INDEX_CORRUPT")) return undefined; // a sum that fits by chance, or a layout of later
      throw error;
    }
  }

  #readOnTheSpot(reading: Reading): Buffer | undefined {
    const { plan, target } = reading;
    const bytes = plan.exact ? target : this.#scratch.subarray(0, plan.lengthBytes);
    const { files, now } = this.#options;
    const beganMs = now();
    try {
      files.readSync(plan.slot, bytes, plan.startBytes);
    } catch (error) {
      return this.#failed(plan.slot, error as CacheError);
    }
    this.#hot.took(now() - beganMs);
    if (!this.#isRight(plan, bytes)) return undefined;
    if (!plan.exact) bytes.copy(target, 0, plan.skipBytes, plan.skipBytes + target.length);
    const { view } = this.#options;
    if (!view.readBucket(this.#second, this.#bucketAt)) return undefined;
    if (this.#second.equals(this.#first)) return this.#hit(reading);
    return this.#stands(reading, this.#first.subarray(this.#itemAt, this.#itemAt + ITEM_BYTES))
      ? this.#hit(reading)
      : undefined;
  }

  async #readAside(reading: Reading): Promise<Buffer | undefined> {
    const { plan, target } = reading;
    const [at, itemAt] = [this.#bucketAt, this.#itemAt];
    const item = Buffer.from(this.#first.subarray(itemAt, itemAt + ITEM_BYTES));
    const bytes = plan.exact ? target : Buffer.allocUnsafe(plan.lengthBytes);
    try {
      await this.#options.files.read(plan.slot, bytes, plan.startBytes);
    } catch (error) {
      return this.#failed(plan.slot, error as CacheError);
    }
    if (!this.#isRight(plan, bytes)) return undefined;
    if (!plan.exact) bytes.copy(target, 0, plan.skipBytes, plan.skipBytes + target.length);
    if (!this.#options.view.readBucket(this.#second, at)) return undefined;
    return this.#stands(reading, item) ? this.#hit(reading) : undefined;
  }

  #isRight({ entry, tenancy, firstGroup, firstPage, pagesAlone, exact }: ReadPlan, bytes: Buffer): boolean {
    if (!this.#options.verify) return true;
    if (pagesAlone) return this.#pageSums.matches(entry, firstPage, firstPage + pagesOf(bytes.length), bytes);
    if (exact || bytes.length > GROUP_PAGES * PAGE_BYTES) {
      return this.#checksummer.firstBad(tenancy, entry.sums, firstGroup, bytes) === undefined;
    }
    const sum = entry.sums[firstGroup] as number;
    return this.#pageSums.learn(entry, firstGroup, bytes, { seed: this.#checksummer.seed(tenancy), sum });
  }

  /** Whether the bucket of the second look has this very item. */
  #stands({ known, block }: Reading, item: Buffer): boolean {
    if (!isBucketIntact(this.#second)) return false;
    const at = findItem(this.#secondWords, known.objectId, block);
    return at !== -1 && this.#second.subarray(at, at + ITEM_BYTES).equals(item);
  }

  /** The last look is at the header: nobody has said meanwhile that the names mean something else. */
  #hit({ known, block, plan, target }: Reading): Buffer | undefined {
    if (!this.#options.view.look() || !known.valid) return undefined;
    this.#options.onHit(plan.slot, known.objectId, block, target.length);
    return target;
  }

  /** The file is gone, too short, or not ours to read: the owner knows. */
  #failed(slot: number, error: CacheError): undefined {
    if (!isCacheError(error, "E_IO")) throw error;
    this.#options.files.forget(slot);
    return undefined;
  }
}

/** Where the part ends that is there; at its start or before if not all of it is that has to be. */
function availableEnd({ validBytes }: Entry, { offsetBytes, lengthBytes, endBytes }: WantedPart): number {
  const wantedEnd = offsetBytes + lengthBytes;
  if (endBytes === undefined) return Math.min(wantedEnd, validBytes);
  // Of a page that the valid bytes end in, the file may have more by now: such a page counts as missing.
  const knownEnd = validBytes >= endBytes ? validBytes : Math.floor(validBytes / PAGE_BYTES) * PAGE_BYTES;
  return wantedEnd <= knownEnd ? wantedEnd : 0;
}

/** Whether every page that is to be read is in the slot. */
function arePresent({ presentLow, presentHigh }: Entry, { startBytes, lengthBytes }: ReadPlan): boolean {
  if ((presentLow & presentHigh) === -1) return true;
  const wanted = pagesBetween(Math.floor(startBytes / PAGE_BYTES), pagesOf(startBytes + lengthBytes));
  return isNone(without(wanted, { low: presentLow, high: presentHigh }));
}

/** Reads what is wanted and no more. */
function uncheckedPlan(
  objectId: number,
  block: number,
  entry: Entry,
  { startBytes, endBytes }: { readonly startBytes: number; readonly endBytes: number },
): ReadPlan {
  const { slot, epoch, sequence } = entry;
  return {
    entry,
    slot,
    tenancy: { objectId, block, epoch, sequence },
    firstGroup: 0,
    firstPage: 0,
    pagesAlone: false,
    startBytes,
    lengthBytes: endBytes - startBytes,
    skipBytes: 0,
    exact: true,
  };
}
