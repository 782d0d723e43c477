/** Metadata of files that live in the daemon. Protocol: engine/PROTOCOL.md "Metadata". */
import { CacheError } from "../../index/core/errors.js";
import type { Bypass, NameBytes, PutResult } from "../api.js";
import {
  ATTRIBUTES_BYTES_MAX,
  ENTRY_LIST_BYTES_MAX,
  ENTRY_NAME_BYTES_MAX,
  ENTRY_VALUE_BYTES_MAX,
  FILE_TYPES,
  SYMLINK_BYTES_MAX,
  XATTR_BYTES_MAX,
} from "../metadata-api.js";
import type * as api from "../metadata-api.js";
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
  fileTypeOf,
  ownedUpTo,
} from "../metadata-arguments.js";
import { NAME_BYTES_MAX } from "../../index/core/layout.js";
import { type Answer, type CallOptions, bypassOf, reasonOf } from "./client-call.js";
import type { Link } from "./client-link.js";
import { type ListedEntry, decodeEntryList, encodeEntryList } from "./entry-list.js";
import type { Fields } from "./fields.js";
import { wireInteger } from "./headers.js";
import type { Header } from "./headers.js";

const NOTHING = Buffer.alloc(0);
const STORED = { kind: "stored" } as const;
const MISS = { kind: "miss" } as const;

/** What it needs of the cookie. */
interface Cookie {
  readonly link: Link;
  checkOpen(): void;
  options(header: Header): CallOptions;
  must(action: string, header: Header): Promise<Fields>;
}

type Reply = Extract<Answer, { kind: "reply" }>;

export class RemoteMetadata implements api.FileMetadata {
  readonly #cookie: Cookie;

  constructor(cookie: Cookie) {
    this.#cookie = cookie;
  }

  async setAttributes(value: Uint8Array, options?: api.MetadataWriteOptions): Promise<PutResult> {
    const bytes = ownedUpTo("attributes", value, ATTRIBUTES_BYTES_MAX);
    return this.#store({ op: "setMetadata", group: "attributes", value: bytes, ...changeHeader(options) });
  }

  async getAttributes(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#value({ op: "getMetadata", group: "attributes", ...changeHeader(options) });
  }

  async setSymlink(target: NameBytes, options?: api.MetadataWriteOptions): Promise<PutResult> {
    const value = ownedUpTo("target", target, SYMLINK_BYTES_MAX);
    return this.#store({ op: "setMetadata", group: "symlink", value, ...changeHeader(options) });
  }

  async getSymlink(options?: api.MetadataReadOptions): Promise<api.ValueResult> {
    return this.#value({ op: "getMetadata", group: "symlink", ...changeHeader(options) });
  }

  async setXattr(xattr: api.Xattr, options?: api.SetChangeOptions): Promise<PutResult> {
    const [checked] = checkXattrs([xattr]);
    return this.#store({ op: "setXattr", ...checked, ...changeHeader(options) });
  }

  async replaceXattrs(xattrs: readonly api.Xattr[], options?: api.MetadataWriteOptions): Promise<PutResult> {
    const entries = checkXattrs(xattrs).map(({ name, value }) => ({ name, inode: NOTHING, type: 0, value }));
    return this.#store({ op: "replaceXattrs", ...changeHeader(options) }, entries);
  }

  async removeXattr(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    const header = { op: "removeXattr", name: checkXattrName(name), ...changeHeader(options) };
    return this.#remove("remove an extended attribute", header);
  }

  async getXattr(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.XattrResult> {
    const reply = await this.#ask({ op: "getXattr", name: checkXattrName(name), ...changeHeader(options) });
    if (reply.kind !== "reply") return reply;
    if (reply.fields.raw("status") === "absent") return { kind: "absent" };
    return { kind: "found", value: reply.fields.bytesCopy("value", XATTR_BYTES_MAX) };
  }

  async listXattrs(options?: api.ListOptions): Promise<api.XattrListResult> {
    const listed = await this.#list({ op: "listXattrs", ...listHeader(options) });
    if (listed.kind !== "listed") return listed;
    const { entries, ...rest } = listed;
    return { ...rest, names: entries.map(({ name }) => name) };
  }

  async putEntries(
    entries: readonly api.DirectoryEntry[],
    options: api.PutEntriesOptions = {},
  ): Promise<PutResult> {
    const checked = checkEntries(entries).map((entry) => ({ ...entry, type: FILE_TYPES[entry.type] }));
    const listing =
      options.listing === undefined ? {} : { listing: wireInteger(checkListing(options.listing)) };
    return this.#store({ op: "putEntries", ...changeHeader(options), ...listing }, checked);
  }

  async putNegative(
    name: NameBytes,
    options: api.SetChangeOptions & { readonly ttlMs: number },
  ): Promise<PutResult> {
    const header = { op: "putNegative", name: checkEntryName(name), ttl: checkTtl(options.ttlMs) };
    return this.#store({ ...header, ...changeHeader(options) });
  }

  async removeEntry(name: NameBytes, options?: api.SetChangeOptions): Promise<api.RemoveResult> {
    const header = { op: "removeEntry", name: checkEntryName(name), ...changeHeader(options) };
    return this.#remove("remove an entry", header);
  }

  async lookup(name: NameBytes, options?: api.MetadataReadOptions): Promise<api.LookupResult> {
    const nameBytes = checkEntryName(name);
    const reply = await this.#ask({ op: "lookup", name: nameBytes, ...changeHeader(options) });
    if (reply.kind !== "reply") return reply;
    const { fields } = reply;
    if (fields.raw("status") === "absent") return { kind: "absent" };
    return {
      kind: "found",
      entry: {
        name: nameBytes,
        inode: fields.bytesCopy("inode", NAME_BYTES_MAX),
        type: fileTypeOf(fields.uint("type", 255)),
        value: fields.bytesCopy("value", ENTRY_VALUE_BYTES_MAX),
      },
    };
  }

  async list(options?: api.ListOptions): Promise<api.ListResult> {
    const listed = await this.#list({ op: "list", ...listHeader(options) });
    if (listed.kind !== "listed") return listed;
    const entries = listed.entries.map((entry) => ({ ...entry, type: fileTypeOf(entry.type) }));
    return { ...listed, entries };
  }

  async beginListing(options?: api.MetadataWriteOptions): Promise<api.BeginListingResult> {
    const reply = await this.#ask({ op: "beginListing", ...changeHeader(options) });
    if (reply.kind === "bypass") return reply;
    if (reply.kind === "miss") throw unexpected();
    return { kind: "begun", listing: reply.fields.uint("listing", Number.MAX_SAFE_INTEGER) };
  }

  async completeListing(listing: number): Promise<api.CompleteListingResult> {
    const header = { op: "completeListing", listing: wireInteger(checkListing(listing)) };
    const reply = await this.#ask(header);
    if (reply.kind === "bypass") return reply;
    if (reply.kind === "miss") throw unexpected();
    return { kind: reply.fields.flag("completed") ? "completed" : "superseded" };
  }

  async drop(group: api.MetadataGroup): Promise<void> {
    this.#cookie.checkOpen();
    await this.#cookie.must("drop metadata", { op: "dropMetadata", group: checkGroup(group) });
  }

  async #store(header: Header, entries?: readonly ListedEntry[]): Promise<PutResult> {
    const reply = await this.#ask(header, { ...(entries && { payload: encodeEntryList(entries) }) });
    if (reply.kind === "miss") throw unexpected();
    return reply.kind === "bypass" ? reply : STORED;
  }

  async #value(header: Header): Promise<api.ValueResult> {
    const reply = await this.#ask(header);
    if (reply.kind !== "reply") return reply;
    return { kind: "found", value: reply.fields.bytesCopy("value", XATTR_BYTES_MAX) };
  }

  async #remove(action: string, header: Header): Promise<api.RemoveResult> {
    this.#cookie.checkOpen();
    const fields = await this.#cookie.must(action, header);
    if (fields.raw("status") === "bypass") return { kind: "bypass", reason: reasonOf(fields, "reason") };
    return { kind: "removed" };
  }

  async #list(header: Header): Promise<Bypass | typeof MISS | Listed> {
    const reply = await this.#ask(header, {
      replyBytesMax: ENTRY_LIST_BYTES_MAX,
    });
    if (reply.kind !== "reply") return reply;
    const { fields, payload } = reply;
    const next = fields.has("next") ? { next: fields.bytesCopy("next", ENTRY_NAME_BYTES_MAX) } : {};
    const entries = decodeEntryList(payload, "E_FRAME");
    return { kind: "listed", entries, complete: fields.flag("complete"), ...next };
  }

  /** A reply that is neither a miss nor a bypass. */
  async #ask(
    header: Header,
    extra: Pick<CallOptions, "payload" | "replyBytesMax"> = {},
  ): Promise<Reply | Bypass | typeof MISS> {
    this.#cookie.checkOpen();
    let fields: Fields | undefined;
    const answer = await this.#cookie.link.call({
      ...this.#cookie.options(header),
      ...extra,
      accept: (received, payloadBytes) => {
        fields = received.owned();
        return payloadBytes === 0 ? undefined : Buffer.allocUnsafe(payloadBytes);
      },
    });
    if (answer.kind !== "reply") return { kind: "bypass", reason: bypassOf(answer) };
    fields ??= answer.fields;
    const status = fields.raw("status");
    if (status === "bypass") return { kind: "bypass", reason: reasonOf(fields, "reason") };
    return status === "miss" ? MISS : { ...answer, fields };
  }
}

interface Listed {
  readonly kind: "listed";
  readonly entries: readonly ListedEntry[];
  readonly complete: boolean;
  readonly next?: Buffer;
}

function changeHeader(options: api.SetChangeOptions | undefined): Header {
  const { coherency, nextCoherency } = checkChange(options);
  return { ...(coherency && { coherency }), ...(nextCoherency && { nextCoherency }) };
}

function listHeader(options: api.ListOptions | undefined): Header {
  const { coherency, after, countMax } = checkList(options);
  return { countMax, ...(coherency && { coherency }), ...(after && { after }) };
}

function unexpected(): CacheError {
  return new CacheError("E_FRAME", "Cannot use a reply: it is a miss where none can be");
}
