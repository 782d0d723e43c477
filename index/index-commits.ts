/** How changes of an index get to the drive: written in group commits, flushed for those who ask, numbers spoken for ahead. */
import { Arena } from "./arena.js";
import { batchOf } from "./batch.js";
import type { IndexTable } from "./batch.js";
import type { Changes } from "./changes.js";
import type { Entry } from "./entry.js";
import type { Store } from "./environment.js";
import { Flusher } from "./flusher.js";
import { COMMIT_DELAY_MS, GroupCommit } from "./group-commit.js";
import { encodeEntryCount, entryCountKey, readEntryCount } from "./identity.js";
import { NumberReserve, type Numbers } from "./numbers.js";
import { Undone } from "./undone.js";
import { reached } from "./core/steps.js";

/** ENOSPC, EDQUOT, and LMDB's MDB_MAP_FULL. */
const HARMLESS_CODES: ReadonlySet<unknown> = new Set([28, 122, -30_792, "ENOSPC", "EDQUOT"]);

/** By object id, then block; null was removed. */
export type CommittedBlocks = ReadonlyMap<number, ReadonlyMap<number, Entry | null>>;

/** Sees every change of an entry. */
export interface EntryFollower {
  /** A change is about to be queued: from now on calls here see it. */
  queued(objectId: number, block: number): void;
  /** A commit is done, and nobody was told yet. A CacheError from here fails it: its changes go again. */
  committed(blocks: CommittedBlocks): void;
}

export interface IndexCommitsOptions {
  readonly regime: "volatile" | "recoverable";
  readonly commitDelayMs?: number | undefined;
  readonly commitMsMax?: number | undefined;
}

export class IndexCommits {
  readonly group: GroupCommit;
  /** What a cut would undo; nothing is kept of it in the volatile regime, where a cut undoes everything. */
  readonly undone: Undone | undefined;
  readonly #store: Store<IndexTable>;
  readonly #flusher: Flusher;
  readonly #arena = new Arena();
  #entryCount: number;
  #watch: ((commit: Promise<void>) => void) | undefined;
  #lost = false;
  #onLost: (error: unknown) => void = () => undefined;

  #follow: ((blocks: CommittedBlocks) => void) | undefined;
  #numbers: { readonly reserve: NumberReserve; readonly next: () => Numbers } | undefined;

  constructor(store: Store<IndexTable>, options: IndexCommitsOptions) {
    this.#store = store;
    this.#entryCount = readEntryCount(store);
    this.undone = options.regime === "recoverable" ? new Undone() : undefined;
    this.#flusher = new Flusher(() => this.#flush());
    this.group = new GroupCommit({
      write: (changes) => this.#write(changes),
      delayMs: options.commitDelayMs ?? COMMIT_DELAY_MS,
      ...(options.commitMsMax !== undefined && { commitMsMax: options.commitMsMax }),
    });
  }

  /** Committed entries. */
  get entryCount(): number {
    return this.#entryCount;
  }

  /** `follow` is called after each commit, see EntryFollower. */
  follow(follow: (blocks: CommittedBlocks) => void): void {
    this.#follow = follow;
  }

  watch(watch: (commit: Promise<void>) => void): void {
    this.#watch = watch;
  }

  /** `watch` is called once when a flush fails: what was committed may be gone, however well later ones go. */
  watchLoss(watch: (error: unknown) => void): void {
    this.#onLost = watch;
  }

  /** `watch` is called once when the index refuses everything from then on: another has to take its place. */
  watchDeath(watch: (error: unknown) => void): void {
    this.#store.watchDeath((error) => {
      watch(error);
      this.#lose(error);
    });
  }

  /** As BlockIndex.speakFor. */
  async speakFor(next: () => Numbers): Promise<void> {
    const reserve = new NumberReserve({ sequence: 0, objectId: 0, volumeId: 0 });
    this.#numbers = { reserve, next };
    const due = reserve.due(next());
    if (due === undefined) return;
    this.#store.commitNow([due.write]);
    due.done();
    await this.#store.sync();
  }

  /** As BlockIndex.numbersFrom. */
  numbersFrom(next: () => Numbers): void {
    if (this.#numbers !== undefined) this.#numbers = { ...this.#numbers, next };
  }

  /** Flushes what is committed now. @throws {CacheError} E_IO, in the promise. */
  flush(): Promise<void> {
    return this.#flusher.flush();
  }

  async #flush(): Promise<void> {
    this.undone?.flushBegins();
    await this.#store.sync().catch((error: unknown) => this.#failed(error));
    reached("commit: flushed");
    this.undone?.flushEnds();
  }

  async #write(changes: Changes): Promise<void> {
    this.undone?.commitBegins();
    this.#arena.reset(); // one commit at a time
    const { writes, entryCountDelta } = batchOf(this.#store, changes, this.#arena);
    const entryCount = this.#entryCount + entryCountDelta;
    const due = this.#numbers?.reserve.due(this.#numbers.next());
    const all = [...writes];
    if (entryCountDelta !== 0)
      all.push({ table: "identity", key: entryCountKey, value: encodeEntryCount(entryCount) });
    if (due !== undefined) all.push(due.write);
    const commit = this.#store.commit(all);
    this.#watch?.(commit);
    reached("commit: begins");
    // For want of room nothing was written, so nothing is lost; a flush is another matter.
    await commit.catch((error: unknown) => this.#failed(error, HARMLESS_CODES.has(codeOf(error))));
    reached("commit: done");
    due?.done();
    this.undone?.commitEnds();
    this.#entryCount = entryCount;
    this.#follow?.(changes.blocks);
    // Removals are kept in mind until they are flushed; whoever waits for a flush is told if it fails, and who watches for a loss.
    if (this.undone !== undefined) void this.#flusher.flush().catch(() => undefined);
  }

  #lose(error: unknown): void {
    if (this.undone === undefined || this.#lost) return;
    this.#lost = true;
    this.#onLost(error);
  }

  #failed(error: unknown, harmless = false): never {
    if (!harmless) this.#lose(error);
    throw error;
  }
}

function codeOf(error: unknown): unknown {
  const { cause } = error as Error;
  return (cause as { code?: unknown } | undefined)?.code;
}
