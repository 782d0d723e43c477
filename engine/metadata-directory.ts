/** The entries of a directory, as metadata.ts answers for them. */
import type { NameBytes } from "../index/core/names.js";
import type { EntryRecord, MetadataRecord } from "../index/metadata-records.js";
import type { Bypass, PutResult } from "./api.js";
import { ABSENT, MISS, type MetadataAccess, RECORD_OVERHEAD_BYTES } from "./metadata-access.js";
import * as api from "./metadata-api.js";
import {
  type CheckedOptions,
  checkChange,
  checkEntries,
  checkEntryName,
  checkList,
  checkListing,
  checkTtl,
  fileTypeOf,
  listedBytes,
} from "./metadata-arguments.js";
import type { MetadataSet, SetState } from "./metadata-set.js";

export class DirectoryMetadata {
  readonly #access: MetadataAccess;
  readonly #set: MetadataSet;

  constructor(access: MetadataAccess) {
    this.#access = access;
    this.#set = access.setOf("directory");
  }

  async putEntries(
    entries: readonly api.DirectoryEntry[],
    options: api.PutEntriesOptions = {},
  ): Promise<PutResult> {
    const checked = checkEntries(entries);
    const change = checkChange(options);
    const listing = options.listing === undefined ? undefined : checkListing(options.listing);
    return this.#access.change({
      bytes: checked.reduce((sum, entry) => sum + RECORD_OVERHEAD_BYTES + listedBytes(entry), 0),
      apply: () => this.#putAll(checked, change, listing),
      refuse: () => {
        if (listing === undefined)
          this.#access.refuseNames(
            this.#set,
            checked.map(({ name }) => name),
          );
        else if (this.#set.current()?.listing?.token === listing) this.#set.spoil();
      },
    });
  }

  #putAll(
    entries: readonly api.FoundEntry[],
    change: CheckedOptions,
    listing: number | undefined,
  ): Bypass | undefined {
    let state: SetState | undefined;
    if (listing === undefined) state = this.#set.forChange(change.coherency);
    else {
      state = this.#set.current();
      const others = change.coherency !== undefined && state?.coherency.equals(change.coherency) === false;
      if (state?.listing?.token !== listing || others) return this.#access.bypass("stale");
    }
    const sequence = this.#access.parts.takeSequence();
    for (const { name, inode, type, value } of entries) {
      if (listing === undefined) this.#set.noteChanged(state, name);
      else if (state.listing?.changed.has(name.toString("latin1")) === true) continue;
      this.#putEntry(name, sequence, { type: api.FILE_TYPES[type], inode, value });
    }
    this.#access.moveOn(this.#set, state, change);
    return undefined;
  }

  async putNegative(
    name: NameBytes,
    options: api.SetChangeOptions & { readonly ttlMs: number },
  ): Promise<PutResult> {
    const [nameBytes, change] = [checkEntryName(name), checkChange(options)];
    const ttlMs = checkTtl(options.ttlMs);
    return this.#access.change({
      bytes: nameBytes.length,
      apply: () => {
        const state = this.#set.forChange(change.coherency);
        this.#set.noteChanged(state, nameBytes);
        const expiresMs = Math.ceil(this.#access.parts.now() + ttlMs);
        if (state.complete) this.#set.removeItem(state, nameBytes);
        else this.#putEntry(nameBytes, this.#access.parts.takeSequence(), { expiresMs });
        this.#access.moveOn(this.#set, state, change);
      },
      refuse: () => this.#access.refuseNames(this.#set, [nameBytes]),
    });
  }

  async removeEntry(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    return this.#access.remove(this.#set, checkEntryName(name), checkChange(options));
  }

  async lookup(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.LookupResult> {
    const [nameBytes, { coherency }] = [checkEntryName(name), checkChange(options)];
    return this.#access.read(() => {
      const state = this.#set.matching(coherency);
      if (state === undefined) return MISS;
      const record = this.#set.item(state, nameBytes);
      const entry = record && entryOf(record);
      if (entry !== undefined) return { kind: "found", entry };
      if (record?.kind === "entry" && this.#isNegative(record)) return ABSENT;
      if (record !== undefined)
        this.#access.index.metadata.remove(this.#access.object.id, "entry", nameBytes); // expired
      return state.complete ? ABSENT : MISS;
    });
  }

  async list(options?: api.ListOptions): Promise<api.ListResult> {
    const asked = checkList(options);
    return this.#access.read(() => {
      const found = this.#access.page(this.#set, asked, (record) => {
        const entry = entryOf(record);
        return entry && { item: entry, name: entry.name, bytes: listedBytes(entry) };
      });
      if (found === undefined) return MISS;
      const { items: entries, ...rest } = found;
      return { kind: "listed", entries, ...rest };
    });
  }

  async beginListing(options?: api.MetadataWriteOptions): Promise<api.BeginListingResult> {
    const { coherency } = checkChange(options);
    let listing = 0;
    const result = await this.#access.change({
      bytes: coherency?.length ?? 0,
      apply: () => {
        const state = this.#set.begin(coherency);
        listing = state.sequence;
        state.listing = { token: listing, changed: new Set() };
      },
      refuse: () => this.#set.drop(),
    });
    return result.kind === "stored" ? { kind: "begun", listing } : result;
  }

  async completeListing(listing: number): Promise<api.CompleteListingResult> {
    checkListing(listing);
    const refused = this.#access.check();
    if (refused !== undefined) return this.#access.bypass(refused);
    const state = this.#set.current();
    if (state?.listing?.token !== listing) return { kind: "superseded" };
    state.listing = undefined;
    state.complete = true;
    this.#set.save(state);
    return { kind: "completed" };
  }

  drop(): void {
    this.#set.drop();
  }

  #putEntry(name: Buffer, sequence: number, target: EntryRecord["target"]): void {
    this.#access.index.metadata.put({
      kind: "entry",
      objectId: this.#access.object.id,
      name,
      sequence,
      target,
    });
  }

  /** The clock begins anew with each session, so what another one wrote has expired. */
  #isNegative({ sequence, target }: EntryRecord): boolean {
    const { now, sessionSequence } = this.#access.parts;
    return "expiresMs" in target && sequence >= sessionSequence && now() < target.expiresMs;
  }
}

function entryOf(record: MetadataRecord): api.FoundEntry | undefined {
  if (record.kind !== "entry" || "expiresMs" in record.target) return undefined;
  const { type, inode, value } = record.target;
  return { name: record.name, inode, type: fileTypeOf(type), value };
}
