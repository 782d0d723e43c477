/** Fill leases: of all who miss a block at the same time one is told to fetch it, and the others wait for its bytes. */
import { CacheError } from "../index/core/errors.js";
import type { GetOptions, GetResult, PutResult, Tag } from "./api.js";

/** How long a lease lasts unless told otherwise, and at most. */
export const LEASE_MS = 10_000;
export const LEASE_MS_MAX = 10 * 60_000;
/** How long a caller waits for another's fetch unless told otherwise, and at most. */
export const LEASE_WAIT_MS = 10_000;
export const LEASE_WAIT_MS_MAX = 10 * 60_000;
/** Leases at a time in one cache, and callers that wait for one of them; beyond either the answer is a plain miss. */
export const LEASES_MAX = 16_384;
export const LEASE_WAITERS_MAX = 1024;

export interface LeaseOptions extends GetOptions {
  /** How long the lease lasts if this caller gets it: 1 to LEASE_MS_MAX, LEASE_MS unless given. */
  readonly leaseMs?: number;
  /** How long to wait while somebody else fetches: 0 to LEASE_WAIT_MS_MAX, LEASE_WAIT_MS unless given. */
  readonly waitMs?: number;
  /** Asked before each wait, in the process that has the cache; where it says no the answer is a plain miss. */
  readonly mayWait?: () => boolean;
}

/**
 * The right, and the task, to fetch one block. It ends by put, by giveUp, when its time is over, when its block is removed
 * or invalidated, and with its holder's process or connection; unless the block is there by then, the next of those who
 * wait gets a lease of its own.
 */
export interface Lease {
  /** What is left of its time; 0 once it has ended, as far as is known here. */
  readonly expiresInMs: number;
  /**
   * Stores what was fetched, as BlockCache.put, and ends the lease. Those who wait are served; if it can't be stored they
   * are told the reason and go to the origin themselves. Content that was removed or invalidated since the lease was given
   * is not stored (`stale`): it may have been fetched before that. After the end of its time it is stored all the same.
   * A lease is used once: after a put or giveUp nothing more is stored by it (`stale`).
   * @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  put(bytes: Uint8Array): Promise<PutResult>;
  /** Ends it without content. Does nothing if it has ended. */
  giveUp(): Promise<void>;
}

/** A plain `miss` means: fetch it yourself, the time to wait is over or there are too many leases or waiters. */
export type LeaseResult = GetResult | { readonly kind: "lease"; readonly lease: Lease };

export interface LeasingCache {
  /**
   * As get, but of those who miss a block one gets a lease and fetches; the others wait, each within its own bound, and
   * get the bytes when they are put, by whomever. A lease is for the whole block, whatever part of it was asked for.
   * @throws {CacheError} E_ARGUMENT, E_CLOSED.
   */
  getOrLease(tag: Tag, options?: LeaseOptions): Promise<LeaseResult>;
}

export interface LeaseTimes {
  readonly leaseMs: number;
  readonly waitMs: number;
  readonly mayWait?: (() => boolean) | undefined;
}

/** The times that a caller asks for. @throws {CacheError} E_ARGUMENT. */
export function checkLeaseTimes(options: LeaseOptions): LeaseTimes {
  return {
    leaseMs: checkMs("lease", "leaseMs", options.leaseMs ?? LEASE_MS, 1, LEASE_MS_MAX),
    waitMs: checkMs("wait", "waitMs", options.waitMs ?? LEASE_WAIT_MS, 0, LEASE_WAIT_MS_MAX),
  };
}

function checkMs(action: string, name: string, ms: number, least: number, most: number): number {
  if (Number.isFinite(ms) && ms >= least && ms <= most) return ms;
  throw new CacheError("E_ARGUMENT", `Cannot ${action}: ${name} is ${ms}, want ${least} to ${most}`);
}
