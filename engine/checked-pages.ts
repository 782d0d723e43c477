/** Reads present pages of a block, checked: all present pages of the groups that the wanted ones lie in, and no more. */
import { GROUP_BYTES, GROUP_PAGES, SLOT_GROUPS, pagesOf } from "../index/core/layout.js";
import type { Entry } from "../index/entry.js";
import type { Blocks } from "./blocks.js";
import type { BlockParts } from "./block-parts.js";
import type { ObjectState } from "./object-states.js";
import { type Pages, common, endOf, firstOf, isNone, pagesBetween, startOf } from "./pages.js";

/** One block as its entry has it. */
export interface KnownBlock {
  readonly object: ObjectState;
  readonly block: number;
  readonly entry: Entry;
}

/** Bytes of a block from `atBytes` on. */
export interface PageBytes {
  readonly bytes: Buffer;
  readonly atBytes: number;
}

const NOTHING: PageBytes = { bytes: Buffer.alloc(0), atBytes: 0 };

export function presentOf(entry: Entry): Pages {
  return { low: entry.presentLow, high: entry.presentHigh };
}

export function zeroOf(entry: Entry): Pages {
  return { low: entry.zeroLow, high: entry.zeroHigh };
}

export class CheckedPages {
  readonly #parts: BlockParts;
  readonly #blocks: Blocks;

  constructor(parts: BlockParts, blocks: Blocks) {
    this.#parts = parts;
    this.#blocks = blocks;
  }

  /**
   * The wanted pages, on the spot if they are likely in memory.
   * @param wanted pages that the entry has as present. @returns undefined when a checksum differs.
   * @throws {CacheError} E_IO.
   */
  read(known: KnownBlock, wanted: Pages): PageBytes | undefined | Promise<PageBytes | undefined> {
    if (isNone(wanted)) return NOTHING;
    const { files, hot, now } = this.#parts;
    const { slot } = known.entry;
    const span = spanOf(known.entry, wanted);
    const likely = hot.likely(slot);
    hot.noteUse(slot, pagesOf(span.lengthBytes));
    const bytes = Buffer.allocUnsafe(span.lengthBytes);
    if (likely) {
      const beganMs = now();
      files.readSync(slot, bytes, span.atBytes);
      hot.took(now() - beganMs);
      const read = { bytes, atBytes: span.atBytes };
      if (this.#isRight(known, wanted, read)) return read;
    }
    return this.#readAside(known, wanted, { bytes, atBytes: span.atBytes });
  }

  async #readAside(known: KnownBlock, wanted: Pages, read: PageBytes): Promise<PageBytes | undefined> {
    const { slot } = known.entry;
    const { room } = this.#blocks.life;
    room.startReading(slot);
    this.#blocks.began();
    try {
      await this.#parts.files.read(slot, read.bytes, read.atBytes);
    } finally {
      room.endReading(slot);
      this.#blocks.ended();
    }
    return this.#isRight(known, wanted, read) ? read : undefined;
  }

  #isRight({ object, block, entry }: KnownBlock, wanted: Pages, { bytes, atBytes }: PageBytes): boolean {
    const { checksummer, table } = this.#parts;
    const seed = checksummer.seed({
      objectId: object.id,
      block,
      epoch: entry.epoch,
      sequence: entry.sequence,
    });
    const present = presentOf(entry);
    for (let group = 0; group < SLOT_GROUPS; group += 1) {
      if (isNone(common(wanted, groupPages(group)))) continue;
      const sum = checksummer.groupSum(seed, group, present, entry.validBytes, bytes, atBytes);
      if (sum !== entry.sums[group]) return false;
      table.unchecked.checked(entry.slot, group, group + 1);
    }
    return true;
  }
}

export function groupPages(group: number): Pages {
  return pagesBetween(group * GROUP_PAGES, (group + 1) * GROUP_PAGES);
}

/** From the first present page of the first group to the end of the last present page of the last one. */
function spanOf(entry: Entry, wanted: Pages): { atBytes: number; lengthBytes: number } {
  const firstGroup = Math.floor(firstOf(wanted) / GROUP_PAGES);
  const endGroup = Math.ceil(startOf(endOf(wanted)) / GROUP_BYTES);
  const pages = common(presentOf(entry), pagesBetween(firstGroup * GROUP_PAGES, endGroup * GROUP_PAGES));
  const atBytes = startOf(firstOf(pages));
  return { atBytes, lengthBytes: Math.min(startOf(endOf(pages)), entry.validBytes) - atBytes };
}
