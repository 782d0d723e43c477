/**
 * When changes are committed: gathers them, keeps one commit in flight at a time, and lets a failed commit's changes
 * go again with the next one. What a commit writes is the caller's business.
 */
import { CacheError, messageOf } from "./core/errors.js";
import { Changes } from "./changes.js";

/** A batch of this many changes is committed without waiting for the delay. */
export const BATCH_CHANGES_MAX = 1024;
export const COMMIT_DELAY_MS = 2;
/** A commit that takes longer fails those who wait for it, though it goes on. */
export const COMMIT_MS_MAX = 30_000;
/** How often a failed commit is repeated unasked; after that, only when there is something new. */
export const COMMIT_RETRIES_MAX = 8;
export const RETRY_DELAY_MS_MIN = 50;
export const RETRY_DELAY_MS_MAX = 1000;

export interface GroupCommitOptions {
  /** Writes a batch, all or nothing. */
  readonly write: (changes: Changes) => Promise<void>;
  readonly delayMs: number;
  readonly commitMsMax?: number;
}

/** Changes queue in `pending`, move to `inFlight`, and are gone from here once committed. */
export class GroupCommit {
  readonly #write: (changes: Changes) => Promise<void>;
  readonly #delayMs: number;
  readonly #commitMsMax: number;
  #pending = new Changes();
  #inFlight: Changes | undefined;
  #timer: NodeJS.Timeout | undefined;
  #resting = false;
  #overdue = false;
  #failures = 0;
  #failure: CacheError | undefined;

  constructor(options: GroupCommitOptions) {
    this.#write = options.write;
    this.#delayMs = options.delayMs;
    this.#commitMsMax = options.commitMsMax ?? COMMIT_MS_MAX;
  }

  get pending(): Changes {
    return this.#pending;
  }

  get inFlight(): Changes | undefined {
    return this.#inFlight;
  }

  get changeCount(): number {
    return this.#pending.count + (this.#inFlight?.count ?? 0);
  }

  /** Why the last commit failed; undefined again after one that went well. */
  get failure(): CacheError | undefined {
    return this.#failure;
  }

  /** A commit has been in flight for longer than COMMIT_MS_MAX. */
  get overdue(): boolean {
    return this.#overdue;
  }

  /** To be called after every change of `pending`. */
  changed(): void {
    if (this.#inFlight !== undefined || this.#resting) return;
    if (this.#pending.count >= BATCH_CHANGES_MAX) this.#start();
    else this.#timer ??= setTimeout(() => this.#start(), this.#delayMs);
  }

  /**
   * Resolves when everything queued before is committed, and hurries that.
   * @throws {CacheError} E_IO, in the promise, if that commit failed or takes too long.
   */
  committed(): Promise<void> {
    if (this.#overdue && this.#failure !== undefined) return Promise.reject(this.#failure);
    const batch = this.#pending.count > 0 ? this.#pending : this.#inFlight;
    if (batch === undefined) return Promise.resolve();
    const promise = new Promise<void>((resolve, reject) => batch.waiters.push({ resolve, reject }));
    if (this.#inFlight === undefined && !this.#resting) this.#start();
    return promise;
  }

  /** Starts no further commit; who still waits for one that has not begun is told so. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#resting = true;
    const reason = this.#failure ?? new CacheError("E_CLOSED", "Cannot commit: the index is closed");
    for (const waiter of this.#pending.waiters.splice(0)) waiter.reject(reason);
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#pending.count === 0) return;
    const batch = this.#pending;
    this.#inFlight = batch;
    this.#pending = new Changes();
    const overdue = setTimeout(() => this.#late(batch), this.#commitMsMax);
    const settle = (end: () => void): void => {
      clearTimeout(overdue);
      this.#overdue = false;
      this.#inFlight = undefined;
      end();
    };
    this.#attempt(batch).then(
      () => settle(() => this.#succeeded(batch)),
      (error: unknown) => settle(() => this.#failed(batch, error)),
    );
  }

  // Not every writer keeps a throw inside its promise.
  async #attempt(batch: Changes): Promise<void> {
    await this.#write(batch);
  }

  #succeeded(batch: Changes): void {
    this.#failures = 0;
    this.#failure = undefined;
    for (const waiter of batch.waiters) waiter.resolve();
    if (this.#resting || this.#pending.count === 0) return;
    if (this.#pending.waiters.length > 0) this.#start();
    else this.changed();
  }

  #failed(batch: Changes, cause: unknown): void {
    const failure = failureOf(cause);
    this.#failure = failure;
    const stopped = this.#resting;
    const waiters = batch.waiters;
    batch.waiters = [];
    batch.absorb(this.#pending);
    this.#pending = batch;
    for (const waiter of waiters) waiter.reject(failure);
    if (stopped) return;
    const restMs = Math.min(RETRY_DELAY_MS_MIN * 2 ** this.#failures, RETRY_DELAY_MS_MAX);
    this.#failures += 1;
    this.#resting = true;
    this.#timer = setTimeout(() => this.#rested(), restMs);
  }

  #rested(): void {
    this.#timer = undefined;
    this.#resting = false;
    if (this.#failures <= COMMIT_RETRIES_MAX || this.#pending.waiters.length > 0) this.#start();
  }

  #late(batch: Changes): void {
    this.#overdue = true;
    this.#failure = new CacheError(
      "E_IO",
      `Cannot commit to the index: no end after ${this.#commitMsMax} ms`,
    );
    const waiters = [...batch.waiters, ...this.#pending.waiters];
    batch.waiters = [];
    this.#pending.waiters = [];
    for (const waiter of waiters) waiter.reject(this.#failure);
  }
}

function failureOf(cause: unknown): CacheError {
  if (cause instanceof CacheError && cause.code === "E_IO") return cause;
  return new CacheError("E_IO", `Cannot commit to the index: ${messageOf(cause)}`, { cause });
}
