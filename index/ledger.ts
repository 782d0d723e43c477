/**
 * The ledger: the small durable store for what no wipe may lose. It holds the state mark, the epoch, the
 * pins and the notes of front-ends; unsent changes will get a table of their own. Every change is flushed before its promise resolves.
 * Format: engine/FORMAT.md "Ledger".
 */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { syncDirectory } from "./core/sync-directory.js";
import { CacheError, errnoOf, messageOf } from "./core/errors.js";
import { shownPath } from "./core/own-files.js";
import { Environment, type Store, type Write } from "./environment.js";
import { LedgerNotes } from "./ledger-notes.js";
import { environmentBytes } from "./preflight.js";
import { LedgerPins } from "./ledger-pins.js";
import { checkPages } from "./page-check.js";
import { decodeLedgerState, encodeLedgerState } from "./ledger-state.js";
import type { LedgerState, StateMark } from "./ledger-state.js";
import { SealedStore, sealed, unsealed } from "./sealed-store.js";
import { reached } from "./core/steps.js";

export type { StateMark } from "./ledger-state.js";

/** Room for tables of later sections, which an older program leaves alone. */
const LEDGER_TABLES = ["state", "pins", "notes"] as const;
type LedgerTable = (typeof LEDGER_TABLES)[number];
const LEDGER_MAP_BYTES = 64 * 1024 * 1024;
const stateKey = Buffer.from("state");
const MIGRATED_A_SCAN = 1024;
/** Epochs take four bytes in an entry. */
const EPOCHS_MAX = 2 ** 32;

export interface LedgerOptions {
  readonly directory: string;
  /** Makes a ledger for this cache (16 bytes) unless a finished one is there, which is opened as it is. */
  readonly create?: { readonly cacheId: Buffer };
}

/** The one ledger of a cache. Nobody else may have it open. After close() every method fails with E_CLOSED. */
export class Ledger {
  readonly #environment: Store<LedgerTable>;
  readonly #directory: string;
  readonly #pins: LedgerPins;
  readonly #notes: LedgerNotes;
  #state: LedgerState;
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  private constructor(environment: Store<LedgerTable>, directory: string, state: LedgerState) {
    this.#environment = environment;
    this.#directory = directory;
    this.#state = state;
    this.#pins = new LedgerPins(environment, (writes) => this.#commit(writes));
    this.#notes = new LedgerNotes(environment, (writes) => this.#commit(writes));
  }

  /** Whether a ledger, finished or not, is in the directory. */
  static exists(directory: string): boolean {
    try {
      return lstatSync(join(directory, "data.mdb"), { throwIfNoEntry: false }) !== undefined;
    } catch (error) {
      if (errnoOf(error) === "ENOTDIR") return false; // whoever opens the directory says more
      throw error;
    }
  }

  /**
   * Opens the ledger. A new one has epoch 0 and the mark "unclean".
   * @throws {CacheError} E_NOT_FOUND when there is none and `create` is not given; E_FORMAT_VERSION when a newer program
   * wrote it; E_LEDGER_CORRUPT when it does not read back; E_IO when the directory cannot be used.
   */
  static async open(options: LedgerOptions): Promise<Ledger> {
    const { directory, create } = options;
    if (create === undefined && !Ledger.exists(directory)) {
      throw new CacheError("E_NOT_FOUND", `Cannot open the ledger in ${shownPath(directory)}: there is none`);
    }
    const opened = openEnvironment(directory);
    const environment = new SealedStore(opened);
    try {
      const value = opened.get("state", stateKey);
      if (value !== undefined) {
        const state = readState(value, directory) ?? (await migrate(opened, value, directory));
        return new Ledger(environment, directory, state);
      }
      if (create === undefined) throw unreadable(directory, "it has no state record");
      const state = newState(create.cacheId);
      await environment.commit([{ table: "state", key: stateKey, value: encodeLedgerState(state) }]);
      await environment.sync();
      flushDirectory(directory);
      return new Ledger(environment, directory, state);
    } catch (error) {
      await environment.close();
      if (error instanceof CacheError && error.code === "E_INDEX_CORRUPT") {
        throw unreadable(directory, error.message, error);
      }
      throw error;
    }
  }

  /** 16 bytes, drawn when the ledger was made. */
  get cacheId(): Buffer {
    this.#checkOpen();
    return Buffer.from(this.#state.cacheId);
  }

  /** What is not to be culled. */
  get pins(): LedgerPins {
    this.#checkOpen();
    return this.#pins;
  }

  /** What front-ends want kept. */
  get notes(): LedgerNotes {
    this.#checkOpen();
    return this.#notes;
  }

  /** As it is on the drive: a change that is under way does not show. */
  get epoch(): number {
    this.#checkOpen();
    return this.#state.epoch;
  }

  /** As it is on the drive: a change that is under way does not show. */
  get mark(): StateMark {
    this.#checkOpen();
    return { ...this.#state.mark };
  }

  /**
   * Replaces the mark, and the epoch with it in one commit if given; durable once resolved.
   * @param also `epoch` must not be below the present one.
   * @throws {CacheError} E_IO, in the promise: then the ledger is as it was, unless the flush itself failed.
   */
  async setMark(mark: StateMark, also: { readonly epoch?: number } = {}): Promise<void> {
    await this.#change((state) => ({ ...state, mark: { ...mark }, epoch: also.epoch ?? state.epoch }));
  }

  /** Raises the epoch by one; durable once resolved, with the new epoch. @throws {CacheError} E_IO, in the promise. */
  async raiseEpoch(): Promise<number> {
    const { epoch } = await this.#change((state) => ({ ...state, epoch: state.epoch + 1 }));
    return epoch;
  }

  /** Sizes of data.mdb and lock.mdb. */
  fileBytes(): number {
    this.#checkOpen();
    return this.#environment.stats().fileBytes;
  }

  /** Waits for changes under way, then closes. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#last.then(() => this.#environment.close());
    return this.#closing;
  }

  // One change after another: each starts from what the one before left on the drive.
  #change(change: (state: LedgerState) => LedgerState): Promise<LedgerState> {
    this.#checkOpen();
    const done = this.#last.then(async () => {
      const state = change(this.#state);
      if (state.epoch < this.#state.epoch || state.epoch >= EPOCHS_MAX) {
        throw new CacheError(
          "E_ARGUMENT",
          `Cannot set epoch ${state.epoch} in ${this.#directory}: it is ${this.#state.epoch}, want no less, below 2^32`,
        );
      }
      reached("ledger: change begins");
      await this.#environment.commit([{ table: "state", key: stateKey, value: encodeLedgerState(state) }]);
      reached("ledger: change durable");
      this.#state = state;
      return state;
    });
    this.#last = done.catch(() => undefined); // the caller gets the error; the next change goes on
    return done;
  }

  async #commit(writes: ReadonlyArray<Write<LedgerTable>>): Promise<void> {
    this.#checkOpen();
    const done = this.#last.then(async () => {
      reached("ledger: change begins");
      await this.#environment.commit(writes);
      reached("ledger: change durable");
    });
    this.#last = done.catch(() => undefined); // the caller gets the error; the next change goes on
    await done;
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheError("E_CLOSED", "Cannot use the ledger: it is closed");
  }
}

/** Undefined of a ledger of version 1, whose records have no checksums. @throws {CacheError} E_INDEX_CORRUPT, E_FORMAT_VERSION. */
function readState(bytes: Buffer, directory: string): LedgerState | undefined {
  const value = unsealed("state", stateKey, bytes);
  if (value !== undefined) return decodeLedgerState(value, directory);
  if (bytes[0] === 1) return undefined;
  throw new CacheError("E_INDEX_CORRUPT", "its state record fails its checksum");
}

/** Every record gets its checksum, in one durable commit. */
async function migrate(store: Store<LedgerTable>, bytes: Buffer, directory: string): Promise<LedgerState> {
  const state = decodeLedgerState(bytes, directory, 1);
  const writes: Write<LedgerTable>[] = [
    { table: "state", key: stateKey, value: sealed("state", stateKey, encodeLedgerState(state)) },
  ];
  for (const table of ["pins", "notes"] as const) {
    for (let after: Buffer | undefined; ;) {
      const found = store.scan(table, {}, MIGRATED_A_SCAN, after);
      for (const { key, value } of found) writes.push({ table, key, value: sealed(table, key, value) });
      if (found.length < MIGRATED_A_SCAN) break;
      after = found.at(-1)?.key;
    }
  }
  await store.commit(writes);
  return state;
}

function newState(cacheId: Buffer): LedgerState {
  const mark = {
    state: "unclean",
    regime: "volatile",
    bootId: "",
    transactionId: 0,
    checkpointId: 0,
  } as const;
  return { cacheId: Buffer.from(cacheId), epoch: 0, mark };
}

/** LMDB flushes its files, not the directory that names them. */
function flushDirectory(directory: string): void {
  try {
    syncDirectory(directory);
  } catch (cause) {
    throw new CacheError("E_IO", `Cannot flush the ledger in ${shownPath(directory)}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function openEnvironment(directory: string): Environment<LedgerTable> {
  const check = (): unknown => checkPages(directory, { regime: "durable" });
  try {
    if (environmentBytes(directory) > 0) check();
    return Environment.open({
      directory,
      regime: "durable",
      mapBytes: LEDGER_MAP_BYTES,
      tables: LEDGER_TABLES,
      check,
    });
  } catch (error) {
    if (error instanceof CacheError && error.code === "E_INDEX_CORRUPT") {
      throw unreadable(directory, error.message, error);
    }
    if (error instanceof CacheError) {
      throw new CacheError(
        error.code,
        `Cannot open the ledger in ${shownPath(directory)}: ${messageOf(error)}`,
        {
          cause: error.cause,
        },
      );
    }
    throw error;
  }
}

function unreadable(directory: string, found: string, cause?: unknown): CacheError {
  const advice = `move ${shownPath(directory)} away to start with an empty ledger; what was pinned or not yet sent is then lost`;
  return new CacheError(
    "E_LEDGER_CORRUPT",
    `Cannot read the ledger in ${shownPath(directory)}: ${found}; ${advice}`,
    {
      cause,
    },
  );
}
