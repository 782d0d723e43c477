/** Metadata of the model: maps, and a number for each time a set was begun. */
import { nameBuffer } from "../../index/core/names.js";
import type { Bypass, NameBytes, PutResult } from "../../engine/api.js";
import * as api from "../../engine/metadata-api.js";
import {
  checkChange,
  checkEntries,
  checkEntryName,
  checkGroup,
  checkList,
  checkListing,
  checkTtl,
  checkXattrName,
  checkXattrs,
  listedBytes,
  ownedUpTo,
} from "../../engine/metadata-arguments.js";

const EMPTY = Buffer.alloc(0);
const STORED = { kind: "stored" } as const;
const MISS = { kind: "miss" } as const;
const ABSENT = { kind: "absent" } as const;

interface Value {
  readonly coherency: Buffer;
  readonly value: Buffer;
}

/** Names as Latin-1 text, which sorts as their bytes do. */
interface NameSet<Item> {
  coherency: Buffer;
  complete: boolean;
  listing: { readonly token: number; readonly changed: Set<string> } | undefined;
  readonly items: Map<string, Item>;
}

type Entry = api.FoundEntry | { readonly expiresMs: number };

/** What is cached of a file besides its blocks. */
export class MetadataModel {
  readonly values = new Map<api.MetadataGroup, Value>();
  xattrs: NameSet<Buffer> | undefined;
  directory: NameSet<Entry> | undefined;

  clear(): void {
    this.values.clear();
    this.xattrs = undefined;
    this.directory = undefined;
  }
}

let listings = 0;

export class MemoryMetadata implements api.FileMetadata {
  readonly #model: MetadataModel;
  readonly #enter: (operation: string) => Promise<Bypass | undefined>;

  /** @param enter refuses, or says why calls are bypassed. */
  constructor(model: MetadataModel, enter: (operation: string) => Promise<Bypass | undefined>) {
    this.#model = model;
    this.#enter = enter;
  }

  async setAttributes(value: Uint8Array, options?: api.MetadataWriteOptions): Promise<PutResult> {
    const bytes = ownedUpTo("attributes", value, api.ATTRIBUTES_BYTES_MAX);
    return this.#setValue("attributes", bytes, options);
  }

  getAttributes(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#getValue("attributes", options);
  }

  async setSymlink(target: NameBytes, options?: api.MetadataWriteOptions): Promise<PutResult> {
    return this.#setValue("symlink", ownedUpTo("target", target, api.SYMLINK_BYTES_MAX), options);
  }

  getSymlink(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#getValue("symlink", options);
  }

  async #setValue(
    group: api.MetadataGroup,
    value: Buffer,
    options: api.MetadataWriteOptions | undefined,
  ): Promise<PutResult> {
    const { coherency = EMPTY } = checkChange(options);
    const refused = await this.#enter("setMetadata");
    if (refused !== undefined) return refused;
    this.#model.values.set(group, { coherency, value });
    return STORED;
  }

  async #getValue(
    group: api.MetadataGroup,
    options: api.MetadataReadOptions | undefined,
  ): Promise<api.ValueResult> {
    const { coherency } = checkChange(options);
    const refused = await this.#enter("getMetadata");
    if (refused !== undefined) return refused;
    const found = this.#model.values.get(group);
    if (found === undefined) return MISS;
    if (coherency === undefined || coherency.equals(found.coherency))
      return { kind: "found", value: found.value };
    this.#model.values.delete(group);
    return MISS;
  }

  async setXattr(xattr: api.Xattr, options?: api.SetChangeOptions): Promise<PutResult> {
    const [checked] = checkXattrs([xattr]);
    const change = checkChange(options);
    const refused = await this.#enter("setXattr");
    if (refused !== undefined || checked === undefined) return refused ?? STORED;
    const set = (this.#model.xattrs = forChange(this.#model.xattrs, change.coherency));
    set.items.set(keyOf(checked.name), checked.value);
    set.coherency = change.nextCoherency ?? set.coherency;
    return STORED;
  }

  async replaceXattrs(xattrs: readonly api.Xattr[], options?: api.MetadataWriteOptions): Promise<PutResult> {
    const checked = checkXattrs(xattrs);
    const { coherency } = checkChange(options);
    const refused = await this.#enter("replaceXattrs");
    if (refused !== undefined) return refused;
    const set = begin(this.#model.xattrs, coherency);
    for (const { name, value } of checked) set.items.set(keyOf(name), value);
    this.#model.xattrs = { ...set, complete: true };
    return STORED;
  }

  async removeXattr(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    const [key, change] = [keyOf(checkXattrName(name)), checkChange(options)];
    const refused = await this.#enter("removeXattr");
    if (refused !== undefined) return refused;
    const set = (this.#model.xattrs = matching(this.#model.xattrs, change.coherency));
    set?.items.delete(key);
    if (set !== undefined) set.coherency = change.nextCoherency ?? set.coherency;
    return { kind: "removed" };
  }

  async getXattr(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.XattrResult> {
    const [key, { coherency }] = [keyOf(checkXattrName(name)), checkChange(options)];
    const refused = await this.#enter("getXattr");
    if (refused !== undefined) return refused;
    const set = (this.#model.xattrs = matching(this.#model.xattrs, coherency));
    const value = set?.items.get(key);
    if (value !== undefined) return { kind: "found", value };
    return set?.complete === true ? ABSENT : MISS;
  }

  async listXattrs(options?: api.ListOptions): Promise<api.XattrListResult> {
    const asked = checkList(options);
    const refused = await this.#enter("listXattrs");
    if (refused !== undefined) return refused;
    const set = (this.#model.xattrs = matching(this.#model.xattrs, asked.coherency));
    if (set === undefined) return MISS;
    const names = [...set.items.keys()].map((key) => Buffer.from(key, "latin1"));
    const page = pageOf(
      names.map((name) => ({ name, inode: EMPTY, value: EMPTY })),
      asked,
    );
    const { entries, ...rest } = page;
    return { ...rest, names: entries.map((entry) => entry.name), complete: set.complete };
  }

  async putEntries(
    entries: readonly api.DirectoryEntry[],
    options: api.PutEntriesOptions = {},
  ): Promise<PutResult> {
    const checked = checkEntries(entries);
    const { coherency, nextCoherency } = checkChange(options);
    const listing = options.listing === undefined ? undefined : checkListing(options.listing);
    const refused = await this.#enter("putEntries");
    if (refused !== undefined) return refused;
    let set = this.#model.directory;
    if (listing === undefined) set = this.#model.directory = forChange(set, coherency);
    else {
      const others = coherency !== undefined && set?.coherency.equals(coherency) === false;
      if (set?.listing?.token !== listing || others) return { kind: "bypass", reason: "stale" };
    }
    for (const entry of checked) {
      const key = keyOf(entry.name);
      if (listing === undefined) set.listing?.changed.add(key);
      else if (set.listing?.changed.has(key) === true) continue;
      set.items.set(key, entry);
    }
    set.coherency = nextCoherency ?? set.coherency;
    return STORED;
  }

  async putNegative(
    name: NameBytes,
    options: api.SetChangeOptions & { readonly ttlMs: number },
  ): Promise<PutResult> {
    const [key, change] = [keyOf(checkEntryName(name)), checkChange(options)];
    const expiresMs = performance.now() + checkTtl(options.ttlMs);
    const refused = await this.#enter("putNegative");
    if (refused !== undefined) return refused;
    const set = (this.#model.directory = forChange(this.#model.directory, change.coherency));
    set.listing?.changed.add(key);
    set.items.set(key, { expiresMs });
    set.coherency = change.nextCoherency ?? set.coherency;
    return STORED;
  }

  async removeEntry(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    const [key, change] = [keyOf(checkEntryName(name)), checkChange(options)];
    const refused = await this.#enter("removeEntry");
    if (refused !== undefined) return refused;
    const set = (this.#model.directory = matching(this.#model.directory, change.coherency));
    if (set === undefined) return { kind: "removed" };
    set.listing?.changed.add(key);
    set.items.delete(key);
    set.coherency = change.nextCoherency ?? set.coherency;
    return { kind: "removed" };
  }

  async lookup(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.LookupResult> {
    const [key, { coherency }] = [keyOf(checkEntryName(name)), checkChange(options)];
    const refused = await this.#enter("lookup");
    if (refused !== undefined) return refused;
    const set = (this.#model.directory = matching(this.#model.directory, coherency));
    const entry = set?.items.get(key);
    if (entry !== undefined && "name" in entry) return { kind: "found", entry };
    const absent = entry !== undefined && entry.expiresMs > performance.now();
    return absent || set?.complete === true ? ABSENT : MISS;
  }

  async list(options?: api.ListOptions): Promise<api.ListResult> {
    const asked = checkList(options);
    const refused = await this.#enter("list");
    if (refused !== undefined) return refused;
    const set = (this.#model.directory = matching(this.#model.directory, asked.coherency));
    if (set === undefined) return MISS;
    const entries = [...set.items.values()].filter((entry) => "name" in entry);
    return { ...pageOf(entries, asked), complete: set.complete };
  }

  async beginListing(options?: api.MetadataWriteOptions): Promise<api.BeginListingResult> {
    const { coherency } = checkChange(options);
    const refused = await this.#enter("beginListing");
    if (refused !== undefined) return refused;
    listings += 1;
    const set = begin(this.#model.directory, coherency);
    this.#model.directory = { ...set, listing: { token: listings, changed: new Set() } };
    return { kind: "begun", listing: listings };
  }

  async completeListing(listing: number): Promise<api.CompleteListingResult> {
    checkListing(listing);
    const refused = await this.#enter("completeListing");
    if (refused !== undefined) return refused;
    const set = this.#model.directory;
    if (set?.listing?.token !== listing) return { kind: "superseded" };
    set.listing = undefined;
    set.complete = true;
    return { kind: "completed" };
  }

  async drop(group: api.MetadataGroup): Promise<void> {
    const checked = checkGroup(group);
    if ((await this.#enter("dropMetadata")) !== undefined) return;
    if (checked === "xattrs" || checked === "directory") this.#model[checked] = undefined;
    else this.#model.values.delete(checked);
  }
}

function keyOf(name: Buffer): string {
  return name.toString("latin1");
}

function begin<Item>(before: NameSet<Item> | undefined, coherency: Buffer | undefined): NameSet<Item> {
  const kept = coherency ?? before?.coherency ?? EMPTY;
  return { coherency: kept, complete: false, listing: undefined, items: new Map() };
}

function matching<Item>(
  set: NameSet<Item> | undefined,
  coherency: Buffer | undefined,
): NameSet<Item> | undefined {
  return coherency === undefined || set?.coherency.equals(coherency) === true ? set : undefined;
}

function forChange<Item>(set: NameSet<Item> | undefined, coherency: Buffer | undefined): NameSet<Item> {
  return matching(set, coherency) ?? begin(undefined, coherency);
}

function pageOf<Item extends { name: Buffer; inode: Buffer; value: Buffer }>(
  items: readonly Item[],
  { after, countMax }: { after: Buffer | undefined; countMax: number },
): { kind: "listed"; entries: Item[]; next?: Buffer } {
  const sorted = items.toSorted((a, b) => a.name.compare(b.name));
  const left = sorted.filter(({ name }) => after === undefined || name.compare(nameBuffer(after)) > 0);
  const entries: Item[] = [];
  let bytes = 0;
  for (const item of left) {
    bytes += listedBytes(item);
    if (entries.length === countMax || bytes > api.ENTRY_LIST_BYTES_MAX) break;
    entries.push(item);
  }
  const last = entries.at(-1);
  return entries.length < left.length && last !== undefined
    ? { kind: "listed", entries, next: last.name }
    : { kind: "listed", entries };
}
