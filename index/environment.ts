/**
 * LMDB, wrapped: what the index and the ledger need of an environment, as one store. It outlives what LMDB does not: an
 * environment that refuses everything after a failed write says so, and one that is flushed with every commit is opened again.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { CacheError, messageOf } from "./core/errors.js";
import type { KeyRange } from "./keys.js";
import { type BinaryTable, type EnvironmentOptions, Lmdb, PAGE_BYTES } from "./lmdb.js";

export type { Regime } from "./lmdb.js";

const META_PAGES = 2;
const DEAD = "a failed write left it in doubt";

type TreeStats = {
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
  entryCount: number;
};
type EnvironmentStats = TreeStats & { root: TreeStats; free: TreeStats; lastTxnId: number };

/** One change of one key; without a value the key is removed. The bytes must not change until the commit resolves. */
export interface Write<TableName extends string> {
  readonly table: TableName;
  readonly key: Buffer;
  readonly value?: Buffer | undefined;
}

export interface StoreStats {
  /** Sizes of data.mdb and lock.mdb. */
  readonly fileBytes: number;
  /** Pages that hold something; the rest of data.mdb is free for later commits. */
  readonly usedBytes: number;
  readonly transactionId: number;
  /** Committed records of the tables, by name. */
  readonly records: Readonly<Record<string, number>>;
}

/** What the index and the ledger need of an environment; tests put failing ones in its place. */
export interface Store<TableName extends string> {
  /** `watch` is called once when every call but stats and close fails with E_IO from then on: another store has to take its place. */
  watchDeath(watch: (error: CacheError) => void): void;
  /** A copy of the value, or undefined. */
  get(table: TableName, key: Buffer): Buffer | undefined;
  /** The value in a buffer that the next call of any method overwrites, or undefined. */
  peek(table: TableName, key: Buffer): Uint8Array | undefined;
  /** Up to `countMax` pairs, ascending, copied, of one snapshot. @param range all keys unless given. */
  scan(
    table: TableName,
    range: Partial<KeyRange>,
    countMax: number,
    after?: Buffer,
  ): Array<{ key: Buffer; value: Buffer }>;
  /** Writes all or nothing; visible to reads once resolved. @throws {CacheError} E_IO, in the promise. */
  commit(writes: ReadonlyArray<Write<TableName>>): Promise<void>;
  /** The same, before it returns: for opening. @throws {CacheError} E_IO. */
  commitNow(writes: ReadonlyArray<Write<TableName>>): void;
  /** Of a dead store, what was known of it last. */
  stats(): StoreStats;
  /** Flushes what was committed. @throws {CacheError} E_IO, in the promise. */
  sync(): Promise<void>;
  /** Waits for the commit in flight, then closes without flushing. */
  close(): Promise<void>;
}

/** An open LMDB environment; directory 0700, files 0600. The caller owns the cache's lock. */
export class Environment<TableName extends string> implements Store<TableName> {
  readonly #options: EnvironmentOptions<TableName>;
  #lmdb: Lmdb<TableName>;
  /** Of commits and flushes, which must not begin beside one that may fail. Never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  /** All that was committed is flushed. */
  #flushed = false;
  /** Of a flush that nobody waited for. */
  #unflushed: CacheError | undefined;
  #trees: Omit<StoreStats, "fileBytes"> = { usedBytes: 0, transactionId: 0, records: {} };

  private constructor(options: EnvironmentOptions<TableName>) {
    this.#options = options;
    this.#lmdb = Lmdb.open(options);
  }

  /** @throws {CacheError} E_IO when it cannot be opened; E_INDEX_CORRUPT when it is not an LMDB environment. */
  static open<TableName extends string>(options: EnvironmentOptions<TableName>): Environment<TableName> {
    return new Environment(options);
  }

  watchDeath(watch: (error: CacheError) => void): void {
    if (this.#options.regime === "durable") return; // it is opened again
    this.#lmdb.watchDeath((cause) =>
      watch(new CacheError("E_IO", `Cannot go on with the index: ${DEAD}: ${messageOf(cause)}`, { cause })),
    );
  }

  get(table: TableName, key: Buffer): Buffer | undefined {
    const value = this.#reading(() => this.#lmdb.table(table).getBinary(key));
    return value === undefined ? undefined : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  peek(table: TableName, key: Buffer): Uint8Array | undefined {
    try {
      return this.#lmdb.table(table).getBinaryFast(key);
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  scan(
    table: TableName,
    range: Partial<KeyRange>,
    countMax: number,
    after?: Buffer,
  ): Array<{ key: Buffer; value: Buffer }> {
    const start = after ?? range.start;
    const options = {
      ...(start !== undefined && { start }),
      ...(range.end !== undefined && { end: range.end }),
      exclusiveStart: after !== undefined,
      limit: countMax,
    };
    return this.#reading(() => {
      const pairs: Array<{ key: Buffer; value: Buffer }> = [];
      let last = after;
      for (const { key, value } of this.#lmdb.table(table).getRange(options)) {
        // A walk that goes on behind the last key would have no end.
        if (last !== undefined && Buffer.compare(key, last) <= 0) throw new Error("keys are out of order");
        last = Buffer.from(key);
        pairs.push({ key: last, value: Buffer.from(value) });
      }
      return pairs;
    });
  }

  async commit(writes: ReadonlyArray<Write<TableName>>): Promise<void> {
    if (writes.length === 0) return;
    const done = this.#inTurn(async () => {
      await this.#revive();
      const { root } = this.#lmdb;
      this.#flushed = this.#options.regime === "durable";
      try {
        await root.batch(() => this.#apply(writes));
      } catch (error) {
        const failure = commitFailure(await causeOf(error));
        await this.#revive().catch(() => undefined); // the next commit tries again, and says why it cannot
        throw failure;
      }
      root.resetReadTxn();
    });
    // Whatever became of the commit: it may have failed for its flush.
    if (this.#options.regime === "recoverable") void this.#inTurn(() => this.#flush());
    await done;
  }

  commitNow(writes: ReadonlyArray<Write<TableName>>): void {
    this.#flushed = false;
    try {
      this.#lmdb.root.transactionSync(() => this.#apply(writes));
    } catch (error) {
      throw commitFailure(error);
    }
    this.#lmdb.root.resetReadTxn();
  }

  stats(): StoreStats {
    try {
      this.#trees = this.#treesNow();
    } catch (cause) {
      if (!this.#lmdb.look()) throw cause;
    }
    const { directory } = this.#options;
    const fileBytes = statSync(join(directory, "data.mdb")).size + statSync(join(directory, "lock.mdb")).size;
    return { fileBytes, ...this.#trees };
  }

  #treesNow(): Omit<StoreStats, "fileBytes"> {
    let pages = META_PAGES;
    let transactionId = 0;
    const records: Record<string, number> = {};
    for (const [index, [name, table]] of [...this.#lmdb.tables].entries()) {
      const stats = table.getStats() as EnvironmentStats;
      records[name] = stats.entryCount;
      pages += pagesOf(stats);
      if (index > 0) continue;
      pages += pagesOf(stats.root) + pagesOf(stats.free);
      transactionId = stats.lastTxnId;
    }
    return { usedBytes: pages * PAGE_BYTES, transactionId, records };
  }

  async sync(): Promise<void> {
    await this.#inTurn(async () => {
      const failure = this.#unflushed;
      this.#unflushed = undefined;
      if (failure !== undefined) throw failure;
      if (this.#flushed) return;
      if (this.#lmdb.look()) throw new CacheError("E_IO", `Cannot flush the index: ${DEAD}`);
      await this.#flush();
      if (this.#unflushed !== undefined) throw this.#unflushed;
    });
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#lmdb.close();
  }

  /** One after another. A promise of the work. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined); // the caller gets the error
    return done;
  }

  /** Opens again what a failed write has left useless, where all that was committed is on the drive. */
  async #revive(): Promise<void> {
    if (!this.#lmdb.look()) return;
    const { regime, check } = this.#options;
    if (regime !== "durable") throw new CacheError("E_IO", `Cannot commit to the index: ${DEAD}`);
    await this.#lmdb.close();
    check?.();
    this.#lmdb = Lmdb.open(this.#options);
  }

  async #flush(): Promise<void> {
    try {
      await this.#lmdb.flush();
      this.#flushed = true;
    } catch (cause) {
      this.#unflushed = new CacheError("E_IO", `Cannot flush the index: ${messageOf(cause)}`, { cause });
    }
  }

  #apply(writes: ReadonlyArray<Write<TableName>>): void {
    for (const { table: name, key, value } of writes) {
      const table: BinaryTable = this.#lmdb.table(name);
      // What each returns is settled by the batch.
      if (value === undefined) void table.remove(key);
      else void table.put(key, value);
    }
  }

  #reading<T>(read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw this.#unreadable(cause);
    }
  }

  #unreadable(cause: unknown): CacheError {
    if (this.#lmdb.look()) return new CacheError("E_IO", `Cannot read the index: ${DEAD}`, { cause });
    return new CacheError("E_INDEX_CORRUPT", `Cannot read the index: ${messageOf(cause)}`, { cause });
  }
}

function pagesOf(stats: TreeStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}

function commitFailure(cause: unknown): CacheError {
  return new CacheError("E_IO", `Cannot commit to the index: ${messageOf(cause)}`, { cause });
}

/** lmdb-js rejects with a stand-in; the reason comes in a promise that would be an unhandled rejection if left alone. */
async function causeOf(error: unknown): Promise<unknown> {
  if (typeof error !== "object" || error === null || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
