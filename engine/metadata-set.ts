/**
 * Extended attributes or directory entries of one file, as a whole: since when, with which coherency data, and whether
 * names without a record are known not to exist. Records with lower sequence numbers than the set's are of an earlier
 * set: they do not exist, and the housekeeper removes them. So a set of any size is begun anew by one record.
 */
import type { CacheError } from "../index/core/errors.js";
import { isCacheError } from "../index/core/errors.js";
import type { BlockIndex } from "../index/block-index.js";
import type { MetadataRecord, SetRecord } from "../index/metadata-records.js";
import type { ObjectState } from "./object-states.js";

/** Names that may be changed beside a listing before it is given up. */
export const CHANGED_NAMES_MAX = 16_384;

export interface SetState {
  sequence: number;
  coherency: Buffer;
  complete: boolean;
  /** The listing under way, and what was changed beside it: that is newer than what the listing will bring. */
  listing: { readonly token: number; readonly changed: Set<string> } | undefined;
}

/** Sets of a loaded file: undefined before the index was asked, null if there is none. */
export interface ObjectSets {
  xattrs?: SetState | null;
  directory?: SetState | null;
}

export interface SetParts {
  readonly index: BlockIndex;
  readonly takeSequence: () => number;
  /** Records of this kind with lower sequence numbers are to go. */
  readonly reclaimItems: (kind: "xattr" | "entry", sequence: number) => void;
  readonly onCorrupt: (error: CacheError) => void;
}

const EMPTY = Buffer.alloc(0);
const ITEM_KINDS = { xattrs: "xattr", directory: "entry" } as const;

export class MetadataSet {
  readonly itemKind: "xattr" | "entry";
  readonly #parts: SetParts;
  readonly #object: ObjectState;
  readonly #kind: SetRecord["kind"];

  constructor(parts: SetParts, object: ObjectState, kind: SetRecord["kind"]) {
    this.#parts = parts;
    this.#object = object;
    this.#kind = kind;
    this.itemKind = ITEM_KINDS[kind];
  }

  /** The set as it stands; undefined if there is none or it was invalidated with its file. */
  current(): SetState | undefined {
    const sets = this.#object.sets;
    const known = sets[this.#kind];
    const state = known === undefined ? this.#load() : known;
    sets[this.#kind] = state;
    if (state === null || !this.#object.recorded || state.sequence < this.#object.stampMax) return undefined;
    return state;
  }

  /** The same for a reader, whose coherency data must match: what does not is dropped. */
  matching(coherency: Buffer | undefined): SetState | undefined {
    const state = this.current();
    if (state === undefined || coherency === undefined || coherency.equals(state.coherency)) return state;
    this.drop();
    return undefined;
  }

  /** The set for someone who changes it: begun anew where there is none, or none with this coherency data. */
  forChange(coherency: Buffer | undefined): SetState {
    return this.matching(coherency) ?? this.begin(coherency);
  }

  /** An empty, incomplete set in place of what there was. */
  begin(coherency: Buffer | undefined): SetState {
    const before = this.current();
    const sequence = this.#parts.takeSequence();
    if (before !== undefined) this.#parts.reclaimItems(this.itemKind, sequence);
    const state = {
      sequence,
      coherency: coherency ?? before?.coherency ?? EMPTY,
      complete: false,
      listing: undefined,
    };
    this.#object.sets[this.#kind] = state;
    this.save(state);
    return state;
  }

  drop(): void {
    const { index, takeSequence, reclaimItems } = this.#parts;
    if (this.current() === undefined) return;
    index.metadata.remove(this.#object.id, this.#kind);
    this.#object.sets[this.#kind] = null;
    reclaimItems(this.itemKind, takeSequence());
  }

  /** Something of the set may be missing: nothing can be concluded from an absent name, and no listing under way counts. */
  spoil(): void {
    const state = this.current();
    if (state === undefined) return;
    state.listing = undefined;
    if (!state.complete) return;
    state.complete = false;
    this.save(state);
  }

  save({ sequence, coherency, complete }: SetState): void {
    const record = { kind: this.#kind, objectId: this.#object.id, sequence, coherency, complete };
    this.#parts.index.metadata.put(record);
  }

  /** A name is changed by other means than the listing under way. */
  noteChanged(state: SetState, name: Buffer): void {
    if (state.listing === undefined) return;
    state.listing.changed.add(name.toString("latin1"));
    if (state.listing.changed.size > CHANGED_NAMES_MAX) state.listing = undefined;
  }

  /** The record of a name, if it is of this set. */
  item(state: SetState, name: Buffer): MetadataRecord | undefined {
    const record = this.#read(this.itemKind, name);
    return record === undefined || record.sequence < state.sequence ? undefined : record;
  }

  removeItem(state: SetState, name: Buffer): void {
    if (this.item(state, name) !== undefined)
      this.#parts.index.metadata.remove(this.#object.id, this.itemKind, name);
  }

  /** A record that does not read back is dropped; then names may be missing. */
  #read(kind: "xattr" | "entry" | SetRecord["kind"], name?: Buffer): MetadataRecord | undefined {
    const { index, onCorrupt, reclaimItems, takeSequence } = this.#parts;
    try {
      return index.metadata.get(this.#object.id, kind, name);
    } catch (error) {
      if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
      onCorrupt(error);
      index.metadata.remove(this.#object.id, kind, name);
      if (kind === this.itemKind) this.spoil();
      else reclaimItems(this.itemKind, takeSequence());
      return undefined;
    }
  }

  #load(): SetState | null {
    const record = this.#read(this.#kind);
    if (record?.kind !== this.#kind) return null;
    const { sequence, coherency, complete } = record;
    return { sequence, coherency, complete, listing: undefined };
  }
}
