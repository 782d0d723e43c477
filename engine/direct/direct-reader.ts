/**
 * Reads blocks from the slot files of a cache that another process owns, by what that process publishes. It takes no lock
 * and leaves nothing behind: an entry is looked up, the slot is read and checked, and then a second, fresh look has to
 * find the very same entry, a file that is still open, and no notice that concerns the names. Published bytes never change
 * (FORMAT.md "Lookup file"), so whatever came in between, the bytes are those that were stored, and were current when the
 * call began or later. Anything else is `undefined`: ask the owner.
 */
import { type CacheError, isCacheError } from "../../index/core/errors.js";
import { GROUP_PAGES, PAGE_BYTES, SLOT_BYTES, pagesOf } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import { isNone, pagesBetween, without } from "../pages.js";
import { type ReadPlan, readPlan } from "../read-plan.js";
import { placeFor } from "../span.js";
import { Checksummer } from "../slots/checksums.js";
import { HotSlots } from "../slots/hot.js";
import { nodeIo } from "../slots/io.js";
import { PageSums } from "../slots/page-sums.js";
import type { SlotFiles } from "../slots/slot-files.js";
import type { Known } from "./known-names.js";
import type { LookupView } from "./lookup-view.js";
import { type SeenItem, SeenItems } from "./seen-items.js";
import type { UseHolder } from "./uses.js";

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
  /** See HotSlots; what the kernel counts of this process unless given, for tests. */
  readonly driveReads?: () => number | undefined;
  /** Told of every hit. */
  readonly onHit: (item: UseHolder, objectId: number, block: number, bytes: number) => void;
}

/** One read under way. */
interface Reading {
  readonly known: Known;
  readonly block: number;
  readonly item: SeenItem;
  readonly plan: ReadPlan;
  readonly target: Buffer;
}

export class DirectReader {
  readonly #options: DirectReaderOptions;
  readonly #seen: SeenItems;
  readonly #checksummer: Checksummer;
  readonly #pageSums = new PageSums();
  readonly #hot: HotSlots;
  readonly #scratch = Buffer.allocUnsafeSlow(SLOT_BYTES);
  readonly #scratchPage = this.#scratch.subarray(0, PAGE_BYTES);

  constructor(options: DirectReaderOptions) {
    this.#options = options;
    this.#seen = new SeenItems(options.view);
    this.#checksummer = new Checksummer(options.cacheId);
    const { now, driveReads = () => nodeIo.driveReads() } = options;
    this.#hot = new HotSlots({ now, driveReads });
  }

  /** The wanted bytes, or undefined (perhaps later): ask the owner. */
  read(known: Known, block: number, wanted: WantedPart): Buffer | undefined | Promise<Buffer | undefined> {
    if (!known.valid) return undefined;
    const found = this.#seen.find(known, block);
    if (found === undefined) return undefined;
    const read = this.#readBy(known, block, found.item, wanted);
    // What was seen earlier may be so no more: then by what is there now.
    if (read !== undefined || found.fresh || !known.valid) return read;
    const item = this.#seen.look(known, block);
    return item && this.#readBy(known, block, item, wanted);
  }

  #readBy(
    known: Known,
    block: number,
    item: SeenItem,
    wanted: WantedPart,
  ): Buffer | undefined | Promise<Buffer | undefined> {
    const { entry } = item;
    // Of before an unclean end: right only if its checksums are.
    if (entry.epoch !== this.#options.view.epoch && !this.#options.verify) return undefined;
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
    const target = placeFor(into, lengthBytes);
    const reading = { known, block, item, plan, target };
    return likely ? this.#readOnTheSpot(reading) : this.#readAside(reading);
  }

  #readOnTheSpot(reading: Reading): Buffer | undefined {
    const { plan, target } = reading;
    const bytes = plan.exact ? target : this.#scratchOf(plan.lengthBytes);
    const { files, now } = this.#options;
    const beganMs = now();
    try {
      files.readSync(plan.slot, bytes, plan.startBytes);
    } catch (error) {
      return this.#failed(reading, error as CacheError);
    }
    this.#hot.took(now() - beganMs);
    return this.#accept(reading, bytes);
  }

  #scratchOf(lengthBytes: number): Buffer {
    return lengthBytes === PAGE_BYTES ? this.#scratchPage : this.#scratch.subarray(0, lengthBytes);
  }

  async #readAside(reading: Reading): Promise<Buffer | undefined> {
    const { plan, target } = reading;
    const bytes = plan.exact ? target : Buffer.allocUnsafe(plan.lengthBytes);
    try {
      await this.#options.files.read(plan.slot, bytes, plan.startBytes);
    } catch (error) {
      return this.#failed(reading, error as CacheError);
    }
    return this.#accept(reading, bytes);
  }

  /** The second look has to find everything as it was. Bytes that fail their check are for the owner to count and to drop. */
  #accept(reading: Reading, bytes: Buffer): Buffer | undefined {
    const { known, block, item, plan, target } = reading;
    if (!this.#isRight(plan, bytes) || !this.#seen.stands(known, block, item)) {
      this.#seen.forget(known, block);
      return undefined;
    }
    if (!plan.exact) bytes.copy(target, 0, plan.skipBytes, plan.skipBytes + target.length);
    this.#options.onHit(item, known.objectId, block, target.length);
    return target;
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

  /** The file is gone, too short, or not ours to read: the owner knows. */
  #failed({ known, block, plan }: Reading, error: CacheError): undefined {
    if (!isCacheError(error, "E_IO")) throw error;
    this.#options.files.forget(plan.slot);
    this.#seen.forget(known, block);
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
