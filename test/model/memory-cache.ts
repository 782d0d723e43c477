/** The simplest thing that is a BlockCache: maps in memory, no capacity, nothing culled unasked. What others are measured by. */
import { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import { checkBlock, nameBuffer } from "../../index/core/names.js";
import type {
  AcquireVolumeOptions,
  BlockCache,
  CacheStatus,
  CullReport,
  GetOptions,
  GetResult,
  InvalidateTarget,
  NameBytes,
  PutResult,
  Tag,
  VolumeHandle,
} from "../../engine/api.js";
import {
  checkBlockPayload,
  checkCoherency,
  checkInvalidate,
  checkSpan,
  checkUsedBytesMax,
} from "../../engine/daemon/arguments.js";
import { MemoryAdmin } from "./memory-admin.js";
import type { LeaseOptions, LeaseResult } from "../../engine/lease-api.js";
import { MemoryBlock, invalidateIn } from "./memory-blocks.js";
import { MemoryCounts } from "./memory-counts.js";
import { type FileModel, type Life, MemoryVolume, newFile, newVolume, settle } from "./memory-handles.js";
import { getOrLease, memoryLeases } from "./memory-leases.js";
import { FIXED_STATUS, inodeKey, obtain, volumeKey } from "./memory-parts.js";

export interface MemoryCacheOptions {
  /** Awaited before every operation, to be slow, to hang or to fail. */
  readonly before?: (operation: string) => Promise<void> | void;
}

export class MemoryCache extends MemoryAdmin implements BlockCache {
  readonly #options: MemoryCacheOptions;
  #life: Life = new Map();
  #epoch = 1;
  #invalidations = 0;
  #closed = false;
  leases = memoryLeases();
  readonly #counts = new MemoryCounts();
  #culled = 0;

  constructor(options: MemoryCacheOptions = {}) {
    super();
    this.#options = options;
  }

  get life(): Life {
    return this.#life;
  }

  async enter(operation: string): Promise<void> {
    this.checkOpen();
    const pause = this.#options.before?.(operation);
    if (pause !== undefined) await pause;
  }

  checkOpen(): void {
    if (this.#closed) throw new CacheError("E_CLOSED", "Cannot use the cache: it was closed");
  }

  async get(tag: Tag, options?: GetOptions): Promise<GetResult> {
    await this.enter("get");
    return this.read(tag, options);
  }

  getOrLease(tag: Tag, options?: LeaseOptions): Promise<LeaseResult> {
    return getOrLease(this, tag, options);
  }

  /** What was counted as a miss ends as something else. */
  uncountMiss(tag: Tag): void {
    this.#counts.missed(tag, -1);
  }

  get closed(): boolean {
    return this.#closed;
  }

  obtainFile(tag: Tag): FileModel {
    const volume = obtain(this.#life, volumeKey(tag.fs, tag.volume), newVolume);
    return obtain(volume.files, inodeKey(tag.inode), newFile);
  }

  read(tag: Tag, options?: GetOptions): GetResult {
    const { offsetBytes, lengthBytes } = checkSpan(options);
    const block = this.#file(tag)?.blocks.get(checkBlock(tag.block));
    const end = Math.min(offsetBytes + lengthBytes, block?.validBytes ?? 0);
    const first = Math.floor(offsetBytes / PAGE_BYTES);
    let whole = block !== undefined;
    for (let page = first; page * PAGE_BYTES < end; page += 1) whole &&= block?.known.has(page) === true;
    if (block === undefined || !whole) {
      this.#counts.missed(tag);
      return { kind: "miss" };
    }
    const part = block.bytes.subarray(offsetBytes, Math.max(offsetBytes, end));
    this.#counts.hit(tag, part.length);
    if (options?.into === undefined) return { kind: "hit", bytes: Buffer.from(part) };
    options.into.set(part);
    return { kind: "hit", bytes: nameBuffer(options.into).subarray(0, part.length) };
  }

  async put(tag: Tag, bytes: Uint8Array): Promise<PutResult> {
    await this.enter("put");
    checkBlockPayload(bytes);
    const block = checkBlock(tag.block);
    const file = this.obtainFile(tag);
    file.blocks.set(block, MemoryBlock.whole(bytes));
    this.leases.stored(file, block);
    this.#counts.stored(tag, bytes.length);
    return { kind: "stored" };
  }

  async has(tag: Tag): Promise<boolean> {
    await this.enter("has");
    return this.#file(tag)?.blocks.get(checkBlock(tag.block))?.isWhole ?? false;
  }

  async remove(tag: Tag): Promise<boolean> {
    await this.enter("remove");
    const file = this.#file(tag);
    if (file === undefined) return false;
    this.leases.removed(file, tag.block);
    return file.blocks.delete(tag.block);
  }

  async invalidate(target: InvalidateTarget): Promise<void> {
    await this.enter("invalidate");
    this.forget(...invalidateIn(this.#life, checkInvalidate(target)));
  }

  async acquireVolume(
    fs: NameBytes,
    volume: NameBytes,
    options?: AcquireVolumeOptions,
  ): Promise<VolumeHandle> {
    await this.enter("acquireVolume");
    checkCoherency(options?.coherency);
    const key = volumeKey(fs, volume);
    const known = this.#life.get(key);
    const model = obtain(this.#life, key, newVolume);
    const outcome = settle(model, known !== undefined, options?.coherency);
    if (outcome === "invalidated") this.forget(...model.files.values());
    return new MemoryVolume(this, model, outcome);
  }

  async status(): Promise<CacheStatus> {
    await this.enter("status");
    const blocks = this.#files().flatMap((file) => [...file.blocks.values()]);
    const used = blocks.filter((block) => block.isStored).length;
    return {
      ...FIXED_STATUS,
      epoch: this.#epoch,
      invalidation: this.#invalidations,
      usedBytes: used * SLOT_BYTES,
      validBytes: blocks.reduce((sum, block) => sum + block.validBytes, 0),
      slots: { total: used, used, free: 0, quarantined: 0, unknown: 0 },
      leases: this.leases.counts,
      culled: this.#culled,
      notCulled: { inUse: 0, pinned: 0 },
      pins: { count: this.pinCount, bytes: 0, bytesMax: 2 ** 49 },
      writes: {
        slotBytes: 0,
        bytesPerSecondMax: 0,
        bytesPerDayMax: 0,
        dayBytes: 0,
        rejected: 0,
        rejectedBytes: 0,
        firstTime: 0,
      },
      holds: { files: 0, bytes: 0, keptBytes: 0, bytesMax: 2 ** 49, stagedBytes: 0 },
      ...this.#counts.status(this.#files().length, this.#life.size),
    };
  }

  /** In the order of their files, not of their use: a caller may not count on which blocks go. */
  async cull(options: { readonly usedBytesMax: number }): Promise<CullReport> {
    await this.enter("cull");
    const keep = Math.floor(checkUsedBytesMax(options.usedBytesMax) / SLOT_BYTES);
    let left = this.#files().reduce((sum, file) => sum + file.blocks.size, 0);
    const before = left;
    for (const { blocks } of this.unpinnedFiles()) {
      for (const block of blocks.keys()) {
        if (left <= keep) break;
        blocks.delete(block);
        left -= 1;
      }
    }
    const gone = before - left;
    this.#culled += gone;
    return { blocks: gone, bytes: gone * SLOT_BYTES, usedBytes: left * SLOT_BYTES };
  }

  async wipe(): Promise<void> {
    await this.enter("wipe");
    this.#life = new Map();
    this.#epoch += 1;
    this.#invalidations += 1;
    this.leases.endAll();
    this.noteWipe();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.leases.endAll();
  }

  /** What is stored of these files is gone, and what is being fetched comes too late. */
  forget(...files: readonly FileModel[]): void {
    this.#invalidations += 1;
    for (const file of files) {
      file.blocks.clear();
      file.metadata.clear();
      file.stampMax += 1;
    }
    this.leases.invalidated();
  }

  #files(): FileModel[] {
    return [...this.#life.values()].flatMap((volume) => [...volume.files.values()]);
  }

  #file(tag: Tag): FileModel | undefined {
    checkBlock(tag.block);
    const inode = inodeKey(tag.inode);
    return this.#life.get(volumeKey(tag.fs, tag.volume))?.files.get(inode);
  }
}
