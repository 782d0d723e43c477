/** What operators ask of a cache, put together: arguments are checked here, and what a wipe interrupts is done again. */
import { CacheError } from "../../index/core/errors.js";
import { type NameBytes, checkBlock, checkFsName, checkName, nameBuffer } from "../../index/core/names.js";
import { type Selector, checkSelector } from "../../index/core/selector.js";
import type { Ledger } from "../../index/ledger.js";
import {
  type AdminCalls,
  type Explanation,
  type FlushReport,
  LIST_ENTRIES_MAX,
  type ListEntry,
  type ListPage,
  type PageOptions,
  type PinOptions,
  type PinPage,
  type PinReport,
  type PinStatus,
} from "../admin-api.js";
import type { Tag } from "../api.js";
import type { Blocks } from "../blocks.js";
import type { PinSet } from "../cull/pin-set.js";
import type { Housekeeper } from "../housekeeper.js";
import type { Limits } from "../limits.js";
import type { SlotTable } from "../slots/slot-table.js";
import type { FileEntry, FileName, FilePage } from "../open-api.js";
import { explanationOf } from "./explain.js";
import { filePageOf, fileSteps } from "./files.js";
import { flushSteps, newTally } from "./flush.js";
import { Page, checkAfter, listSteps, pageOf } from "./listing.js";
import { PinKeeper, pinSteps } from "./pins.js";
import type { Walks } from "./walks.js";

export interface AdminParts {
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly table: SlotTable;
  readonly ledger: Ledger;
  readonly pins: PinSet;
  readonly walks: Walks;
  readonly limits: () => Limits;
  /** Told of records that do not read back. */
  readonly onCorrupt: (error: CacheError) => void;
}

/** Runs its body at once, or after the wipe that is under way. */
type BetweenWipes = <T>(body: () => Promise<T>) => Promise<T>;

export class Admin implements AdminCalls {
  readonly #parts: AdminParts;
  readonly #keeper: PinKeeper;
  readonly #betweenWipes: BetweenWipes;

  constructor(parts: AdminParts, keeper: PinKeeper, betweenWipes: BetweenWipes) {
    this.#parts = parts;
    this.#keeper = keeper;
    this.#betweenWipes = betweenWipes;
  }

  async flush(what: Selector, options: { readonly dryRun?: boolean } = {}): Promise<FlushReport> {
    const selection = await this.#checked(() => checkSelector(what));
    const dryRun = options.dryRun === true;
    const { walks } = this.#parts;
    let tally = newTally();
    await this.#whole(async () => {
      if (dryRun) tally = newTally(); // what was counted before a wipe is gone
      return (await walks.run(flushSteps(this.#parts, selection, dryRun, tally), !dryRun))
        ? tally
        : undefined;
    });
    return tally;
  }

  async list(what: Selector, options: PageOptions<NameBytes> = {}): Promise<ListPage> {
    const { after, limit } = options;
    const selection = await this.#checked(() => {
      const checked = checkSelector(what);
      if (after !== undefined) checkAfter(checked, after);
      checkLimit(limit);
      return checked;
    });
    return this.#whole(async () => {
      const page = new Page<ListEntry>(limit ?? LIST_ENTRIES_MAX);
      const done = await this.#parts.walks.run(listSteps(this.#parts, selection, after, page));
      return done ? pageOf(page) : undefined;
    });
  }

  /** As OpenFileCalls.files. */
  async files(
    { fs, volume }: Pick<FileName, "fs" | "volume">,
    { after, limit }: PageOptions<NameBytes> = {},
  ): Promise<FilePage> {
    const selection = await this.#checked(() => {
      checkLimit(limit);
      if (after !== undefined) checkName("inode", after);
      return checkSelector({ fs, volume });
    });
    const from = after === undefined ? undefined : Buffer.from(nameBuffer(after));
    return this.#whole(async () => {
      const page = new Page<FileEntry>(limit ?? LIST_ENTRIES_MAX);
      return (await this.#parts.walks.run(fileSteps(this.#parts, selection, from, page)))
        ? filePageOf(page)
        : undefined;
    });
  }

  explain(tag: Tag): Promise<Explanation> {
    return this.#betweenWipes(async () => {
      checkFsName(tag.fs);
      checkName("volume", tag.volume);
      checkName("inode", tag.inode);
      checkBlock(tag.block);
      return explanationOf(this.#parts, tag);
    });
  }

  async pin(what: Selector, options: PinOptions = {}): Promise<PinReport> {
    const selection = await this.#checked(() => checkSelector(what));
    return this.#whole(() => this.#keeper.pin(selection, options));
  }

  async unpin(what: Selector): Promise<{ readonly removed: number }> {
    const selection = await this.#checked(() => checkSelector(what));
    return this.#whole(() => this.#keeper.unpin(selection));
  }

  async pins(options: PageOptions<number> = {}): Promise<PinPage> {
    const { after = 0, limit } = options;
    await this.#checked(() => {
      checkLimit(limit);
      if (Number.isSafeInteger(after) && after >= 0) return;
      throw new CacheError("E_ARGUMENT", `Cannot list pins after ${after}: want a whole number, 0 or more`);
    });
    return this.#whole(async () => {
      const page = new Page<PinStatus>(limit ?? LIST_ENTRIES_MAX);
      const done = await this.#parts.walks.run(pinSteps(this.#parts, after, page));
      return done ? { pins: page.entries, more: page.more } : undefined;
    });
  }

  /** Checks arguments of a cache that is open. */
  #checked<T>(check: () => T): Promise<T> {
    return this.#betweenWipes(async () => check());
  }

  /** A wipe may come in between; then once more, over what it left. */
  async #whole<T>(attempt: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      const done = await this.#betweenWipes(attempt);
      if (done !== undefined) return done;
    }
  }
}

function checkLimit(limit: number | undefined): void {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 1 && limit <= LIST_ENTRIES_MAX)) return;
  throw new CacheError("E_ARGUMENT", `Cannot list ${limit} entries at once: want 1 to ${LIST_ENTRIES_MAX}`);
}
