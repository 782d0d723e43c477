/**
 * An LMDB environment as lmdb-js opens it: the only file that imports lmdb. What else of lmdb-js there is stays out of reach on
 * purpose.
 *
 * What shaped it (lmdb-js 3.5.6):
 * - Any other opener of an environment, a reader too, may undo the writer's commits: the owner alone opens one, once.
 * - A read sees one snapshot until the event turn ends; the snapshot is renewed here after every commit.
 * - The fast get returns one global buffer: `peek` of a store says so in its contract.
 * - Closing a noSync environment flushes nothing: `flush` does.
 * - A batch is written by one promise. With event-turn batching, lmdb-js makes a second promise that nobody can catch.
 * - LMDB grows its map by itself; a map that is large enough from the start spares it remapping.
 * - When a meta page could not be written, LMDB refuses everything (MDB_PANIC) until the environment is opened again. A commit that
 *   begins then has no end, and closing takes a lock that it keeps: so nothing may begin before `look` was asked.
 * - With overlappingSync each commit is flushed behind its promise, by another thread; when that fails nobody is told, and `close`
 *   of lmdb-js waits for it for ever. The kernel tells of a failed write-back once for each open description: LMDB's own has heard of it
 *   then, so a later flush succeeds with pages lost. A description that only `flush` asks hears of all.
 */
import type { Database, RootDatabase } from "lmdb";
import * as lmdb from "lmdb";
import { closeSync, fdatasync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { CacheError, errnoOf, messageOf } from "./core/errors.js";
import { shownPath } from "./core/own-files.js";
import { prepareEnvironment } from "./preflight.js";

export const PAGE_BYTES = 4096;
const MODE = 0o600;
const NO_EARLY_START = 2 ** 30;
/** A thread of lmdb-js that has failed to flush needs no longer to be through with it. */
const FAILED_FLUSH_MS = 100;
/** Undeclared too: every table that was ever opened, with some 80 KiB of buffers for each environment. */
const { allDbs } = lmdb as unknown as { allDbs: Map<string, BinaryTable> };
const syncDescriptor = promisify(fdatasync);
const ANY_KEY = Buffer.from([0]);

export type BinaryTable = Database<Buffer, Buffer>;
type Root = RootDatabase<Buffer, Buffer>;
/** What the type declarations of lmdb-js leave out. */
interface Undeclared {
  sync(done: (error?: Error | null) => void): void;
  readonly env: { close(): void };
}

/**
 * How commits reach the drive: `volatile` leaves them to the kernel (fast; nothing may be trusted after a power cut),
 * `recoverable` flushes them in the background, and whatever end comes, the next opener finds the last one that was flushed
 * (overlappingSync with safeRestore: without the latter the newest commit is taken on the same boot, flushed or not),
 * `durable` flushes each before it resolves.
 */
export type Regime = "volatile" | "recoverable" | "durable";

export interface EnvironmentOptions<TableName extends string> {
  readonly directory: string;
  readonly regime: Regime;
  /** Address space set aside, not disk space. */
  readonly mapBytes: number;
  readonly tables: readonly TableName[];
  /** Called before it is opened again, and throws if that must not be done. */
  readonly check?: () => unknown;
}

export class Lmdb<TableName extends string> {
  readonly root: Root;
  /** A description of data.mdb that hears of failed write-back by itself; in the recoverable regime. */
  readonly #witness: number | undefined;
  readonly tables: ReadonlyMap<TableName, BinaryTable>;
  #dead = false;
  #onDeath: (error: unknown) => void = () => undefined;
  #flushFailed = false;
  #closing: Promise<void> | undefined;

  private constructor(root: Root, tables: ReadonlyMap<TableName, BinaryTable>, witness: number | undefined) {
    this.root = root;
    this.#witness = witness;
    this.tables = tables;
  }

  /** @throws {CacheError} E_IO when it cannot be opened; E_INDEX_CORRUPT when it is not an LMDB environment. */
  static open<TableName extends string>(options: EnvironmentOptions<TableName>): Lmdb<TableName> {
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
    let root: Root | undefined;
    try {
      root = lmdb.open<Buffer, Buffer>(settings);
      const opened = new Map<TableName, BinaryTable>();
      for (const name of tables) opened.set(name, root.openDB<Buffer, Buffer>(name, binary));
      const witness = regime === "recoverable" ? openSync(join(directory, "data.mdb"), "r") : undefined;
      return new Lmdb(root, opened, witness);
    } catch (cause) {
      void root?.close(); // nothing was queued, so this only lets go of the files
      const code = errnoOf(cause) === undefined ? "E_INDEX_CORRUPT" : "E_IO";
      throw new CacheError(code, `Cannot open the index in ${shownPath(directory)}: ${messageOf(cause)}`, {
        cause,
      });
    }
  }

  table(name: TableName): BinaryTable {
    const table = this.tables.get(name);
    if (table === undefined) throw new TypeError(`No table ${name}`);
    return table;
  }

  /** LMDB was found to refuse everything, or what the next owner is to find may not be on the drive. */
  get dead(): boolean {
    return this.#dead;
  }

  /** `watch` is called once when it dies. */
  watchDeath(watch: (error: unknown) => void): void {
    this.#onDeath = watch;
  }

  #die(error: unknown): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#onDeath(error);
  }

  /** Finds out whether LMDB refuses everything. */
  look(): boolean {
    if (this.#dead) return true;
    const [table] = this.tables.values();
    try {
      this.root.resetReadTxn();
      table?.getBinaryFast(ANY_KEY);
    } catch (error) {
      if (messageOf(error).includes("MDB_PANIC")) this.#die(error);
    }
    return this.#dead;
  }

  /**
   * Flushes what was committed. Rejects with the error of LMDB; in the recoverable regime it is dead then: the kernel drops what it
   * could not write, and later reads may find what was there before.
   */
  async flush(): Promise<void> {
    const root = this.root as unknown as Undeclared;
    try {
      await new Promise<void>((resolve, reject) => root.sync((error) => (error ? reject(error) : resolve())));
      if (this.#witness !== undefined) await syncDescriptor(this.#witness);
      this.#flushFailed = false;
    } catch (error) {
      this.#flushFailed = true;
      if (this.#witness !== undefined) this.#die(error);
      throw error;
    }
  }

  /** Lets go of the files; nothing may be under way. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#letGo();
    for (const [name, table] of allDbs) {
      if ([this.root, ...this.tables.values()].includes(table as Root)) allDbs.delete(name);
    }
    if (this.#witness !== undefined) closeSync(this.#witness);
  }

  async #letGo(): Promise<void> {
    if (!this.#dead && !this.#flushFailed) {
      await this.root.close();
      return;
    }
    await sleep(FAILED_FLUSH_MS);
    await this.flush().catch(() => undefined); // it failed before; this one comes after what the thread still did
    void this.root.close(); // ends reading; the rest of it would wait for ever
    (this.root as unknown as Undeclared).env.close();
  }
}
