/**
 * LMDB, wrapped: the only file that imports lmdb. What else of lmdb-js there is stays out of reach on purpose.
 *
 * What shaped it (lmdb-js 3.5.6):
 * - Any other opener of an environment, a reader too, may undo the writer's commits: the owner alone opens one, once.
 * - A read sees one snapshot until the event turn ends; the snapshot is renewed here after every commit.
 * - The fast get returns one global buffer: `peek` says so in its contract.
 * - Closing a noSync environment flushes nothing: `sync` does.
 * - A batch is written by one promise. With event-turn batching, lmdb-js makes a second promise that nobody can catch.
 * - LMDB grows its map by itself; a map that is large enough from the start spares it remapping.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { Database, RootDatabase } from "lmdb";
import { open } from "lmdb";
import { CacheError, errnoOf, messageOf } from "./core/errors.js";
import { shownPath } from "./core/own-files.js";
import type { KeyRange } from "./keys.js";
import { prepareEnvironment } from "./preflight.js";

const PAGE_BYTES = 4096;
const META_PAGES = 2;
const MODE = 0o600;
const NO_EARLY_START = 2 ** 30;

type BinaryTable = Database<Buffer, Buffer>;
type TreeStats = {
  treeBranchPageCount: number;
  treeLeafPageCount: number;
  overflowPages: number;
  entryCount: number;
};
type EnvironmentStats = TreeStats & { root: TreeStats; free: TreeStats; lastTxnId: number };

/**
 * How commits reach the drive: `volatile` leaves them to the kernel (fast; nothing may be trusted after a power cut),
 * `recoverable` flushes them in the background, and whatever end comes, the next opener finds the last one that was flushed
 * (overlappingSync with safeRestore: without the latter the newest commit is taken on the same boot, flushed or not),
 * `durable` flushes each before it resolves.
 */
export type Regime = "volatile" | "recoverable" | "durable";

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
  stats(): StoreStats;
  /** Flushes what was committed. @throws {CacheError} E_IO, in the promise. */
  sync(): Promise<void>;
  /** Waits for the commit in flight, then closes without flushing. */
  close(): Promise<void>;
}

export interface EnvironmentOptions<TableName extends string> {
  readonly directory: string;
  readonly regime: Regime;
  /** Address space set aside, not disk space. */
  readonly mapBytes: number;
  readonly tables: readonly TableName[];
}

/** An open LMDB environment; directory 0700, files 0600. The caller owns the cache's lock. */
export class Environment<TableName extends string> implements Store<TableName> {
  readonly #directory: string;
  readonly #root: RootDatabase<Buffer, Buffer>;
  readonly #tables: ReadonlyMap<TableName, BinaryTable>;

  private constructor(
    directory: string,
    root: RootDatabase<Buffer, Buffer>,
    tables: ReadonlyMap<TableName, BinaryTable>,
  ) {
    this.#directory = directory;
    this.#root = root;
    this.#tables = tables;
  }

  /** @throws {CacheError} E_IO when it cannot be opened; E_INDEX_CORRUPT when it is not an LMDB environment. */
  static open<TableName extends string>(options: EnvironmentOptions<TableName>): Environment<TableName> {
    const { directory, regime, mapBytes, tables } = options;
    prepareEnvironment(directory);
    const binary = { encoding: "binary", keyEncoding: "binary" } as const;
    const settings = {
      ...binary,
      path: directory,
      noSubdir: false,
      noSync: regime === "volatile",
      overlappingSync: regime === "recoverable",
      safeRestore: regime === "recoverable",
      eventTurnBatching: false,
      batchStartThreshold: NO_EARLY_START,
      mapSize: mapBytes,
      maxDbs: tables.length,
      pageSize: PAGE_BYTES,
      permissionsMode: MODE,
    };
    try {
      const root = open<Buffer, Buffer>(settings);
      const opened = tables.map((name) => [name, root.openDB<Buffer, Buffer>(name, binary)] as const);
      return new Environment(directory, root, new Map(opened));
    } catch (cause) {
      const code = errnoOf(cause) === undefined ? "E_INDEX_CORRUPT" : "E_IO";
      throw new CacheError(code, `Cannot open the index in ${shownPath(directory)}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  get(table: TableName, key: Buffer): Buffer | undefined {
    const value = reading(() => this.#table(table).getBinary(key));
    return value === undefined ? undefined : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }

  peek(table: TableName, key: Buffer): Uint8Array | undefined {
    try {
      return this.#table(table).getBinaryFast(key);
    } catch (cause) {
      throw unreadable(cause);
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
    return reading(() => {
      const pairs: Array<{ key: Buffer; value: Buffer }> = [];
      let last = after;
      for (const { key, value } of this.#table(table).getRange(options)) {
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
    try {
      await this.#root.batch(() => this.#apply(writes));
    } catch (error) {
      throw commitFailure(await causeOf(error));
    }
    this.#root.resetReadTxn();
  }

  commitNow(writes: ReadonlyArray<Write<TableName>>): void {
    try {
      this.#root.transactionSync(() => this.#apply(writes));
    } catch (error) {
      throw commitFailure(error);
    }
    this.#root.resetReadTxn();
  }

  stats(): StoreStats {
    let pages = META_PAGES;
    let transactionId = 0;
    const records: Record<string, number> = {};
    for (const [index, [name, table]] of [...this.#tables].entries()) {
      const stats = table.getStats() as EnvironmentStats;
      records[name] = stats.entryCount;
      pages += pagesOf(stats);
      if (index > 0) continue;
      pages += pagesOf(stats.root) + pagesOf(stats.free);
      transactionId = stats.lastTxnId;
    }
    const fileBytes =
      statSync(join(this.#directory, "data.mdb")).size + statSync(join(this.#directory, "lock.mdb")).size;
    return { fileBytes, usedBytes: pages * PAGE_BYTES, transactionId, records };
  }

  async sync(): Promise<void> {
    // The type declarations of lmdb-js leave sync out.
    const root = this.#root as unknown as { sync(done: (error?: Error | null) => void): void };
    const error = await new Promise<Error | null | undefined>((resolve) => root.sync(resolve));
    if (error) throw new CacheError("E_IO", `Cannot flush the index: ${error.message}`, { cause: error });
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #apply(writes: ReadonlyArray<Write<TableName>>): void {
    for (const { table, key, value } of writes) {
      // What each returns is settled by the batch.
      if (value === undefined) void this.#table(table).remove(key);
      else void this.#table(table).put(key, value);
    }
  }

  #table(name: TableName): BinaryTable {
    const table = this.#tables.get(name);
    if (table === undefined) throw new TypeError(`No table ${name}`);
    return table;
  }
}

function pagesOf(stats: TreeStats): number {
  return stats.treeBranchPageCount + stats.treeLeafPageCount + stats.overflowPages;
}

function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw unreadable(cause);
  }
}

function unreadable(cause: unknown): CacheError {
  return new CacheError("E_INDEX_CORRUPT", `Cannot read the index: ${messageOf(cause)}`, { cause });
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
