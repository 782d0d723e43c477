/** The simplest thing that is a BlockCache: maps in memory, no capacity, nothing culled unasked. What others are measured by. */
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { checkBlock, nameBuffer } from "../../index/core/names.js";
import type {
  AcquireCookieOptions,
  AcquireOutcome,
  AcquireVolumeOptions,
  BlockCache,
  ByteRange,
  CacheStatus,
  CookieHandle,
  CullReport,
  FileReadResult,
  FileWriteResult,
  GetOptions,
  GetResult,
  NameBytes,
  PutResult,
  Tag,
  VolumeHandle,
} from "../../engine/api.js";
import {
  checkBlockPayload,
  checkCoherency,
  checkFileSize,
  checkRead,
  checkSpan,
  checkUsedBytesMax,
  checkWrite,
} from "../../engine/daemon/arguments.js";
import { MemoryAdmin } from "./memory-admin.js";
import { addRange, inodeKey, obtain, piecesOf, volumeKey } from "./memory-parts.js";
import type { FileModel, Life, VolumeModel } from "./memory-parts.js";

export interface MemoryCacheOptions {
  /** Awaited before every operation, to be slow, to hang or to fail. */
  readonly before?: (operation: string) => Promise<void> | void;
}

const BLOCK_BYTES = BigInt(SLOT_BYTES);
const EMPTY = Buffer.alloc(0);

export class MemoryCache extends MemoryAdmin implements BlockCache {
  readonly #options: MemoryCacheOptions;
  #life: Life = new Map();
  #epoch = 1;
  #closed = false;
  #hits = 0;
  #misses = 0;
  #puts = 0;
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
    const { offsetBytes, lengthBytes } = checkSpan(options);
    const block = this.#file(tag)?.blocks.get(checkBlock(tag.block));
    if (block === undefined) {
      this.#misses += 1;
      return { kind: "miss" };
    }
    this.#hits += 1;
    const part = block.subarray(offsetBytes, offsetBytes + lengthBytes);
    if (options?.into === undefined) return { kind: "hit", bytes: Buffer.from(part) };
    options.into.set(part);
    return { kind: "hit", bytes: nameBuffer(options.into).subarray(0, part.length) };
  }

  async put(tag: Tag, bytes: Uint8Array): Promise<PutResult> {
    await this.enter("put");
    checkBlockPayload(bytes);
    const block = checkBlock(tag.block);
    const volume = obtain(this.#life, volumeKey(tag.fs, tag.volume), newVolume);
    obtain(volume.files, inodeKey(tag.inode), newFile).blocks.set(block, Buffer.from(bytes));
    this.#puts += 1;
    return { kind: "stored" };
  }

  async has(tag: Tag): Promise<boolean> {
    await this.enter("has");
    return this.#file(tag)?.blocks.has(checkBlock(tag.block)) ?? false;
  }

  async remove(tag: Tag): Promise<boolean> {
    await this.enter("remove");
    return this.#file(tag)?.blocks.delete(checkBlock(tag.block)) ?? false;
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
    if (outcome === "invalidated") for (const file of model.files.values()) file.blocks.clear();
    return new MemoryVolume(this, model, outcome);
  }

  async status(): Promise<CacheStatus> {
    await this.enter("status");
    const blocks = this.#files().flatMap((file) => [...file.blocks.values()]);
    const used = blocks.length;
    return {
      state: "running",
      pid: process.pid,
      version: "0.0.0",
      uptimeSeconds: process.uptime(),
      cacheId: "00112233445566778899aabbccddeeff",
      epoch: this.#epoch,
      policy: "none",
      directory: "",
      capacityBytes: 2 ** 50,
      usedBytes: used * SLOT_BYTES,
      validBytes: blocks.reduce((sum, block) => sum + block.length, 0),
      indexBytes: 0,
      indexBytesMax: 2 ** 40,
      slots: { total: used, used, free: 0, quarantined: 0, unknown: 0 },
      slotsMax: 2 ** 32,
      headroom: { slots: 0, bytes: 0 },
      drive: {
        state: "ok",
        totalBytes: 2 ** 50,
        availableBytes: 2 ** 49,
        totalInodes: 0,
        availableInodes: 0,
      },
      shares: [],
      hits: this.#hits,
      misses: this.#misses,
      puts: this.#puts,
      culled: this.#culled,
      notCulled: { inUse: 0, pinned: 0 },
      pins: { count: this.pinCount, bytes: 0, bytesMax: 2 ** 49 },
      corrupt: 0,
      bypassed: {},
      start: { kind: "new", action: "none", ms: 0.5 },
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
    this.noteWipe();
  }

  async close(): Promise<void> {
    this.#closed = true;
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

class MemoryVolume implements VolumeHandle {
  readonly outcome: AcquireOutcome;
  readonly cache: MemoryCache;
  readonly model: VolumeModel;
  readonly #life: Life;
  readonly #revision: number;
  #held = true;

  constructor(cache: MemoryCache, model: VolumeModel, outcome: AcquireOutcome) {
    this.cache = cache;
    this.model = model;
    this.outcome = outcome;
    this.#life = cache.life;
    if (outcome === "invalidated") model.revision += 1;
    this.#revision = model.revision;
  }

  get stale(): boolean {
    return this.#revision !== this.model.revision;
  }

  /** @throws {CacheError} E_CLOSED, E_STALE. */
  check(): void {
    this.cache.checkOpen();
    if (!this.#held) throw new CacheError("E_CLOSED", "Cannot use the volume: it was relinquished");
    if (this.#life !== this.cache.life) throw new CacheError("E_STALE", "Cannot use the volume: wiped");
  }

  async acquireCookie(inode: NameBytes, options?: AcquireCookieOptions): Promise<CookieHandle> {
    this.check();
    await this.cache.enter("acquireCookie");
    checkCoherency(options?.coherency);
    checkFileSize(options?.sizeBytes);
    const key = inodeKey(inode);
    const known = this.model.files.get(key);
    const file = obtain(this.model.files, key, newFile);
    const resized = options?.sizeBytes !== undefined && options.sizeBytes !== known?.sizeBytes;
    let outcome = settle(file, known !== undefined, options?.coherency);
    if (known !== undefined && resized) outcome = "invalidated";
    if (outcome === "invalidated") file.blocks.clear();
    file.sizeBytes = options?.sizeBytes ?? file.sizeBytes;
    return new MemoryCookie(this, { file, key, outcome });
  }

  async invalidate(): Promise<void> {
    this.check();
    await this.cache.enter("invalidateVolume");
    for (const file of this.model.files.values()) file.blocks.clear();
  }

  async relinquish(options?: {
    readonly coherency?: Uint8Array;
    readonly invalidate?: boolean;
  }): Promise<void> {
    this.check();
    await this.cache.enter("relinquishVolume");
    checkCoherency(options?.coherency);
    this.#held = false;
    if (options?.coherency !== undefined && !this.stale)
      this.model.coherency = Buffer.from(options.coherency);
    if (options?.invalidate === true) for (const file of this.model.files.values()) file.blocks.clear();
  }
}

class MemoryCookie implements CookieHandle {
  readonly outcome: AcquireOutcome;
  readonly #volume: MemoryVolume;
  readonly #file: FileModel;
  readonly #key: string;
  #revision: number;
  #held = true;

  constructor(volume: MemoryVolume, found: { file: FileModel; key: string; outcome: AcquireOutcome }) {
    this.#volume = volume;
    this.#file = found.file;
    this.#key = found.key;
    this.outcome = found.outcome;
    if (found.outcome === "invalidated") found.file.revision += 1;
    this.#revision = found.file.revision;
  }

  get sizeBytes(): bigint {
    return this.#file.sizeBytes;
  }

  async read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult> {
    this.#check();
    await this.#volume.cache.enter("read");
    checkRead(offsetBytes, lengthBytes);
    const bytes = Buffer.alloc(this.#cut(offsetBytes, lengthBytes));
    const missing: ByteRange[] = [];
    if (this.#stale) {
      addRange(missing, offsetBytes, bytes.length);
      return { bytes, missing, bypass: "stale" };
    }
    for (const { at, block, within, pieceBytes } of piecesOf(offsetBytes, bytes.length)) {
      const found = this.#file.blocks.get(block)?.subarray(within, within + pieceBytes) ?? EMPTY;
      bytes.set(found, at);
      addRange(missing, offsetBytes + BigInt(at + found.length), pieceBytes - found.length);
    }
    return { bytes, missing };
  }

  async write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult> {
    this.#check();
    await this.#volume.cache.enter("write");
    checkWrite(offsetBytes, bytes);
    const stored: ByteRange[] = [];
    if (this.#stale) return { stored, bypass: "stale" };
    for (const { at, block, within, pieceBytes } of piecesOf(
      offsetBytes,
      this.#cut(offsetBytes, bytes.length),
    )) {
      const left = this.#file.sizeBytes - BigInt(block) * BLOCK_BYTES;
      const wholeBytes = left < BLOCK_BYTES ? Number(left) : SLOT_BYTES;
      if (within !== 0 || pieceBytes !== wholeBytes) continue;
      this.#file.blocks.set(block, Buffer.from(bytes.subarray(at, at + pieceBytes)));
      addRange(stored, offsetBytes + BigInt(at), pieceBytes);
    }
    return { stored };
  }

  async invalidate(options?: AcquireCookieOptions): Promise<void> {
    this.#check();
    await this.#volume.cache.enter("invalidateCookie");
    checkCoherency(options?.coherency);
    checkFileSize(options?.sizeBytes);
    this.#file.blocks.clear();
    this.#file.sizeBytes = options?.sizeBytes ?? this.#file.sizeBytes;
    if (options?.coherency !== undefined) this.#file.coherency = Buffer.from(options.coherency);
    if (options?.coherency === undefined && options?.sizeBytes === undefined) return;
    this.#file.revision += 1;
    this.#revision = this.#file.revision;
  }

  async relinquish(options?: { readonly coherency?: Uint8Array; readonly retire?: boolean }): Promise<void> {
    this.#check();
    await this.#volume.cache.enter("relinquishCookie");
    checkCoherency(options?.coherency);
    this.#held = false;
    if (options?.coherency !== undefined && !this.#stale)
      this.#file.coherency = Buffer.from(options.coherency);
    if (options?.retire !== true) return;
    this.#file.blocks.clear();
    this.#volume.model.files.delete(this.#key);
  }

  #check(): void {
    this.#volume.check();
    if (!this.#held) throw new CacheError("E_CLOSED", "Cannot use the cookie: it was relinquished");
  }

  get #stale(): boolean {
    return this.#revision !== this.#file.revision || this.#volume.stale;
  }

  #cut(offsetBytes: bigint, lengthBytes: number): number {
    const left = this.#file.sizeBytes - offsetBytes;
    if (left <= 0n) return 0;
    return left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
  }
}

function settle(
  state: { coherency: Buffer },
  known: boolean,
  coherency: Uint8Array | undefined,
): AcquireOutcome {
  const before = state.coherency;
  if (coherency !== undefined) state.coherency = Buffer.from(coherency);
  if (!known) return "created";
  return before.equals(state.coherency) ? "found" : "invalidated";
}

function newVolume(): VolumeModel {
  return { coherency: EMPTY, revision: 0, files: new Map() };
}

function newFile(): FileModel {
  return { coherency: EMPTY, revision: 0, sizeBytes: 0n, blocks: new Map() };
}
