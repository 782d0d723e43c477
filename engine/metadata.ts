/**
 * Metadata of files in this process. Each call reads and queues in one turn, so that calls do not see each other half
 * done. What calls have in common: metadata-access.ts; what a set is: metadata-set.ts.
 */
import type { NameBytes } from "../index/core/names.js";
import type { ValueRecord } from "../index/metadata-records.js";
import type { PutResult } from "./api.js";
import {
  ABSENT,
  MISS,
  MetadataAccess,
  type MetadataHolder,
  RECORD_OVERHEAD_BYTES,
} from "./metadata-access.js";
import * as api from "./metadata-api.js";
import {
  checkChange,
  checkGroup,
  checkList,
  checkXattrName,
  checkXattrs,
  listedBytes,
  ownedUpTo,
} from "./metadata-arguments.js";
import { DirectoryMetadata } from "./metadata-directory.js";
import type { MetadataSet } from "./metadata-set.js";
import type { HandleParts } from "./volume-handle.js";

const NOTHING = Buffer.alloc(0);

export class LocalMetadata implements api.FileMetadata {
  readonly #access: MetadataAccess;
  readonly #xattrs: MetadataSet;
  readonly #directory: DirectoryMetadata;

  constructor(parts: HandleParts, holder: MetadataHolder) {
    this.#access = new MetadataAccess(parts, holder);
    this.#xattrs = this.#access.setOf("xattrs");
    this.#directory = new DirectoryMetadata(this.#access);
  }

  async setAttributes(value: Uint8Array, options?: api.MetadataWriteOptions): Promise<PutResult> {
    return this.#setValue("attributes", ownedUpTo("attributes", value, api.ATTRIBUTES_BYTES_MAX), options);
  }

  async getAttributes(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#getValue("attributes", options);
  }

  async setSymlink(target: NameBytes, options?: api.MetadataWriteOptions): Promise<PutResult> {
    return this.#setValue("symlink", ownedUpTo("target", target, api.SYMLINK_BYTES_MAX), options);
  }

  async getSymlink(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#getValue("symlink", options);
  }

  async setXattr(xattr: api.Xattr, options?: api.SetChangeOptions): Promise<PutResult> {
    const [{ name, value }] = checkXattrs([xattr]) as [{ name: Buffer; value: Buffer }];
    const checked = checkChange(options);
    const set = this.#xattrs;
    return this.#access.change({
      bytes: name.length + value.length,
      apply: () => {
        const state = set.forChange(checked.coherency);
        this.#putXattr(name, value);
        this.#access.moveOn(set, state, checked);
      },
      refuse: () => this.#access.refuseNames(set, [name]),
    });
  }

  async replaceXattrs(xattrs: readonly api.Xattr[], options?: api.MetadataWriteOptions): Promise<PutResult> {
    const checked = checkXattrs(xattrs);
    const { coherency } = checkChange(options);
    return this.#access.change({
      bytes: checked.reduce(
        (sum, one) => sum + RECORD_OVERHEAD_BYTES + listedBytes({ ...one, inode: NOTHING }),
        0,
      ),
      apply: () => {
        const state = this.#xattrs.begin(coherency);
        for (const { name, value } of checked) this.#putXattr(name, value);
        state.complete = true;
        this.#xattrs.save(state);
      },
      refuse: () => this.#xattrs.drop(),
    });
  }

  async removeXattr(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    return this.#access.remove(this.#xattrs, checkXattrName(name), checkChange(options));
  }

  async getXattr(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.XattrResult> {
    const [nameBytes, { coherency }] = [checkXattrName(name), checkChange(options)];
    return this.#access.read(() => {
      const state = this.#xattrs.matching(coherency);
      const record = state && this.#xattrs.item(state, nameBytes);
      if (record?.kind === "xattr") return { kind: "found", value: record.value };
      return state?.complete === true ? ABSENT : MISS;
    });
  }

  async listXattrs(options?: api.ListOptions): Promise<api.XattrListResult> {
    const asked = checkList(options);
    return this.#access.read(() => {
      const found = this.#access.page(this.#xattrs, asked, (record) => {
        if (record.kind !== "xattr") return undefined;
        const { name } = record;
        return { item: name, name, bytes: listedBytes({ name, inode: NOTHING, value: NOTHING }) };
      });
      if (found === undefined) return MISS;
      const { items: names, ...rest } = found;
      return { kind: "listed", names, ...rest };
    });
  }

  async putEntries(
    entries: readonly api.DirectoryEntry[],
    options?: api.PutEntriesOptions,
  ): Promise<PutResult> {
    return this.#directory.putEntries(entries, options);
  }

  async putNegative(
    name: NameBytes,
    options: api.SetChangeOptions & { readonly ttlMs: number },
  ): Promise<PutResult> {
    return this.#directory.putNegative(name, options);
  }

  async removeEntry(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    return this.#directory.removeEntry(name, options);
  }

  async lookup(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.LookupResult> {
    return this.#directory.lookup(name, options);
  }

  async list(options?: api.ListOptions): Promise<api.ListResult> {
    return this.#directory.list(options);
  }

  async beginListing(options?: api.MetadataWriteOptions): Promise<api.BeginListingResult> {
    return this.#directory.beginListing(options);
  }

  async completeListing(listing: number): Promise<api.CompleteListingResult> {
    return this.#directory.completeListing(listing);
  }

  async drop(group: api.MetadataGroup): Promise<void> {
    const checked = checkGroup(group);
    return this.#access.parts.betweenWipes(async () => {
      if (this.#access.check() !== undefined) return; // of another version, which it is not the caller's to drop
      if (checked === "directory") this.#directory.drop();
      else if (checked === "xattrs") this.#xattrs.drop();
      else this.#access.index.metadata.remove(this.#access.object.id, checked);
      await this.#access.index.settled();
    });
  }

  async #setValue(
    kind: ValueRecord["kind"],
    value: Buffer,
    options: api.MetadataWriteOptions | undefined,
  ): Promise<PutResult> {
    const { coherency = NOTHING } = checkChange(options);
    const objectId = this.#access.object.id;
    return this.#access.change({
      bytes: value.length + coherency.length,
      apply: () => {
        const sequence = this.#access.parts.takeSequence();
        this.#access.index.metadata.put({ kind, objectId, sequence, coherency, value });
      },
      refuse: () => this.#access.index.metadata.remove(objectId, kind),
    });
  }

  async #getValue(
    kind: ValueRecord["kind"],
    options: api.MetadataReadOptions | undefined,
  ): Promise<api.ValueResult> {
    const { coherency } = checkChange(options);
    return this.#access.read(() => {
      const record = this.#access.object.recorded
        ? this.#access.index.metadata.get(this.#access.object.id, kind)
        : undefined;
      if (record?.kind !== kind || record.sequence < this.#access.object.stampMax) return MISS;
      if (coherency === undefined || coherency.equals(record.coherency))
        return { kind: "found", value: record.value };
      this.#access.index.metadata.remove(this.#access.object.id, kind);
      return MISS;
    }, kind);
  }

  #putXattr(name: Buffer, value: Buffer): void {
    const sequence = this.#access.parts.takeSequence();
    this.#access.index.metadata.put({
      kind: "xattr",
      objectId: this.#access.object.id,
      name,
      sequence,
      value,
    });
  }
}
