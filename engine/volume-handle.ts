/** Volume handles of the library: names and coherency data of a volume. */
import { CacheError } from "../index/core/errors.js";
import type { NameBytes } from "../index/core/names.js";
import type {
  AcquireCookieOptions,
  AcquireOutcome,
  AcquireVolumeOptions,
  BypassReason,
  CookieHandle,
  VolumeHandle,
} from "./api.js";
import type { Blocks } from "./blocks.js";
import type { Life } from "./block-parts.js";
import type { Counters } from "./counters.js";
import { LocalCookie } from "./cookie-handle.js";
import { coherencyOf, outcomeOf } from "./handle-arguments.js";
import type { Noticed } from "./direct/lookup-format.js";
import type { Housekeeper } from "./housekeeper.js";
import type { VolumeState } from "./object-states.js";

export interface HandleParts {
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly counters: Counters;
  readonly takeSequence: () => number;
  readonly takeStamp: (noticed: Noticed) => number;
  /** Direct readers are told that what they know of these names holds no more. */
  readonly note: (noticed: Noticed) => void;
  /** As in BlockParts. */
  readonly indexFull: () => boolean;
  readonly noteRecord: (bytes: number) => void;
  readonly now: () => number;
  /** The first sequence number of this session. */
  readonly sessionSequence: number;
  /** Told of records that do not read back, and of trouble that was answered with a bypass. */
  readonly onCorrupt: (error: CacheError) => void;
  readonly onTrouble: (message: string, error: unknown) => void;
  /** Throws E_CLOSED once the cache is closed; a reason while it takes no work. */
  readonly admit: () => BypassReason | undefined;
  /** Runs `body` at once, or after a wipe that is under way. Throws E_CLOSED once the cache is closed. */
  readonly betweenWipes: <T>(body: () => Promise<T>) => Promise<T>;
}

export class LocalVolume implements VolumeHandle {
  readonly outcome: AcquireOutcome;
  readonly #parts: HandleParts;
  readonly #state: VolumeState;
  readonly #life: Life;
  readonly #revision: number;
  readonly #cookies = new Set<LocalCookie>();
  #held = true;

  private constructor(parts: HandleParts, state: VolumeState, outcome: AcquireOutcome) {
    this.#parts = parts;
    this.#state = state;
    this.#life = parts.blocks.life;
    if (outcome !== "found") state.revision += 1;
    this.#revision = state.revision;
    this.outcome = outcome;
    this.#life.objects.volumes.hold(state);
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
    const state = objects.volumes.obtain(fs, volume);
    const outcome = outcomeOf(state, coherency);
    const handle = new LocalVolume(parts, state, outcome);
    parts.counters.volumeAcquires[outcome] += 1;
    if (outcome === "found") return handle;
    state.coherency = coherency ?? state.coherency;
    if (outcome === "invalidated") handle.#raiseStamp();
    else {
      if (!parts.indexFull()) objects.volumes.record(state);
      parts.note({ kind: "volume", id: state.id });
    }
    if (outcome === "invalidated" || index.recoverable) await index.settled();
    return handle;
  }

  acquireCookie(inode: NameBytes, options: AcquireCookieOptions = {}): Promise<CookieHandle> {
    return this.#parts.betweenWipes(async () => {
      this.check();
      return LocalCookie.acquire(this.#parts, this, this.#state, inode, options);
    });
  }

  invalidate(): Promise<void> {
    return this.#parts.betweenWipes(async () => {
      this.check();
      this.#parts.counters.volumesInvalidated += 1;
      this.#raiseStamp();
      await this.#life.index.settled();
    });
  }

  relinquish(
    options: { readonly coherency?: Uint8Array; readonly invalidate?: boolean } = {},
  ): Promise<void> {
    return this.#parts.betweenWipes(() => this.#relinquish(options));
  }

  async #relinquish(options: {
    readonly coherency?: Uint8Array;
    readonly invalidate?: boolean;
  }): Promise<void> {
    this.#checkHeld();
    const coherency = coherencyOf(options.coherency);
    this.#held = false;
    this.#parts.counters.volumesRelinquished += 1;
    const kept = this.stale ? undefined : coherency;
    for (const cookie of this.#cookies) cookie.end();
    this.#cookies.clear();
    this.#life.objects.volumes.letGo(this.#state);
    if (this.ended) return; // with all that could be kept or dropped
    if (kept !== undefined) {
      this.#state.coherency = kept;
      this.#parts.counters.updates += 1;
    }
    if (options.invalidate === true) this.#raiseStamp();
    else if (kept !== undefined && this.#state.recorded) this.#life.objects.volumes.record(this.#state);
    if (options.invalidate === true || (kept !== undefined && this.#life.index.recoverable))
      await this.#life.index.settled();
  }

  attach(cookie: LocalCookie): void {
    this.#cookies.add(cookie);
  }

  detach(cookie: LocalCookie): void {
    this.#cookies.delete(cookie);
  }

  /** Somebody acquired the volume with other coherency data: what this handle's owner reads and writes is of another version. */
  get stale(): boolean {
    return this.#revision !== this.#state.revision;
  }

  /** @throws {CacheError} E_CLOSED, E_STALE. */
  check(): void {
    this.#checkHeld();
    if (this.ended) throw new CacheError("E_STALE", "Cannot use the volume: the cache was wiped");
  }

  #checkHeld(): void {
    this.#parts.admit();
    if (!this.#held) throw new CacheError("E_CLOSED", "Cannot use the volume: its handle was relinquished");
  }

  /** The cache was wiped since. */
  get ended(): boolean {
    return this.#life !== this.#parts.blocks.life;
  }

  #raiseStamp(): void {
    this.#state.stamp = this.#parts.takeStamp({ kind: "volume", id: this.#state.id });
    this.#life.leases.invalidated();
    if (!this.#state.recorded) return; // nothing of it is stored
    this.#life.objects.volumes.record(this.#state);
    this.#parts.housekeeper.reclaimVolume(this.#state.id, this.#state.stamp);
  }
}
