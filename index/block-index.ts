/**
 * The index: which block of which object of which volume lies in which slot. Changes are seen at once by every call
 * here, and reach LMDB in group commits that the event loop never waits for. Format: engine/FORMAT.md "Index".
 */
import { CacheError } from "./core/errors.js";
import { FORMAT_VERSION } from "./core/layout.js";
import { INDEX_TABLES } from "./batch.js";
import type { IndexTable } from "./batch.js";
import { groupFirstBlock, readGroupEntry, readGroupSlot } from "./block-group.js";
import type { DamagedKey } from "./changes.js";
import type { Entry } from "./entry.js";
import { Environment } from "./environment.js";
import type { Store } from "./environment.js";
import type { GroupCommit } from "./group-commit.js";
import { type EntryFollower, IndexCommits } from "./index-commits.js";
import type { BlockIndexOptions } from "./index-options.js";
import type { IndexStats } from "./index-stats.js";
import { BLOCK_KEY_BYTES, writeBlockKey } from "./keys.js";
import { MetadataIndex } from "./metadata-index.js";
import { NameIndex } from "./name-index.js";
import { bindIdentity, writeIdentity } from "./identity.js";
import { type Numbers, readNumbers } from "./numbers.js";
import { environmentBytes } from "./preflight.js";
import type { ObjectRecord, VolumeRecord } from "./records.js";
import { RecordWalks } from "./record-walks.js";
import { hasBlocks, walkBlocks } from "./scan.js";
import { type InodePart, type VolumePart, walkObjects, walkVolumes } from "./scan-names.js";
import type { IndexedBlock, Layers, OnDamaged } from "./scan.js";
import { SealedStore } from "./sealed-store.js";

/**
 * The one index of a cache. Records and entries given to it or taken from it must not be changed afterwards. After
 * close() every method fails with E_CLOSED. Reads throw E_INDEX_CORRUPT when what they find does not read back.
 */
export class BlockIndex {
  readonly #store: Store<IndexTable>;
  readonly #options: BlockIndexOptions;
  readonly #writer: IndexCommits;
  readonly #commits: GroupCommit;
  /** Records of file systems, volumes and objects. */
  readonly names: NameIndex;
  /** Cached metadata of objects. */
  readonly metadata: MetadataIndex;
  /** Records by themselves, whatever they belong to. */
  readonly walks: RecordWalks;
  readonly #key = Buffer.alloc(BLOCK_KEY_BYTES);
  readonly #layers: Layers;
  #closing: Promise<void> | undefined;
  #onDamaged: OnDamaged = () => undefined;
  #follower: EntryFollower | undefined;

  private constructor(store: Store<IndexTable>, options: BlockIndexOptions) {
    this.#store = store;
    this.#options = options;
    const { regime = "volatile", commitDelayMs, commitMsMax } = options;
    this.#writer = new IndexCommits(store, { regime, commitDelayMs, commitMsMax });
    this.#commits = this.#writer.group;
    this.#layers = () => {
      this.#checkOpen();
      const { inFlight, pending } = this.#commits;
      const layers = inFlight === undefined ? [pending] : [inFlight, pending];
      return { store, layers, onDamaged: this.#onDamaged };
    };
    this.names = new NameIndex(store, this.#writer, {
      checkOpen: () => this.#checkOpen(),
      onDamaged: (where, error) => this.#onDamaged(where, error),
    });
    this.metadata = new MetadataIndex(this.#layers, this.#commits);
    this.walks = new RecordWalks(this.#layers);
  }

  /**
   * Opens the index in `directory`, or makes it. Nobody else may have it open.
   * @throws {CacheError} E_INDEX_CORRUPT when there is none and `create` is false, when it belongs to another cache,
   * epoch or format, or is no LMDB environment; E_IO when the directory cannot be used.
   */
  static open(options: BlockIndexOptions): BlockIndex {
    const { directory, mapBytes, cacheId, epoch, create, regime = "volatile" } = options;
    // LMDB would make what is not there.
    if (!create && environmentBytes(directory) === 0) {
      throw new CacheError("E_INDEX_CORRUPT", "Cannot open the index: there is none");
    }
    const opened = Environment.open({ directory, mapBytes, regime, tables: INDEX_TABLES });
    const store = new SealedStore(options.wrapStore?.(opened) ?? opened);
    try {
      bindIdentity(store, { formatVersion: FORMAT_VERSION, cacheId, epoch }, create);
      return new BlockIndex(store, options);
    } catch (error) {
      void opened.close(); // nothing was queued, so this only lets go of the files
      throw error;
    }
  }

  /** `watch` is called with every commit as it begins, and has to mind that it may fail. */
  watchCommits(watch: (commit: Promise<void>) => void): void {
    this.#writer.watch(watch);
  }

  /** `watch` is told of records that are found damaged and count as none. @returns who was told until now. */
  watchDamage(watch: OnDamaged): OnDamaged {
    const before = this.#onDamaged;
    this.#onDamaged = watch;
    return before;
  }

  /** Removes a record that does not read back, if that is still so when it comes to the commit. */
  dropDamaged(where: DamagedKey): void {
    this.#checkOpen();
    this.#commits.pending.damaged.set(`${where.table} ${where.key.toString("latin1")}`, where);
    this.#commits.changed();
  }

  /** All numbers from these on were never given; undefined where none was spoken for. @throws {CacheError} E_INDEX_CORRUPT. */
  spokenFor(): Numbers | undefined {
    this.#checkOpen();
    return readNumbers(this.#store);
  }

  /**
   * Speaks for numbers ahead of their use, from now on with every commit that has to; durable for the first time when this
   * resolves. @param next the number of each kind that comes next. @throws {CacheError} E_IO, in the promise.
   */
  async speakFor(next: () => Numbers): Promise<void> {
    this.#checkOpen();
    await this.#writer.speakFor(next);
  }

  /** Once numbers are spoken for, the next ones come from here. */
  numbersFrom = (next: () => Numbers): void => this.#writer.numbersFrom(next);

  /** The index belongs to a later epoch from now on. @throws {CacheError} E_IO. */
  moveTo(epoch: number): void {
    this.#checkOpen();
    writeIdentity(this.#store, { formatVersion: FORMAT_VERSION, cacheId: this.#options.cacheId, epoch });
  }

  /** Has somebody told of every change of an entry. */
  follow(follower: EntryFollower): void {
    this.#follower = follower;
    this.#writer.follow((blocks) => follower.committed(blocks));
  }

  /** How many changes wait for their commit, those in flight included. */
  get queuedChanges(): number {
    return this.#commits.changeCount;
  }

  /** Why the last commit failed: its changes go again with the next one. Undefined once one has gone well. */
  get failure(): CacheError | undefined {
    return this.#commits.failure;
  }

  /** Every volume, by (fs, volume), or those of a file system; may be resumed in a later event turn, see walkNames. */
  volumes(part: VolumePart = {}): Iterable<VolumeRecord> {
    this.#checkOpen();
    return walkVolumes(this.#layers, part);
  }

  /**
   * Every object of a volume, by inode, those with inodes beyond the key limit last; may be resumed in a later event turn,
   * see walkNames. @param part `prefix`: those whose inode begins so; `after`: those behind this inode in that order.
   */
  objectsOf(volumeId: number, part: InodePart = {}): Iterable<ObjectRecord> {
    this.#checkOpen();
    return walkObjects(this.#layers, volumeId, part);
  }

  getEntry(objectId: number, block: number): Entry | undefined {
    const queued = this.#queuedEntry(objectId, block);
    if (queued !== undefined) return queued ?? undefined;
    const record = this.#peekGroup(objectId, block);
    return record === undefined ? undefined : readGroupEntry(record, block);
  }

  /** The slot of what getEntry returns, at less garbage. */
  slotOf(objectId: number, block: number): number | undefined {
    const queued = this.#queuedEntry(objectId, block);
    if (queued !== undefined) return queued?.slot;
    const record = this.#peekGroup(objectId, block);
    return record === undefined ? undefined : readGroupSlot(record, block);
  }

  #queuedEntry(objectId: number, block: number): Entry | null | undefined {
    this.#checkOpen();
    const { pending, inFlight } = this.#commits;
    const queued = pending.entry(objectId, block);
    return queued === undefined ? inFlight?.entry(objectId, block) : queued;
  }

  #peekGroup(objectId: number, block: number): Uint8Array | undefined {
    writeBlockKey(this.#key, objectId, groupFirstBlock(block));
    return this.#store.peek("blocks", this.#key);
  }

  putEntry(objectId: number, block: number, entry: Entry): void {
    this.#checkOpen();
    this.#changeEntry(objectId, block, entry);
  }

  removeEntry(objectId: number, block: number): void {
    this.#checkOpen();
    this.#writer.undone?.removeEntry(objectId, block);
    this.#changeEntry(objectId, block, null);
  }

  #changeEntry(objectId: number, block: number, entry: Entry | null): void {
    this.#follower?.queued(objectId, block);
    this.#commits.pending.setEntry(objectId, block, entry);
    this.#commits.changed();
  }

  hasBlocks(objectId: number): boolean {
    this.#checkOpen();
    return hasBlocks(this.#layers, objectId);
  }

  /** Every block of an object, ascending; may be resumed in a later event turn, see walkBlocks. */
  blocksOf(objectId: number): Iterable<{ block: number; entry: Entry }> {
    this.#checkOpen();
    return walkBlocks(this.#layers, objectId);
  }

  /** Every block, by (object id, block); may be resumed in a later event turn, see walkBlocks. */
  entries(): Iterable<IndexedBlock> {
    this.#checkOpen();
    return walkBlocks(this.#layers);
  }

  /** Resolves when every change made before is committed, and hurries that. @throws {CacheError} E_IO; the changes go again. */
  async committed(): Promise<void> {
    this.#checkOpen();
    await this.#commits.committed();
  }

  /**
   * Resolves when no end of whatever kind can bring back what was changed before the call: it is committed, and in the
   * recoverable regime flushed. @throws {CacheError} E_IO, in the promise.
   */
  async settled(): Promise<void> {
    await (this.recoverable ? this.sync() : this.committed());
  }

  /** Whether a change of this block waits for its commit. @param later only what comes after the commit under way. */
  isChanging(objectId: number, block: number, later = false): boolean {
    const { pending, inFlight } = this.#commits;
    if (pending.entry(objectId, block) !== undefined) return true;
    return !later && inFlight?.entry(objectId, block) !== undefined;
  }

  /** Whether a cut could bring back other content under this name: what is stored there counts once it is settled(). */
  wouldReturn(objectId: number, block?: number): boolean {
    return this.#writer.undone?.wouldReturn(objectId, block) ?? false;
  }

  /** Whether a cut could undo any removal. */
  get hasUndone(): boolean {
    return this.#writer.undone?.isWaiting ?? false;
  }

  /** `watch` is called once if the drive fails to keep what was committed: then the session may not end clean. */
  watchLoss(watch: (error: unknown) => void): void {
    this.#writer.watchLoss(watch);
  }

  /** `watch` is called once if the index can't be used any more: every call then fails with E_IO, and another is to be made. */
  watchDeath(watch: (error: unknown) => void): void {
    this.#writer.watchDeath(watch);
  }

  /** Whether the index counts after any end. */
  get recoverable(): boolean {
    return this.#writer.undone !== undefined;
  }

  stats(): IndexStats {
    this.#checkOpen();
    const { records, ...stats } = this.#store.stats();
    return { ...stats, entryCount: this.#writer.entryCount, objectCount: records["objects"] ?? 0 };
  }

  /** Commits what is queued and flushes the index to the drive. @throws {CacheError} E_IO, in the promise. */
  async sync(): Promise<void> {
    await this.committed();
    await this.#writer.flush();
  }

  /**
   * Commits what is queued and closes; flushes nothing. Idempotent.
   * @throws {CacheError} E_IO, in the promise, when the last commit failed: the index is closed, but lacks changes.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#commits.committed();
    } finally {
      this.#commits.stop();
      // A commit that has no end would keep LMDB's close from ending too: then the files stay open.
      if (!this.#commits.overdue) await this.#store.close();
    }
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw new CacheError("E_CLOSED", "Cannot use the index: it is closed");
  }
}
