/** Volume and cookie handles of the library: names, coherency data, byte ranges. The blocks behind them: blocks.ts. */
import { CacheError } from "../index/core/errors.js";
import { COHERENCY_BYTES_MAX, SLOT_BYTES } from "../index/core/layout.js";
import { type NameBytes, nameBuffer } from "../index/core/names.js";
import {
  type AcquireCookieOptions,
  type AcquireOutcome,
  type AcquireVolumeOptions,
  type BypassReason,
  type ByteRange,
  type CookieHandle,
  type FileReadResult,
  type FileWriteResult,
  READ_BYTES_MAX,
  type VolumeHandle,
  WRITE_BYTES_MAX,
} from "./api.js";
import type { Blocks, Life } from "./blocks.js";
import type { Housekeeper } from "./housekeeper.js";
import type { ObjectState, VolumeState } from "./objects.js";

const FILE_BYTES_MAX = 2n ** 63n - 1n;
const BLOCK_BYTES = BigInt(SLOT_BYTES);

export interface HandleParts {
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly takeSequence: () => number;
  /** Throws E_CLOSED once the cache is closed; a reason while it takes no work. */
  readonly admit: () => BypassReason | undefined;
}

export class LocalVolume implements VolumeHandle {
  readonly outcome: AcquireOutcome;
  readonly #parts: HandleParts;
  readonly #state: VolumeState;
  readonly #life: Life;
  #held = true;

  private constructor(parts: HandleParts, state: VolumeState, outcome: AcquireOutcome) {
    this.#parts = parts;
    this.#state = state;
    this.#life = parts.blocks.life;
    this.outcome = outcome;
    state.users += 1;
  }

  /** Finds or makes the volume and settles its coherency data; a mismatch is committed before this resolves. */
  static async acquire(
    parts: HandleParts,
    fs: NameBytes,
    volume: NameBytes,
    options: AcquireVolumeOptions,
  ): Promise<LocalVolume> {
    const coherency = coherencyOf(options.coherency);
    const { objects, index } = parts.blocks.life;
    const state = objects.obtainVolume(fs, volume);
    const outcome = outcomeOf(state, coherency);
    const handle = new LocalVolume(parts, state, outcome);
    if (outcome === "found") return handle;
    state.coherency = coherency ?? state.coherency;
    if (outcome === "invalidated") handle.#raiseStamp();
    else objects.recordVolume(state);
    if (outcome === "invalidated") await index.committed();
    return handle;
  }

  async acquireCookie(inode: NameBytes, options: AcquireCookieOptions = {}): Promise<CookieHandle> {
    this.check();
    return LocalCookie.acquire(this.#parts, this, this.#state, inode, options);
  }

  async invalidate(): Promise<void> {
    this.check();
    this.#raiseStamp();
    await this.#life.index.committed();
  }

  async relinquish(
    options: { readonly coherency?: Uint8Array; readonly invalidate?: boolean } = {},
  ): Promise<void> {
    this.check();
    const coherency = coherencyOf(options.coherency);
    this.#held = false;
    this.#state.users -= 1;
    if (coherency !== undefined) this.#state.coherency = coherency;
    if (options.invalidate === true) this.#raiseStamp();
    else if (coherency !== undefined) this.#life.objects.recordVolume(this.#state);
    if (options.invalidate === true) await this.#life.index.committed();
  }

  /** @throws {CacheError} E_CLOSED, E_STALE. */
  check(): void {
    this.#parts.admit();
    if (!this.#held) throw new CacheError("E_CLOSED", "Cannot use the volume: its handle was relinquished");
    if (this.#life !== this.#parts.blocks.life)
      throw new CacheError("E_STALE", "Cannot use the volume: the cache was wiped");
  }

  #raiseStamp(): void {
    this.#state.stamp = this.#parts.takeSequence();
    this.#life.objects.recordVolume(this.#state);
    this.#parts.housekeeper.reclaimVolume(this.#state.id, this.#state.stamp);
  }
}

class LocalCookie implements CookieHandle {
  readonly outcome: AcquireOutcome;
  readonly #parts: HandleParts;
  readonly #volume: LocalVolume;
  readonly #state: ObjectState;
  readonly #life: Life;
  #held = true;

  private constructor(parts: HandleParts, volume: LocalVolume, state: ObjectState, outcome: AcquireOutcome) {
    this.#parts = parts;
    this.#volume = volume;
    this.#state = state;
    this.#life = parts.blocks.life;
    this.outcome = outcome;
    state.users += 1;
  }

  /** Another size is a mismatch like other coherency data: the content may be that of another file. */
  static async acquire(
    parts: HandleParts,
    volume: LocalVolume,
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
    if (outcome === "found") return handle;
    state.coherency = coherency ?? state.coherency;
    state.sizeBytes = sizeBytes ?? state.sizeBytes;
    if (outcome === "invalidated") {
      handle.#raiseStamp();
      await index.committed();
    } else {
      objects.record(state);
      parts.housekeeper.noteLeft(state.id);
    }
    return handle;
  }

  get sizeBytes(): bigint {
    return this.#state.sizeBytes;
  }

  async read(offsetBytes: bigint, lengthBytes: number): Promise<FileReadResult> {
    const refused = this.#check();
    checkRange("read", offsetBytes, lengthBytes, READ_BYTES_MAX);
    const length = cut(offsetBytes, lengthBytes, this.#state.sizeBytes);
    const bytes = Buffer.allocUnsafe(length);
    if (refused !== undefined) {
      return {
        bytes: bytes.fill(0),
        missing: length === 0 ? [] : [{ offsetBytes, lengthBytes: length }],
        bypass: refused,
      };
    }
    const missing: ByteRange[] = [];
    let bypass: BypassReason | undefined;
    const pieces = piecesOf(offsetBytes, length);
    const answers = await Promise.all(
      pieces.map((piece) => {
        const span = { offsetBytes: piece.within, lengthBytes: piece.lengthBytes };
        return this.#parts.blocks.read(
          this.#state,
          piece.block,
          span,
          bytes.subarray(piece.at, piece.at + piece.lengthBytes),
        );
      }),
    );
    for (const [place, answer] of answers.entries()) {
      const piece = pieces[place] as Piece;
      if (answer.kind === "bypass") bypass = answer.reason;
      const got = answer.kind === "hit" ? answer.bytes.length : 0;
      if (got === piece.lengthBytes) continue;
      bytes.fill(0, piece.at + got, piece.at + piece.lengthBytes);
      addRange(missing, offsetBytes + BigInt(piece.at + got), piece.lengthBytes - got);
    }
    return { bytes, missing, ...(bypass !== undefined && { bypass }) };
  }

  async write(offsetBytes: bigint, bytes: Uint8Array): Promise<FileWriteResult> {
    const refused = this.#check();
    checkRange("write", offsetBytes, bytes.length, WRITE_BYTES_MAX);
    if (refused !== undefined) return { stored: [], bypass: refused };
    const source = nameBuffer(bytes);
    const { sizeBytes } = this.#state;
    const pieces = piecesOf(offsetBytes, cut(offsetBytes, bytes.length, sizeBytes)).filter((piece) => {
      const start = BigInt(piece.block) * BLOCK_BYTES;
      const wholeBytes = Math.min(SLOT_BYTES, Number(sizeBytes - start));
      return piece.within === 0 && piece.lengthBytes === wholeBytes;
    });
    const stored: ByteRange[] = [];
    let bypass: BypassReason | undefined;
    const answers = await Promise.all(
      pieces.map((piece) =>
        this.#parts.blocks.store(
          this.#state,
          piece.block,
          source.subarray(piece.at, piece.at + piece.lengthBytes),
        ),
      ),
    );
    for (const [place, answer] of answers.entries()) {
      const piece = pieces[place] as Piece;
      if (answer.kind === "bypass") bypass = answer.reason;
      else addRange(stored, offsetBytes + BigInt(piece.at), piece.lengthBytes);
    }
    return { stored, ...(bypass !== undefined && { bypass }) };
  }

  async invalidate(options: AcquireCookieOptions = {}): Promise<void> {
    this.#check();
    const coherency = coherencyOf(options.coherency);
    const sizeBytes = sizeOf(options.sizeBytes);
    this.#state.coherency = coherency ?? this.#state.coherency;
    this.#state.sizeBytes = sizeBytes ?? this.#state.sizeBytes;
    this.#raiseStamp();
    await this.#life.index.committed();
  }

  async relinquish(
    options: { readonly coherency?: Uint8Array; readonly retire?: boolean } = {},
  ): Promise<void> {
    this.#check();
    const coherency = coherencyOf(options.coherency);
    this.#held = false;
    this.#state.users -= 1;
    if (coherency !== undefined) this.#state.coherency = coherency;
    if (options.retire === true) {
      this.#state.stamp = this.#parts.takeSequence();
      if (this.#state.recorded)
        this.#life.objects.removeRecord({ volumeId: this.#state.volume.id, inode: this.#state.inode });
      this.#parts.housekeeper.reclaimObject(this.#state.volume.id, this.#state.id, this.#state.stamp);
      await this.#life.index.committed();
    } else if (coherency !== undefined) this.#life.objects.record(this.#state);
  }

  #check(): BypassReason | undefined {
    if (!this.#held) {
      this.#parts.admit();
      throw new CacheError("E_CLOSED", "Cannot use the cookie: its handle was relinquished");
    }
    this.#volume.check();
    return this.#parts.admit();
  }

  #raiseStamp(): void {
    this.#state.stamp = this.#parts.takeSequence();
    this.#life.objects.record(this.#state);
    this.#parts.housekeeper.reclaimObject(this.#state.volume.id, this.#state.id, this.#state.stamp);
  }
}

function outcomeOf(
  state: { recorded: boolean; coherency: Buffer },
  coherency: Buffer | undefined,
): AcquireOutcome {
  if (!state.recorded) return "created";
  return coherency === undefined || coherency.equals(state.coherency) ? "found" : "invalidated";
}

function coherencyOf(coherency: Uint8Array | undefined): Buffer | undefined {
  if (coherency === undefined) return undefined;
  if (coherency.length > COHERENCY_BYTES_MAX) {
    const message = `Cannot use coherency data: it has ${coherency.length} bytes, want at most ${COHERENCY_BYTES_MAX}`;
    throw new CacheError("E_ARGUMENT", message);
  }
  return Buffer.from(coherency);
}

function sizeOf(sizeBytes: bigint | undefined): bigint | undefined {
  if (sizeBytes === undefined || (sizeBytes >= 0n && sizeBytes <= FILE_BYTES_MAX)) return sizeBytes;
  throw new CacheError("E_ARGUMENT", `Cannot use a file of ${sizeBytes} bytes: want 0 to 2^63 - 1`);
}

function checkRange(action: string, offsetBytes: bigint, lengthBytes: number, lengthMax: number): void {
  if (offsetBytes < 0n || offsetBytes > FILE_BYTES_MAX) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot ${action} at ${offsetBytes}: want an offset from 0 to 2^63 - 1`,
    );
  }
  if (!Number.isSafeInteger(lengthBytes) || lengthBytes < 0 || lengthBytes > lengthMax) {
    throw new CacheError("E_ARGUMENT", `Cannot ${action} ${lengthBytes} bytes: want 0 to ${lengthMax}`);
  }
}

function cut(offsetBytes: bigint, lengthBytes: number, sizeBytes: bigint): number {
  const left = sizeBytes - offsetBytes;
  return left <= 0n ? 0 : left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
}

/** The part of a byte range that lies in one block. */
interface Piece {
  readonly block: number;
  /** Where it begins in the block. */
  readonly within: number;
  /** Where it begins in the range. */
  readonly at: number;
  readonly lengthBytes: number;
}

function piecesOf(offsetBytes: bigint, lengthBytes: number): Piece[] {
  const pieces: Piece[] = [];
  let block = Number(offsetBytes / BLOCK_BYTES);
  let within = Number(offsetBytes % BLOCK_BYTES);
  for (let at = 0; at < lengthBytes; block += 1, within = 0) {
    const length = Math.min(SLOT_BYTES - within, lengthBytes - at);
    pieces.push({ block, within, at, lengthBytes: length });
    at += length;
  }
  return pieces;
}

/** Appends a range, joined to the last one where they touch. */
function addRange(ranges: ByteRange[], offsetBytes: bigint, lengthBytes: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.offsetBytes + BigInt(last.lengthBytes) === offsetBytes) {
    ranges[ranges.length - 1] = {
      offsetBytes: last.offsetBytes,
      lengthBytes: last.lengthBytes + lengthBytes,
    };
  } else ranges.push({ offsetBytes, lengthBytes });
}
