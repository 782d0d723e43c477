/** The table of fill leases: who fetches which block, and who waits for it, in order. Knows no bytes. */
import assert from "node:assert/strict";
import type { BypassReason } from "./api.js";
import { LEASES_MAX, LEASE_WAITERS_MAX, type LeaseTimes } from "./lease-api.js";

/** A file: content of it that is older than its stamp does not exist. */
export interface Stamped {
  readonly stampMax: number;
}

/** One lease, from its begin to its end. */
export interface Grant<File extends Stamped> {
  readonly file: File;
  readonly block: number;
  /** The file's stamp when it was given: with another one, what was fetched may be stale. */
  readonly stamp: number;
  readonly expiresAtMs: number;
  /** The block was removed since. */
  void: boolean;
}

/**
 * What a caller is to do: fetch; look again, since bytes were put or the table ended; go to the origin, for the reason
 * given or for none.
 */
export type LeaseAnswer<File extends Stamped> =
  | { readonly kind: "lease"; readonly grant: Grant<File> }
  | { readonly kind: "again" }
  | { readonly kind: "miss" }
  | { readonly kind: "bypass"; readonly reason: BypassReason };

interface Waiter<File extends Stamped> {
  readonly leaseMs: number;
  readonly timer: NodeJS.Timeout;
  readonly resolve: (answer: LeaseAnswer<File>) => void;
}

interface Pending<File extends Stamped> {
  grant: Grant<File>;
  timer: NodeJS.Timeout;
  /** In the order of their arrival. */
  readonly waiters: Set<Waiter<File>>;
}

export interface LeasesOptions<File extends Stamped> {
  readonly now: () => number;
  /** The file is named by a lease: it must stay the same object until `letGo`. */
  readonly hold: (file: File) => void;
  readonly letGo: (file: File) => void;
  /** LEASES_MAX and LEASE_WAITERS_MAX unless given; for tests. */
  readonly leasesMax?: number;
  readonly waitersMax?: number;
}

const AGAIN = { kind: "again" } as const;
const MISS = { kind: "miss" } as const;

export class Leases<File extends Stamped> {
  readonly #options: LeasesOptions<File>;
  readonly #leasesMax: number;
  readonly #waitersMax: number;
  readonly #files = new Map<File, Map<number, Pending<File>>>();
  #held = 0;
  #waiting = 0;
  #given = 0;

  constructor(options: LeasesOptions<File>) {
    this.#options = options;
    this.#leasesMax = options.leasesMax ?? LEASES_MAX;
    this.#waitersMax = options.waitersMax ?? LEASE_WAITERS_MAX;
  }

  /** Leases out now, callers that wait, and leases given so far. */
  get counts(): { readonly held: number; readonly waiting: number; readonly given: number } {
    return { held: this.#held, waiting: this.#waiting, given: this.#given };
  }

  /** To be called in the same turn as the look that found the block missing. */
  take(file: File, block: number, times: LeaseTimes): LeaseAnswer<File> | Promise<LeaseAnswer<File>> {
    const pending = this.#files.get(file)?.get(block);
    if (pending === undefined) {
      if (this.#held >= this.#leasesMax) return MISS;
      return { kind: "lease", grant: this.#begin(file, block, times.leaseMs) };
    }
    if (times.waitMs <= 0 || pending.waiters.size >= this.#waitersMax) return MISS;
    if (times.mayWait?.() === false) return MISS;
    return new Promise((resolve) => {
      // It keeps the process alive, as any call under way does.
      const timer = setTimeout(() => this.#answer(pending, waiter, MISS), times.waitMs);
      const waiter = { leaseMs: times.leaseMs, timer, resolve };
      pending.waiters.add(waiter);
      this.#waiting += 1;
    });
  }

  /** Whether the lease is still out. */
  holds(grant: Grant<File>): boolean {
    return this.#files.get(grant.file)?.get(grant.block)?.grant === grant;
  }

  /** Whether others wait for what the holder fetches. */
  isAwaited(grant: Grant<File>): boolean {
    const pending = this.#files.get(grant.file)?.get(grant.block);
    return pending?.grant === grant && pending.waiters.size > 0;
  }

  /** The holder stops without content: the next takes over. Nothing happens if the lease has ended. */
  end(grant: Grant<File>): void {
    const pending = this.#files.get(grant.file)?.get(grant.block);
    if (pending?.grant === grant) this.#pass(pending);
  }

  /** What was fetched cannot be stored; those who wait are not made to try one after the other. */
  fail(grant: Grant<File>, reason: BypassReason): void {
    const pending = this.#files.get(grant.file)?.get(grant.block);
    if (pending?.grant === grant) this.#close(pending, { kind: "bypass", reason });
  }

  /** The block was put, by whomever: whoever waits for it looks again. */
  stored(file: File, block: number): void {
    if (this.#held === 0) return;
    const pending = this.#files.get(file)?.get(block);
    if (pending !== undefined) this.#close(pending, AGAIN);
  }

  /** The block was removed: what is being fetched may be what was removed. */
  removed(file: File, block: number): void {
    if (this.#held === 0) return;
    const pending = this.#files.get(file)?.get(block);
    if (pending === undefined) return;
    pending.grant.void = true;
    this.#pass(pending);
  }

  /** Blocks `firstBlock` to `endBlock` - 1 of a file were removed. */
  removedRange(file: File, firstBlock: number, endBlock: number): void {
    if (this.#held === 0) return;
    for (const block of this.#files.get(file)?.keys() ?? []) {
      if (block >= firstBlock && block < endBlock) this.removed(file, block);
    }
  }

  /** The stamp of some file, or of many, was raised. */
  invalidated(): void {
    if (this.#held === 0) return;
    for (const pending of this.#all())
      if (pending.grant.stamp !== pending.grant.file.stampMax) this.#pass(pending);
  }

  /** Ends all leases, and sends all who wait to look again. */
  endAll(): void {
    for (const pending of this.#all()) this.#close(pending, AGAIN);
    assert.equal(this.#held, 0);
    assert.equal(this.#waiting, 0);
  }

  #all(): Pending<File>[] {
    return [...this.#files.values()].flatMap((blocks) => [...blocks.values()]);
  }

  #begin(file: File, block: number, leaseMs: number): Grant<File> {
    let blocks = this.#files.get(file);
    if (blocks === undefined) {
      blocks = new Map();
      this.#files.set(file, blocks);
      this.#options.hold(file);
    }
    const grant = this.#grant(file, block, leaseMs);
    blocks.set(block, { grant, timer: this.#expiry(grant, leaseMs), waiters: new Set() });
    this.#held += 1;
    return grant;
  }

  #grant(file: File, block: number, leaseMs: number): Grant<File> {
    this.#given += 1;
    const expiresAtMs = this.#options.now() + leaseMs;
    return { file, block, stamp: file.stampMax, expiresAtMs, void: false };
  }

  #expiry(grant: Grant<File>, leaseMs: number): NodeJS.Timeout {
    return setTimeout(() => this.end(grant), leaseMs).unref();
  }

  /** The next takes over; without one the lease is over. */
  #pass(pending: Pending<File>): void {
    const [next] = pending.waiters;
    if (next === undefined) {
      this.#close(pending, AGAIN);
      return;
    }
    clearTimeout(pending.timer);
    const { file, block } = pending.grant;
    pending.grant = this.#grant(file, block, next.leaseMs);
    pending.timer = this.#expiry(pending.grant, next.leaseMs);
    this.#answer(pending, next, { kind: "lease", grant: pending.grant });
  }

  #close(pending: Pending<File>, answer: LeaseAnswer<File>): void {
    clearTimeout(pending.timer);
    const { file, block } = pending.grant;
    const blocks = this.#files.get(file);
    assert.ok(blocks !== undefined && blocks.delete(block));
    this.#held -= 1;
    if (blocks.size === 0) {
      this.#files.delete(file);
      this.#options.letGo(file);
    }
    for (const waiter of pending.waiters) this.#answer(pending, waiter, answer);
  }

  #answer(pending: Pending<File>, waiter: Waiter<File>, answer: LeaseAnswer<File>): void {
    clearTimeout(waiter.timer);
    pending.waiters.delete(waiter);
    this.#waiting -= 1;
    waiter.resolve(answer);
  }
}
