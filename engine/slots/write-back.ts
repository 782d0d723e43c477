/**
 * Remembers which slots were written since their last sync and syncs them in the background, so that a clean stop finds
 * few left. What waits is bounded: past the bound writers are held back until the drive has caught up.
 */
import type { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { SlotFiles } from "./slot-files.js";
import { reached } from "../../index/core/steps.js";

/** At some 100 MB/s of a slow drive this many bytes take five seconds of a stop. */
export const UNSYNCED_BYTES_MAX = 512 * 1024 * 1024;
export const UNSYNCED_SLOTS_MAX = 4096;
/** A slot is synced once its oldest unsynced write is this old: later writes to the same slot share one sync. */
const AGE_MS = 1000;
const TICK_MS = 250;
const PARALLEL_RUNNING = 2;
const PARALLEL_CLOSING = 4;

export class WriteBack {
  readonly #files: SlotFiles;
  readonly #now: () => number;
  readonly #onError: (slot: number, error: CacheError) => void;
  /** Slot to the time of its oldest unsynced write and its pages; oldest first. */
  readonly #unsynced = new Map<number, { sinceMs: number; pages: number }>();
  #pages = 0;
  #syncing = 0;
  /** Being synced, and still wanted. */
  readonly #underWay = new Set<number>();
  #timer: NodeJS.Timeout | undefined;
  #waiting: Array<() => void> = [];
  #failed = false;

  constructor(options: {
    files: SlotFiles;
    now: () => number;
    onError: (slot: number, error: CacheError) => void;
  }) {
    this.#files = options.files;
    this.#now = options.now;
    this.#onError = options.onError;
  }

  /** A sync failed in this session: the drive lost data, and the session may not end clean. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Nothing that was lost is named any more. */
  forgive(): void {
    this.#failed = false;
  }

  get unsyncedSlots(): number {
    return this.#unsynced.size + this.#syncing;
  }

  /** Resolves when one more write may start. */
  async admit(): Promise<void> {
    while (this.#overBound()) {
      this.#pump(true);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** To be called after every successful write of a slot. */
  note(slot: number, pages: number): void {
    const known = this.#unsynced.get(slot);
    if (known === undefined) {
      this.#unsynced.set(slot, { sinceMs: this.#now(), pages });
      this.#pages += pages;
    } else if (pages > known.pages) {
      this.#pages += pages - known.pages;
      known.pages = pages;
    }
    this.#timer ??= setInterval(() => this.#pump(false), TICK_MS).unref();
  }

  /** The slot's file is gone; nothing of it is left to sync. */
  forget(slot: number): void {
    this.#underWay.delete(slot);
    const known = this.#unsynced.get(slot);
    if (known === undefined) return;
    this.#unsynced.delete(slot);
    this.#pages -= known.pages;
  }

  /** Syncs everything; resolves when nothing is left. Failures show in `failed`. */
  async drain(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    await Promise.all(Array.from({ length: PARALLEL_CLOSING }, () => this.#work(Number.POSITIVE_INFINITY)));
    while (this.#syncing > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Stops without syncing. */
  abandon(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #overBound(): boolean {
    return this.#pages * PAGE_BYTES >= UNSYNCED_BYTES_MAX || this.#unsynced.size >= UNSYNCED_SLOTS_MAX;
  }

  #pump(now: boolean): void {
    const before =
      now || this.#pages * PAGE_BYTES >= UNSYNCED_BYTES_MAX / 2
        ? Number.POSITIVE_INFINITY
        : this.#now() - AGE_MS;
    // Each worker reports its own failures and never rejects.
    while (this.#syncing < PARALLEL_RUNNING && this.#hasOlder(before)) void this.#work(before);
    if (this.#unsynced.size === 0 && this.#syncing === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }

  #hasOlder(beforeMs: number): boolean {
    const oldest = this.#unsynced.values().next().value;
    return oldest !== undefined && oldest.sinceMs < beforeMs;
  }

  async #work(beforeMs: number): Promise<void> {
    this.#syncing += 1;
    while (this.#hasOlder(beforeMs)) {
      const [slot, { pages }] = this.#unsynced.entries().next().value as [number, { pages: number }];
      this.#unsynced.delete(slot);
      this.#underWay.add(slot);
      try {
        await this.#files.sync(slot);
        reached("sync: slot synced");
      } catch (error) {
        if (this.#underWay.has(slot)) {
          this.#failed = true;
          this.#onError(slot, error as CacheError);
        }
      }
      this.#underWay.delete(slot);
      this.#pages -= pages;
      this.#wake();
    }
    this.#syncing -= 1;
    this.#wake();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }
}
