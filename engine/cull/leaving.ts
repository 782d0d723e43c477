/**
 * Slots on their way from used to free: the removal of their entry has to be committed, and whoever still reads them
 * has to be done. Only then may another tenant's bytes go there.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import { reached } from "../../index/core/steps.js";

const COMMIT_RETRY_MS = 100;

export interface LeavingParts {
  readonly table: SlotTable;
  /** Resolves when all that is queued is committed. */
  readonly committed: () => Promise<void>;
  /** These slots have state `free` now. */
  readonly onFree: (slots: readonly number[]) => void;
  readonly now: () => number;
  /** So long did a group of slots take to leave. */
  readonly onReleased: (ms: number) => void;
  readonly onTrouble: (message: string, error: unknown) => void;
}

export class Leaving {
  readonly #parts: LeavingParts;
  readonly #readers = new Map<number, number>();
  /** Left since the commit under way began. */
  #left: number[] = [];
  /** Committed, but still read. */
  readonly #read = new Set<number>();
  #slots = 0;
  #pages = 0;
  #releasing: Promise<void> | undefined;
  #closed = false;

  constructor(parts: LeavingParts) {
    this.#parts = parts;
  }

  /** Slots that wait for a commit. */
  get slots(): number {
    return this.#slots;
  }

  /** Their high-water marks, in pages. */
  get pages(): number {
    return this.#pages;
  }

  /** A used slot leaves: the removal of its entry was queued. */
  add(slot: number): void {
    this.#parts.table.move(slot, STATE.used, STATE.leaving);
    this.#left.push(slot);
    this.#slots += 1;
    this.#pages += this.#parts.table.pagesOf(slot);
    this.#releasing ??= this.#releaseSafely();
  }

  isRead(slot: number): boolean {
    return this.#readers.has(slot);
  }

  /** Whether anybody reads any slot. */
  get anyRead(): boolean {
    return this.#readers.size > 0;
  }

  startReading(slot: number): void {
    this.#readers.set(slot, (this.#readers.get(slot) ?? 0) + 1);
  }

  endReading(slot: number): void {
    const readers = (this.#readers.get(slot) ?? 1) - 1;
    if (readers > 0) {
      this.#readers.set(slot, readers);
      return;
    }
    this.#readers.delete(slot);
    if (this.#read.delete(slot)) this.#free([slot]);
  }

  /** Resolves when what left before this call is committed, or will not be because this was closed. */
  async released(): Promise<void> {
    await this.#releasing;
  }

  /** A commit that keeps failing is no longer waited for. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#releasing;
  }

  /** What was left waiting for a commit is waited for again. */
  resume(): void {
    this.#closed = false;
    if (this.#left.length > 0) this.#releasing = this.#releaseSafely();
  }

  async #releaseSafely(): Promise<void> {
    try {
      await this.#release();
    } catch (error) {
      this.#releasing = undefined;
      this.#parts.onTrouble("slots that left could not be freed", error);
    }
  }

  /** One commit at a time, each for all that left before it. It ends in the turn that finds nothing left: no slot comes in between. */
  async #release(): Promise<void> {
    await Promise.resolve(); // so that #releasing is set before this can end
    while (this.#left.length > 0) {
      const slots = this.#left;
      this.#left = [];
      const beganMs = this.#parts.now();
      while (!(await this.#commit())) {
        if (this.#closed) {
          this.#left.unshift(...slots);
          this.#releasing = undefined;
          return;
        }
        await sleep(COMMIT_RETRY_MS);
      }
      reached("reuse: old name committed");
      this.#parts.onReleased(this.#parts.now() - beganMs);
      this.#slots -= slots.length;
      for (const slot of slots) this.#pages -= this.#parts.table.pagesOf(slot);
      this.#free(slots);
    }
    this.#releasing = undefined;
  }

  async #commit(): Promise<boolean> {
    try {
      await this.#parts.committed();
      return true;
    } catch (error) {
      this.#parts.onTrouble("the index could not commit; slots wait for it", error);
      return false;
    }
  }

  #free(slots: readonly number[]): void {
    const { table, onFree } = this.#parts;
    const free: number[] = [];
    for (const slot of slots) {
      // A slot set aside meanwhile keeps its state; its pages were counted as leaving until now.
      if (table.stateOf(slot) === STATE.retired) table.setPages(slot, 0);
      if (table.stateOf(slot) !== STATE.leaving) continue;
      if (this.#readers.has(slot)) this.#read.add(slot);
      else {
        table.move(slot, STATE.leaving, STATE.free);
        free.push(slot);
      }
    }
    onFree(free);
  }
}
