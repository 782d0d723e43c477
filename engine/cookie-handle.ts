/** Cookie handles of the library: coherency data, size and byte ranges of a file. The blocks behind them: blocks.ts. */
import { CacheError } from "../index/core/errors.js";
import { type NameBytes, nameBuffer } from "../index/core/names.js";
import {
  type AcquireCookieOptions,
  type AcquireOutcome,
  type BypassReason,
  type CookieHandle,
  type FileReadResult,
  type FileWriteResult,
  READ_BYTES_MAX,
  WRITE_BYTES_MAX,
  ZERO_BYTES_MAX,
} from "./api.js";
import type { Life } from "./block-parts.js";
import { allMissing, cutContent, forgetRange, readContent, writeContent } from "./file-content.js";
import { bytesBeforeEnd } from "./file-ranges.js";
import { checkFileRange, checkRange, coherencyOf, outcomeOf, sizeOf } from "./handle-arguments.js";
import { LocalMetadata } from "./metadata.js";
import { type ObjectState, type VolumeState, recordBytes } from "./object-states.js";
import type { HandleParts } from "./volume-handle.js";
import { reached } from "../index/core/steps.js";

/** What a cookie needs of its volume's handle. */
interface Holder {
  /** Ends the cookie when the volume is given up; until detach. */
  attach(cookie: LocalCookie): void;
  detach(cookie: LocalCookie): void;
  readonly stale: boolean;
  /** The cache was wiped since. */
  readonly ended: boolean;
  /** @throws {CacheError} E_CLOSED, E_STALE. */
  check(): void;
}

export class LocalCookie implements CookieHandle {
  readonly outcome: AcquireOutcome;
  readonly #parts: HandleParts;
  readonly #volume: Holder;
  readonly #state: ObjectState;
  readonly #life: Life;
  #revision: number;
  #held = true;
  #metadata: LocalMetadata | undefined;

  private constructor(parts: HandleParts, volume: Holder, state: ObjectState, outcome: AcquireOutcome) {
    this.#parts = parts;
    this.#volume = volume;
    this.#state = state;
    this.#life = parts.blocks.life;
    if (outcome !== "found") state.revision += 1;
    this.#revision = state.revision;
    this.outcome = outcome;
    this.#life.objects.hold(state);
    volume.attach(this);
  }

  /** Another size is a mismatch like other coherency data: the content may be that of another file. */
  static async acquire(
    parts: HandleParts,
    volume: Holder,
    volumeState: VolumeState,
    inode: NameBytes,
    options: AcquireCookieOptions,
  ): Promise<LocalCookie> {
    const coherency = coherencyOf(options.coherency);
    const sizeBytes = sizeOf(options.sizeBytes);
    const { objects, index } = parts.blocks.life;
    const state = objects.obtainIn(volumeState, inode);
    const resized = state.recorded && sizeBytes !== undefined && sizeBytes !== state.sizeBytes;
    const outcome = resized ? "invalidated" : outcomeOf(state, coherency);
    const handle = new LocalCookie(parts, volume, state, outcome);
    parts.counters.cookieAcquires[outcome] += 1;
    if (outcome === "found") return handle;
    // A file not seen before starts with nothing, even if its state is that of a retired one.
    state.coherency = coherency ?? (outcome === "created" ? Buffer.alloc(0) : state.coherency);
    state.sizeBytes = sizeBytes ?? (outcome === "created" ? 0n : state.sizeBytes);
    if (outcome === "invalidated") {
      handle.#raiseStamp();
      await index.settled();
    } else {
      // Without room for its record the file stays unknown to the index; its puts will be told so.
      parts.noteRecord(recordBytes(state));
      if (!parts.indexFull()) objects.record(state);
      parts.note({ kind: "object", id: state.id });
      if (index.wouldReturn(state.id)) await index.settled(); // a file of this name that was culled
    }
    return handle;
  }

  get sizeBytes(): bigint {
    return this.#state.sizeBytes;
  }

  get metadata(): LocalMetadata {
    const holder = { state: this.#state, life: this.#life, check: () => this.#check() };
    return (this.#metadata ??= new LocalMetadata(this.#parts, holder));
  }

  async read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult> {
    const refused = this.#check();
    checkRange("read", offsetBytes, lengthBytes, READ_BYTES_MAX);
    const missing = (reason: BypassReason): FileReadResult =>
      allMissing(offsetBytes, bytesBeforeEnd(offsetBytes, lengthBytes, this.#state.sizeBytes), reason);
    if (refused !== undefined) return missing(refused);
    try {
      return await readContent(this.#parts, this.#state, offsetBytes, lengthBytes);
    } catch (error) {
      return missing((await this.#parts.counters.excuse(error)).reason);
    }
  }

  async write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult> {
    const refused = this.#check();
    checkRange("write", offsetBytes, bytes.length, WRITE_BYTES_MAX);
    if (refused !== undefined) return { stored: [], bypass: refused };
    return this.#written({ offsetBytes, lengthBytes: bytes.length }, nameBuffer(bytes));
  }

  async zero(offsetBytes: bigint, lengthBytes: number): Promise<FileWriteResult> {
    const refused = this.#check();
    checkRange("zero", offsetBytes, lengthBytes, ZERO_BYTES_MAX);
    if (refused !== undefined) return { stored: [], bypass: refused };
    return this.#written({ offsetBytes, lengthBytes });
  }

  async #written(
    range: { readonly offsetBytes: bigint; readonly lengthBytes: number },
    bytes?: Buffer,
  ): Promise<FileWriteResult> {
    try {
      return await writeContent(this.#parts, this.#state, range, bytes);
    } catch (error) {
      return { stored: [], bypass: (await this.#parts.counters.excuse(error)).reason };
    }
  }

  resize(sizeBytes: bigint): Promise<void> {
    return this.#parts.betweenWipes(async () => {
      this.#checkCurrent();
      const size = sizeOf(sizeBytes) as bigint;
      const state = this.#state;
      if (size < state.sizeBytes) await cutContent(this.#parts, state, size);
      else {
        state.sizeBytes = size;
        this.#parts.note({ kind: "object", id: state.id });
      }
      reached("truncate: cut");
      await this.#commit();
      reached("truncate: committed");
    });
  }

  invalidateRange(offsetBytes: bigint, lengthBytes: bigint): Promise<void> {
    return this.#parts.betweenWipes(async () => {
      this.#check();
      checkFileRange(offsetBytes, lengthBytes);
      await forgetRange(this.#parts, this.#state, { offsetBytes, lengthBytes });
      await this.#commit();
    });
  }

  invalidate(options: AcquireCookieOptions = {}): Promise<void> {
    return this.#parts.betweenWipes(() => this.#invalidate(options));
  }

  relinquish(options: { readonly coherency?: Uint8Array; readonly retire?: boolean } = {}): Promise<void> {
    return this.#parts.betweenWipes(() => this.#relinquish(options));
  }

  async #invalidate(options: AcquireCookieOptions): Promise<void> {
    this.#check();
    const coherency = coherencyOf(options.coherency);
    const sizeBytes = sizeOf(options.sizeBytes);
    this.#parts.counters.cookiesInvalidated += 1;
    this.#state.coherency = coherency ?? this.#state.coherency;
    this.#state.sizeBytes = sizeBytes ?? this.#state.sizeBytes;
    // What other handles were acquired with no longer holds if there is something new in its place.
    if (coherency !== undefined || sizeBytes !== undefined) {
      this.#parts.counters.updates += 1;
      this.#state.revision += 1;
      this.#revision = this.#state.revision;
    }
    this.#raiseStamp();
    await this.#life.index.settled();
  }

  async #relinquish(options: { readonly coherency?: Uint8Array; readonly retire?: boolean }): Promise<void> {
    this.#checkHeld();
    const coherency = coherencyOf(options.coherency);
    this.#held = false;
    this.#parts.counters.cookiesRelinquished += 1;
    const kept = this.#stale ? undefined : coherency;
    this.#volume.detach(this);
    this.#letGo();
    if (this.#volume.ended) return; // with all that could be kept or dropped
    if (kept !== undefined) {
      this.#state.coherency = kept;
      this.#parts.counters.updates += 1;
    }
    if (options.retire === true) {
      this.#parts.counters.retired += 1;
      this.#state.stamp = this.#parts.takeStamp({ kind: "object", id: this.#state.id });
      this.#life.leases.invalidated();
      if (this.#state.recorded)
        this.#life.objects.removeRecord({ volumeId: this.#state.volume.id, inode: this.#state.inode });
      this.#parts.housekeeper.reclaimObject(this.#state.id, this.#state.stamp);
      await this.#life.index.settled();
    } else if (kept !== undefined && this.#state.recorded) {
      this.#life.objects.record(this.#state);
      if (this.#life.index.recoverable) await this.#life.index.settled();
    }
  }

  async #commit(): Promise<void> {
    if (this.#state.recorded) this.#life.objects.record(this.#state);
    await this.#life.index.settled();
  }

  /** @throws {CacheError} E_STALE through a handle whose version is gone. */
  #checkCurrent(): void {
    if (this.#check() !== "stale") return;
    throw new CacheError(
      "E_STALE",
      "Cannot resize the file: it was acquired with other coherency data since",
    );
  }

  /** The volume was given up, and this handle with it. */
  end(): void {
    this.#held = false;
    this.#letGo();
  }

  #letGo(): void {
    this.#life.objects.letGo(this.#state);
    this.#parts.housekeeper.noteLeft(this.#state.id);
  }

  #checkHeld(): BypassReason | undefined {
    const refused = this.#parts.admit();
    if (this.#held) return refused;
    throw new CacheError("E_CLOSED", "Cannot use the cookie: its handle was relinquished");
  }

  #check(): BypassReason | undefined {
    const refused = this.#checkHeld();
    this.#volume.check();
    return refused ?? (this.#stale ? "stale" : undefined);
  }

  /** The file, for as long as the handle is held and its version stands. */
  get current(): ObjectState | undefined {
    const stands = this.#held && !this.#stale && this.#life === this.#parts.blocks.life;
    return stands ? this.#state : undefined;
  }

  /** Somebody acquired the file or its volume with other coherency data: this handle's version is gone. */
  get #stale(): boolean {
    return this.#revision !== this.#state.revision || this.#volume.stale;
  }

  #raiseStamp(): void {
    this.#state.stamp = this.#parts.takeStamp({ kind: "object", id: this.#state.id });
    this.#life.leases.invalidated();
    if (!this.#state.recorded) return; // nothing of it is stored
    this.#life.objects.record(this.#state);
    this.#parts.housekeeper.reclaimObject(this.#state.id, this.#state.stamp);
  }
}
