/**
 * Publishes where blocks lie, for readers in other processes: keeps a lookup file in step with the commits of the index.
 * An accelerator, never the truth: whatever is not found in it is asked of the owner. A file is used for one epoch and one
 * size; then it is closed and another one takes its place, filled in the background.
 *
 * What makes direct reads right is kept here: an entry is shown only after its commit, and from the moment at which anybody
 * could see a change of its block through the owner it is shown no more; so its slot cannot have another tenant yet. What
 * changes the meaning of names is noted at the moment at which it takes effect.
 */
import fs from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { BlockIndex } from "../../index/block-index.js";
import type { CommittedBlocks } from "../../index/index-commits.js";
import { isCacheError, messageOf } from "../../index/core/errors.js";
import { shownPath } from "../../index/core/own-files.js";
import { NO_SLOT } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import type { Publication } from "../direct-api.js";
import type { LogFunction } from "../log.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { LookupFile, setForeignAside } from "./lookup-file.js";
import { type Noticed, bucketsIn } from "./lookup-format.js";

/** The file takes at most this part of the capacity. */
export const LOOKUP_SHARE = 0.001;
/** Filling works for so long, then leaves others so long a pause. */
const FILL_SLICE_MS = 1;
const FILL_PAUSE_MS = 4;
const FILL_LOOK_STEPS = 64;
/** After trouble with the file another one is made when so much time has passed. */
const RETRY_MS = 30_000;

export interface PublisherOptions {
  /** `<cache>/lookup`, and `<cache>/slots`, as this process reaches them. */
  readonly path: string;
  readonly slots: string;
  /** The cache directory, as others reach it. */
  readonly directory: string;
  readonly cacheId: Buffer;
  readonly epoch: () => number;
  readonly capacityBytes: () => number;
  readonly index: () => BlockIndex;
  readonly table: SlotTable;
  readonly mode: number;
  readonly log: LogFunction;
  /** RETRY_MS unless given; for tests. */
  readonly retryMs?: number;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #slotsIdentity: { readonly device: bigint; readonly inode: bigint };
  #file: LookupFile | undefined;
  /** The file has its name. */
  #named = false;
  readonly #pauses = new Set<string>();
  #closed = false;
  #retry: NodeJS.Timeout | undefined;
  /** Making and filling of the present file. */
  #work: Promise<void> = Promise.resolve();
  /** Entries shown, those shown again included. */
  published = 0;

  constructor(options: PublisherOptions) {
    this.#options = options;
    const { dev, ino } = fs.statSync(options.slots, { bigint: true });
    this.#slotsIdentity = { device: dev, inode: ino };
  }

  /** What the file takes of the capacity. */
  get fileBytes(): number {
    return this.#file?.fileBytes ?? 0;
  }

  /** Where readers find what is published; undefined while nothing is. */
  get publication(): Publication | undefined {
    const file = this.#file;
    if (file === undefined || !this.#named || !file.open) return undefined;
    const { directory } = this.#options;
    return {
      lookup: { path: join(directory, "lookup"), device: file.device, inode: file.inode },
      slots: { path: join(directory, "slots"), ...this.#slotsIdentity },
    };
  }

  /** As of which file, and which of its notices, what is said of names now holds. */
  get instance(): bigint {
    return this.#file?.instance ?? 0n;
  }

  get notices(): number {
    return this.#file?.notices ?? 0;
  }

  /** Closes the present file, if there is one, and makes another. One that cannot be closed stays, and is kept in step. */
  restart(): void {
    if (!this.#withdrawn() || this.#closed) return;
    const before = this.#work;
    this.#work = before.then(() => this.#make());
  }

  /** For readers who cannot use what is published: if somebody else took the file away or damaged it, another one is made. */
  repair(): void {
    const file = this.#file;
    if (file === undefined || !this.#named || file.standsAt(this.#options.path)) return;
    this.#options.log("warn", "somebody else took away or damaged the lookup file: another one is made", {
      path: shownPath(this.#options.path),
    });
    this.restart();
  }

  /** Another capacity stands: the file keeps within its part of it. */
  resize(): void {
    if (this.#file !== undefined && this.#file.buckets !== this.#buckets) this.restart();
  }

  /** No reader uses what was published any more. @throws {CacheError} E_IO: then no slot may get another tenant. */
  withdraw(): void {
    clearTimeout(this.#retry);
    this.#file?.close();
    this.#file = undefined;
    this.#named = false;
  }

  /** Readers keep away for as long as the drive is sick, or as every access is to be seen because it is recorded. */
  pause(reason: "sick" | "recording", paused: boolean): void {
    if (paused) this.#pauses.add(reason);
    else this.#pauses.delete(reason);
    this.#attempt((file) => file.setOpen(this.#pauses.size === 0));
  }

  /**
   * Follows an index for as long as it is the cache's. One that a wipe has replaced still commits what it had queued, and
   * by then the numbers of its files may be those of other files.
   */
  follow(index: BlockIndex): void {
    const isPresent = (): boolean => this.#options.index() === index;
    index.follow({
      queued: (objectId, block) => {
        if (isPresent()) this.#queued(objectId, block);
      },
      committed: (blocks) => {
        if (isPresent()) this.#committed(blocks);
      },
    });
  }

  /** A block is about to change: it is not shown again before that is committed. */
  #queued(objectId: number, block: number): void {
    this.#attempt((file) => file.remove(objectId, block));
  }

  /** Follows a commit. @throws {CacheError} E_IO when it can neither be followed nor the file be closed. */
  #committed(blocks: CommittedBlocks): void {
    const index = this.#options.index();
    this.#write((file) => {
      for (const [objectId, entries] of blocks) {
        for (const [block, entry] of entries) {
          if (index.isChanging(objectId, block, true)) continue; // there is something newer to come
          if (entry === null || entry.slot === NO_SLOT) file.remove(objectId, block);
          else this.#put(file, objectId, block, entry);
        }
      }
    });
  }

  /** What readers know of these names may hold no more. @throws {CacheError} E_IO when neither that can be noted nor the file be closed. */
  note(noticed: Noticed): void {
    this.#write((file) => file.note(noticed));
  }

  /** Shows a block that was asked for and is not there: others have taken its place. */
  offer(objectId: number, block: number): void {
    this.#write((file) => {
      if (!file.has(objectId, block)) this.#show(file, objectId, block);
    });
  }

  /** Ends the work and closes the file; resolves when nothing is under way. @throws {CacheError} as withdraw. */
  async close(): Promise<void> {
    this.#closed = true;
    this.withdraw();
    await this.#work;
    if (fs.lstatSync(this.#options.path, { throwIfNoEntry: false })?.isFile() === true)
      fs.rmSync(this.#options.path);
  }

  get #buckets(): number {
    return bucketsIn(this.#options.capacityBytes() * LOOKUP_SHARE);
  }

  /** Whoever asks for this goes on: commits fail, and so no slot gets another tenant, for as long as the trouble lasts. */
  #attempt(body: (file: LookupFile) => void): void {
    try {
      this.#write(body);
    } catch (error) {
      this.#stuck(error);
    }
  }

  /** @returns whether nothing is published any more. */
  #withdrawn(): boolean {
    try {
      this.withdraw();
      return true;
    } catch (error) {
      this.#stuck(error);
      return false;
    }
  }

  #stuck(error: unknown): void {
    this.#options.log("error", "the lookup file can neither be written nor closed", {
      error: messageOf(error),
    });
  }

  /** A file that could not be changed is closed: nothing may stand in it that holds no more. */
  #write(body: (file: LookupFile) => void): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      body(file);
    } catch (error) {
      this.withdraw();
      // Nothing is wrong with the drive if somebody else has changed the file.
      this.#failed(error, file.damaged ? 0 : this.#options.retryMs);
    }
  }

  #put(file: LookupFile, objectId: number, block: number, entry: Entry): void {
    file.put(objectId, block, entry);
    this.published += 1;
  }

  /** Shows what the index has of a block. */
  #show(file: LookupFile, objectId: number, block: number): void {
    const index = this.#options.index();
    if (index.isChanging(objectId, block)) return;
    let entry: Entry | undefined;
    try {
      entry = index.getEntry(objectId, block);
    } catch (error) {
      if (isCacheError(error, "E_INDEX_CORRUPT")) return; // whoever reads the block will meet and count it
      throw error;
    }
    if (entry === undefined || !this.#options.table.isTenant(entry.slot, objectId, block)) return;
    this.#put(file, objectId, block, entry);
  }

  async #make(): Promise<void> {
    const { path, cacheId, mode, epoch } = this.#options;
    const buckets = this.#buckets;
    if (this.#closed || this.#file !== undefined || buckets === 0) return;
    const early = `${path}.new`;
    try {
      fs.rmSync(early, { recursive: true, force: true });
      const file = LookupFile.create({ path: early, cacheId, epoch: epoch(), buckets, mode });
      this.#file = file;
      file.setOpen(this.#pauses.size === 0);
      setForeignAside(path);
      await fs.promises.rename(early, path); // a large one that loses its name here takes the drive a while
      if (this.#file !== file) return;
      this.#named = true;
      await this.#fill(file);
    } catch (error) {
      this.#withdrawn();
      this.#failed(error, this.#options.retryMs);
    }
  }

  /** Shows every block that the cache has, a little at a time. */
  async #fill(file: LookupFile): Promise<void> {
    const { table } = this.#options;
    let endMs = performance.now() + FILL_SLICE_MS;
    for (let slot = 0; slot < table.numbers; slot += 1) {
      if (table.stateOf(slot) === STATE.used) this.#show(file, table.objectIdOf(slot), table.blockOf(slot));
      if (slot % FILL_LOOK_STEPS !== 0 || performance.now() < endMs) continue;
      await sleep(FILL_PAUSE_MS, undefined, { ref: false });
      if (this.#file !== file) return;
      endMs = performance.now() + FILL_SLICE_MS;
    }
  }

  #failed(error: unknown, retryMs = RETRY_MS): void {
    this.#options.log("warn", "direct reads are off for a while: the lookup file could not be written", {
      error: messageOf(error),
    });
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.restart(), retryMs).unref();
  }
}
