/** What is done about slots that were set aside after trouble. Types and limits, as api.ts. */

/** Slots that one page lists. */
export const QUARANTINE_SLOTS_MAX = 500;

export const QUARANTINE_FILES = ["usable", "missing", "unusable"] as const;

export interface QuarantinedSlot {
  readonly slot: number;
  /** What it counts as in the capacity. */
  readonly bytes: number;
  /** What lies under its name: a file that could be used, none, or something else. */
  readonly file: (typeof QUARANTINE_FILES)[number];
}

export interface QuarantinePage {
  /** In the order of their numbers. */
  readonly slots: readonly QuarantinedSlot[];
  readonly more: boolean;
}

export interface RetryReport {
  readonly slot: number;
  /** Whether the slot is free now, for any block. */
  readonly free: boolean;
  /** Why it is not. */
  readonly reason?: string;
}

export interface QuarantineCalls {
  /** @param page `after`: slots with higher numbers than this; `limit`: 1 to QUARANTINE_SLOTS_MAX. @throws {CacheError} E_ARGUMENT, E_CLOSED. */
  list(page?: { readonly after?: number; readonly limit?: number }): Promise<QuarantinePage>;
  /**
   * Tries a slot anew: its whole file is written, synced and read back, and if that is as it should be it is free. What is read may come from
   * the page cache, as with every file that was just written. @throws {CacheError} E_NOT_FOUND if it is not quarantined, E_BUSY
   * while it is being tried, E_ARGUMENT, E_CLOSED.
   */
  retry(slot: number): Promise<RetryReport>;
  /**
   * Gives a slot up for good: its name is removed, its number never used again, and its bytes count no more, so that the capacity
   * has room for a new one. @throws {CacheError} as retry; E_IO when the name can't be removed: the slot stays as it is.
   */
  release(slot: number): Promise<void>;
}
