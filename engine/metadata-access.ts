/** What all calls on a file's metadata have in common: when they are refused, how they wait, and how sets are read and changed. */
import type { BlockIndex } from "../index/block-index.js";
import { isCacheError } from "../index/core/errors.js";
import type { MetadataRecord, SetRecord, ValueRecord } from "../index/metadata-records.js";
import type { Bypass, BypassReason, PutResult } from "./api.js";
import type { Life } from "./block-parts.js";
import type { CheckedOptions, checkList } from "./metadata-arguments.js";
import type { RemoveResult } from "./metadata-api.js";
import { pageOf } from "./metadata-page.js";
import { MetadataSet, type SetState } from "./metadata-set.js";
import { type ObjectState, recordBytes } from "./object-states.js";
import type { HandleParts } from "./volume-handle.js";

export const MISS = { kind: "miss" } as const;
export const ABSENT = { kind: "absent" } as const;
const STORED = { kind: "stored" } as const;
const REMOVED = { kind: "removed" } as const;

/** Index changes, and bytes of them, that may wait for their commit before writers are held back. */
const QUEUED_CHANGES_MAX = 8192;
const QUEUED_BYTES_MAX = 4 * 1024 * 1024;
/** Every so many writes the culler is asked to look at the index. */
const LOOK_EVERY_WRITES = 64;
/** A bound for key, head of the record and LMDB's part of a page, beside names and values. */
export const RECORD_OVERHEAD_BYTES = 48;

/** What the metadata of a cookie needs of it. */
export interface MetadataHolder {
  readonly state: ObjectState;
  readonly life: Life;
  /** Why calls are refused, if they are. @throws {CacheError} E_CLOSED, E_STALE. */
  check(): BypassReason | undefined;
}

export interface Change {
  /** Names and values that are written. */
  readonly bytes: number;
  readonly apply: () => Bypass | void;
  /** Drops what the change was to replace, for it was refused. */
  readonly refuse: () => void;
}

export class MetadataAccess {
  readonly parts: HandleParts;
  readonly index: BlockIndex;
  readonly object: ObjectState;
  readonly #holder: MetadataHolder;
  #writes = 0;

  constructor(parts: HandleParts, holder: MetadataHolder) {
    this.parts = parts;
    this.#holder = holder;
    this.index = holder.life.index;
    this.object = holder.state;
  }

  setOf(kind: SetRecord["kind"]): MetadataSet {
    const { takeSequence, onCorrupt, housekeeper } = this.parts;
    const reclaimItems = (items: "xattr" | "entry", sequence: number): void =>
      housekeeper.reclaimItems(this.object.id, items, sequence);
    const { index } = this;
    return new MetadataSet({ index, takeSequence, onCorrupt, reclaimItems }, this.object, kind);
  }

  /** As of the handle. @throws {CacheError} E_CLOSED, E_STALE. */
  check(): BypassReason | undefined {
    return this.#holder.check();
  }

  bypass(reason: BypassReason): Bypass {
    return this.parts.counters.bypass(reason);
  }

  /** Looks and answers in one turn; what does not read back is dropped and counts as absent. */
  read<Result>(look: () => Result, kind?: ValueRecord["kind"]): Result | Bypass | typeof MISS {
    const refused = this.#holder.check();
    if (refused !== undefined) return this.bypass(refused);
    try {
      return look();
    } catch (error) {
      if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
      this.parts.onCorrupt(error);
      if (kind !== undefined) this.index.metadata.remove(this.object.id, kind);
      return MISS;
    }
  }

  async change({ bytes, apply, refuse }: Change): Promise<PutResult> {
    const { takeSequence, noteRecord, indexFull } = this.parts;
    const refused = this.#holder.check();
    if (refused !== undefined) return this.bypass(refused);
    const { life } = this.#holder;
    try {
      if (
        this.index.queuedChanges > QUEUED_CHANGES_MAX ||
        this.index.metadata.queuedBytes > QUEUED_BYTES_MAX
      ) {
        const sequence = takeSequence();
        await this.index.committed();
        const late = this.#holder.check() ?? (sequence < this.object.stampMax ? "stale" : undefined);
        if (late !== undefined) return this.bypass(late);
      }
      noteRecord(Math.ceil(1.5 * bytes) + RECORD_OVERHEAD_BYTES);
      if (!this.object.recorded) noteRecord(recordBytes(this.object));
      this.#writes += 1;
      const full = indexFull();
      if (full || this.#writes % LOOK_EVERY_WRITES === 0) life.room.changed(); // culling makes room there too
      if (full) {
        refuse();
        return this.bypass("index-full");
      }
      if (!this.object.recorded) life.objects.record(this.object);
      const refusal = apply();
      // A cut must not bring back what this replaced, nor a directory that was complete without it.
      if (this.index.recoverable) await this.index.settled();
      return refusal ?? STORED;
    } catch (error) {
      return this.#failed(error, refuse);
    }
  }

  #failed(error: unknown, refuse: () => void): Bypass {
    if (!isCacheError(error) || error.code === "E_CLOSED" || error.code === "E_STALE") throw error;
    this.parts.onTrouble("metadata could not be stored", error);
    refuse();
    return this.bypass("io-error");
  }

  remove(set: MetadataSet, name: Buffer, change: CheckedOptions): Promise<RemoveResult> {
    return this.parts.betweenWipes(async () => {
      const refused = this.#holder.check();
      if (refused !== undefined) return this.bypass(refused);
      const state = set.matching(change.coherency);
      if (state !== undefined) {
        set.noteChanged(state, name);
        set.removeItem(state, name);
        this.moveOn(set, state, change);
      }
      await this.index.settled();
      return REMOVED;
    });
  }

  /** A change that was refused leaves nothing of what it was to replace. */
  refuseNames(set: MetadataSet, names: readonly Buffer[]): void {
    const state = set.current();
    if (state === undefined) return;
    for (const name of names) set.removeItem(state, name);
    set.spoil();
  }

  moveOn(set: MetadataSet, state: SetState, { nextCoherency }: CheckedOptions): void {
    if (nextCoherency === undefined) return;
    state.coherency = nextCoherency;
    set.save(state);
  }

  page<Item>(
    set: MetadataSet,
    { coherency, after, countMax }: ReturnType<typeof checkList>,
    itemOf: (record: MetadataRecord) => { item: Item; bytes: number; name: Buffer } | undefined,
  ): { items: readonly Item[]; complete: boolean; next?: Buffer } | undefined {
    const state = set.matching(coherency);
    if (state === undefined) return undefined;
    const { onCorrupt } = this.parts;
    const objectId = this.object.id;
    const { items, next } = pageOf({
      index: this.index,
      objectId,
      set,
      state,
      after,
      countMax,
      itemOf,
      onCorrupt,
    });
    return { items, complete: state.complete, ...(next !== undefined && { next }) };
  }
}
