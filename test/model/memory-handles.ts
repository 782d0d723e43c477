/** Volumes and cookies of the model. */
import { CacheError } from "../../index/core/errors.js";
import type {
  AcquireCookieOptions,
  AcquireOutcome,
  ByteRange,
  CookieHandle,
  FileReadResult,
  FileWriteResult,
  NameBytes,
  VolumeHandle,
} from "../../engine/api.js";
import {
  checkCoherency,
  checkFileRange,
  checkFileSize,
  checkRead,
  checkWrite,
  checkZero,
} from "../../engine/daemon/arguments.js";
import { type MemoryBlock, forgetRange, readFile, resizeFile, writeFile } from "./memory-blocks.js";
import type { Leases } from "../../engine/leases.js";
import type { LeasedFile } from "./memory-leases.js";
import { MemoryMetadata, MetadataModel } from "./memory-metadata.js";
import { addRange, inodeKey, obtain, piecesOf } from "./memory-parts.js";

const EMPTY = Buffer.alloc(0);

export interface VolumeModel {
  coherency: Buffer;
  revision: number;
  readonly files: Map<string, FileModel>;
}

export interface FileModel extends LeasedFile {
  coherency: Buffer;
  revision: number;
  sizeBytes: bigint;
  readonly blocks: Map<number, MemoryBlock>;
  readonly metadata: MetadataModel;
}

/** All content between two wipes. */
export type Life = Map<string, VolumeModel>;

/** What a handle asks of its cache. */
export interface CacheModel {
  readonly leases: Leases<LeasedFile>;
  readonly life: Life;
  enter(operation: string): Promise<void>;
  checkOpen(): void;
  /** What is stored of these files is gone, and what is being fetched comes too late. */
  forget(...files: readonly FileModel[]): void;
}

export class MemoryVolume implements VolumeHandle {
  readonly outcome: AcquireOutcome;
  readonly cache: CacheModel;
  readonly model: VolumeModel;
  readonly #life: Life;
  readonly #revision: number;
  #held = true;

  constructor(cache: CacheModel, model: VolumeModel, outcome: AcquireOutcome) {
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
    this.#checkHeld();
    if (this.ended) throw new CacheError("E_STALE", "Cannot use the volume: wiped");
  }

  #checkHeld(): void {
    this.cache.checkOpen();
    if (!this.#held) throw new CacheError("E_CLOSED", "Cannot use the volume: it was relinquished");
  }

  get held(): boolean {
    return this.#held;
  }

  get ended(): boolean {
    return this.#life !== this.cache.life;
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
    if (outcome === "invalidated") this.cache.forget(file);
    file.sizeBytes = options?.sizeBytes ?? file.sizeBytes;
    return new MemoryCookie(this, { file, key, outcome });
  }

  async invalidate(): Promise<void> {
    this.check();
    await this.cache.enter("invalidateVolume");
    this.cache.forget(...this.model.files.values());
  }

  async relinquish(options?: {
    readonly coherency?: Uint8Array;
    readonly invalidate?: boolean;
  }): Promise<void> {
    this.#checkHeld();
    await this.cache.enter("relinquishVolume");
    checkCoherency(options?.coherency);
    this.#held = false;
    if (this.ended) return;
    if (options?.coherency !== undefined && !this.stale)
      this.model.coherency = Buffer.from(options.coherency);
    if (options?.invalidate === true) this.cache.forget(...this.model.files.values());
  }
}

class MemoryCookie implements CookieHandle {
  readonly outcome: AcquireOutcome;
  readonly metadata: MemoryMetadata;
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
    this.metadata = new MemoryMetadata(found.file.metadata, async (operation) => {
      this.#check();
      await this.#volume.cache.enter(operation);
      return this.#stale ? { kind: "bypass", reason: "stale" } : undefined;
    });
  }

  get sizeBytes(): bigint {
    return this.#file.sizeBytes;
  }

  async read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult> {
    this.#check();
    await this.#volume.cache.enter("read");
    checkRead(offsetBytes, lengthBytes);
    const read = readFile(this.#file, offsetBytes, lengthBytes);
    if (!this.#stale) return read;
    const missing: ByteRange[] = [];
    addRange(missing, offsetBytes, read.bytes.length);
    return { bytes: read.bytes.fill(0), missing, bypass: "stale" };
  }

  async write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult> {
    this.#check();
    await this.#volume.cache.enter("write");
    checkWrite(offsetBytes, bytes);
    if (this.#stale) return { stored: [], bypass: "stale" };
    return { stored: this.#stored(writeFile(this.#file, offsetBytes, bytes.length, bytes)) };
  }

  async zero(offsetBytes: bigint, lengthBytes: number): Promise<FileWriteResult> {
    this.#check();
    await this.#volume.cache.enter("zero");
    checkZero(offsetBytes, lengthBytes);
    if (this.#stale) return { stored: [], bypass: "stale" };
    return { stored: this.#stored(writeFile(this.#file, offsetBytes, lengthBytes)) };
  }

  /** Whoever waits for one of the blocks is told. */
  #stored(ranges: ByteRange[]): ByteRange[] {
    for (const { offsetBytes, lengthBytes } of ranges) {
      for (const { block } of piecesOf(offsetBytes, lengthBytes)) {
        this.#volume.cache.leases.stored(this.#file, block);
      }
    }
    return ranges;
  }

  async resize(sizeBytes: bigint): Promise<void> {
    this.#check();
    await this.#volume.cache.enter("resize");
    checkFileSize(sizeBytes);
    if (this.#stale) throw new CacheError("E_STALE", "Cannot resize the file: it is of another version");
    if (sizeBytes < this.#file.sizeBytes) this.#volume.cache.forget();
    resizeFile(this.#file, sizeBytes);
  }

  async invalidateRange(offsetBytes: bigint, lengthBytes: bigint): Promise<void> {
    this.#check();
    await this.#volume.cache.enter("invalidateRange");
    checkFileRange(offsetBytes, lengthBytes);
    forgetRange(this.#file, offsetBytes, lengthBytes);
    this.#volume.cache.forget();
  }

  async invalidate(options?: AcquireCookieOptions): Promise<void> {
    this.#check();
    await this.#volume.cache.enter("invalidateCookie");
    checkCoherency(options?.coherency);
    checkFileSize(options?.sizeBytes);
    this.#volume.cache.forget(this.#file);
    this.#file.sizeBytes = options?.sizeBytes ?? this.#file.sizeBytes;
    if (options?.coherency !== undefined) this.#file.coherency = Buffer.from(options.coherency);
    if (options?.coherency === undefined && options?.sizeBytes === undefined) return;
    this.#file.revision += 1;
    this.#revision = this.#file.revision;
  }

  async relinquish(options?: { readonly coherency?: Uint8Array; readonly retire?: boolean }): Promise<void> {
    this.#volume.cache.checkOpen();
    this.#checkHeld();
    await this.#volume.cache.enter("relinquishCookie");
    checkCoherency(options?.coherency);
    this.#held = false;
    if (this.#volume.ended) return;
    if (options?.coherency !== undefined && !this.#stale)
      this.#file.coherency = Buffer.from(options.coherency);
    if (options?.retire !== true) return;
    this.#volume.cache.forget(this.#file);
    this.#volume.model.files.delete(this.#key);
  }

  #check(): void {
    this.#volume.check();
    this.#checkHeld();
  }

  #checkHeld(): void {
    if (!this.#held || !this.#volume.held)
      throw new CacheError("E_CLOSED", "Cannot use the cookie: it was relinquished");
  }

  get #stale(): boolean {
    return this.#revision !== this.#file.revision || this.#volume.stale;
  }
}

/** Coherency data as an acquire leaves it, and how it found it. */
export function settle(
  state: { coherency: Buffer },
  known: boolean,
  coherency: Uint8Array | undefined,
): AcquireOutcome {
  const before = state.coherency;
  if (coherency !== undefined) state.coherency = Buffer.from(coherency);
  if (!known) return "created";
  return before.equals(state.coherency) ? "found" : "invalidated";
}

export function newVolume(): VolumeModel {
  return { coherency: EMPTY, revision: 0, files: new Map() };
}

export function newFile(): FileModel {
  const own = { coherency: EMPTY, revision: 0, stampMax: 0, sizeBytes: 0n };
  return { ...own, blocks: new Map(), metadata: new MetadataModel() };
}
