/** Operations on the metadata of cookies. Format: engine/PROTOCOL.md "Metadata". */
import { CacheError } from "../../index/core/errors.js";
import { COHERENCY_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import type { Bypass, FileMetadata, ListOptions, SetChangeOptions } from "../api.js";
import {
  ENTRIES_MAX,
  ENTRY_LIST_BYTES_MAX,
  FILE_TYPES,
  NEGATIVE_MS_MAX,
  XATTR_BYTES_MAX,
} from "../metadata-api.js";
import { checkGroup, fileTypeOf } from "../metadata-arguments.js";
import { decodeEntryList, encodeEntryList } from "./entry-list.js";
import type { ListedEntry } from "./entry-list.js";
import type { Fields } from "./fields.js";
import { wireInteger } from "./headers.js";
import type { Header, HeaderValue } from "./headers.js";
import type { Operation, Reply, Request } from "./operation.js";

const NOTHING = Buffer.alloc(0);
/** Longer than any value of metadata: the engine says what each may have. */
const VALUE_BYTES_MAX = XATTR_BYTES_MAX;

type Found = Bypass | { readonly kind: "miss" | "absent" | "stored" | "removed" | "superseded" };

/** An operation without payload whose answer is a header. */
function plain(run: (metadata: FileMetadata, fields: Fields) => Promise<Found | Header>): Operation {
  return {
    payload: false,
    async run(request) {
      return { header: headerOf(await run(metadataOf(request), request.fields)) };
    },
  };
}

const setMetadata = plain(async (metadata, fields) => {
  const value = fields.bytesCopy("value", VALUE_BYTES_MAX);
  if (valueGroupOf(fields) === "symlink") return metadata.setSymlink(value, changeOf(fields));
  return metadata.setAttributes(value, changeOf(fields));
});

const getMetadata = plain(async (metadata, fields) => {
  const options = changeOf(fields);
  const isLink = valueGroupOf(fields) === "symlink";
  const result = isLink ? await metadata.getSymlink(options) : await metadata.getAttributes(options);
  return result.kind === "found" ? { status: "ok", value: result.value } : result;
});

const dropMetadata = plain(async (metadata, fields) => {
  await metadata.drop(checkGroup(fields.text("group")));
  return { status: "ok" };
});

const setXattr = plain((metadata, fields) =>
  metadata.setXattr(
    { name: nameOf(fields), value: fields.bytesCopy("value", VALUE_BYTES_MAX) },
    changeOf(fields),
  ),
);

const getXattr = plain(async (metadata, fields) => {
  const result = await metadata.getXattr(nameOf(fields), changeOf(fields));
  return result.kind === "found" ? { status: "ok", value: result.value } : result;
});

const removeXattr = plain((metadata, fields) => metadata.removeXattr(nameOf(fields), changeOf(fields)));

const replaceXattrs: Operation = {
  payload: true,
  async run(request) {
    const xattrs = decodeEntryList(request.payload, "E_ARGUMENT");
    return { header: headerOf(await metadataOf(request).replaceXattrs(xattrs, changeOf(request.fields))) };
  },
};

const listXattrs: Operation = {
  payload: false,
  replyBytes: () => ENTRY_LIST_BYTES_MAX,
  async run(request) {
    const result = await metadataOf(request).listXattrs(listOptionsOf(request.fields));
    if (result.kind !== "listed") return { header: headerOf(result) };
    const entries = result.names.map((name) => ({ name, inode: NOTHING, type: 0, value: NOTHING }));
    return listReply(result, entries);
  },
};

const putEntries: Operation = {
  payload: true,
  async run(request) {
    const { fields } = request;
    const entries = decodeEntryList(request.payload, "E_ARGUMENT").map((entry) => ({
      ...entry,
      type: fileTypeOf(entry.type),
    }));
    const listing = fields.has("listing") ? { listing: listingOf(fields) } : {};
    const result = await metadataOf(request).putEntries(entries, { ...changeOf(fields), ...listing });
    return { header: headerOf(result) };
  },
};

const putNegative = plain((metadata, fields) =>
  metadata.putNegative(nameOf(fields), { ...changeOf(fields), ttlMs: fields.uint("ttl", NEGATIVE_MS_MAX) }),
);

const removeEntry = plain((metadata, fields) => metadata.removeEntry(nameOf(fields), changeOf(fields)));

const lookup = plain(async (metadata, fields) => {
  const result = await metadata.lookup(nameOf(fields), changeOf(fields));
  if (result.kind !== "found") return result;
  const { inode, type, value } = result.entry;
  return { status: "ok", inode, type: FILE_TYPES[type], value };
});

const list: Operation = {
  payload: false,
  replyBytes: () => ENTRY_LIST_BYTES_MAX,
  async run(request) {
    const result = await metadataOf(request).list(listOptionsOf(request.fields));
    if (result.kind !== "listed") return { header: headerOf(result) };
    const entries = result.entries.map((entry) => ({ ...entry, type: FILE_TYPES[entry.type] }));
    return listReply(result, entries);
  },
};

const beginListing = plain(async (metadata, fields) => {
  const result = await metadata.beginListing(changeOf(fields));
  return result.kind === "begun" ? { status: "ok", listing: wireInteger(result.listing) } : result;
});

const completeListing = plain(async (metadata, fields) => {
  const result = await metadata.completeListing(listingOf(fields));
  if (result.kind === "bypass") return result;
  return { status: "ok", completed: result.kind === "completed" };
});

export const METADATA_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["setMetadata", setMetadata],
  ["getMetadata", getMetadata],
  ["dropMetadata", dropMetadata],
  ["setXattr", setXattr],
  ["getXattr", getXattr],
  ["removeXattr", removeXattr],
  ["replaceXattrs", replaceXattrs],
  ["listXattrs", listXattrs],
  ["putEntries", putEntries],
  ["putNegative", putNegative],
  ["removeEntry", removeEntry],
  ["lookup", lookup],
  ["list", list],
  ["beginListing", beginListing],
  ["completeListing", completeListing],
];

function metadataOf({ fields, handles }: Request): FileMetadata {
  return handles.cookie(fields.uint("handle", Number.MAX_SAFE_INTEGER)).metadata;
}

function headerOf(result: Found | Header): Header {
  if (!("kind" in result)) return result;
  const found = result as Found;
  if (found.kind === "bypass") return { status: "bypass", reason: found.reason };
  return { status: found.kind === "removed" ? "ok" : found.kind };
}

function listReply(
  { complete, next }: { readonly complete: boolean; readonly next?: Buffer },
  entries: readonly ListedEntry[],
): Reply {
  const header: Record<string, HeaderValue> = { status: "ok", complete };
  if (next !== undefined) header["next"] = next;
  return { header, payload: [encodeEntryList(entries)] };
}

/** Names and their limits are for the engine to check: these are those of the header. */
function nameOf(fields: Fields): Buffer {
  return fields.bytesCopy("name", NAME_BYTES_MAX);
}

/** The groups that are one value each. @throws {CacheError} E_ARGUMENT. */
function valueGroupOf(fields: Fields): "attributes" | "symlink" {
  const group = checkGroup(fields.text("group"));
  if (group === "attributes" || group === "symlink") return group;
  throw new CacheError(
    "E_ARGUMENT",
    `Cannot use group ${group}: it is no single value, want attributes or symlink`,
  );
}

function listingOf(fields: Fields): number {
  return fields.uint("listing", Number.MAX_SAFE_INTEGER);
}

function changeOf(fields: Fields): SetChangeOptions {
  return { ...bytesOf(fields, "coherency"), ...bytesOf(fields, "nextCoherency") };
}

function listOptionsOf(fields: Fields): ListOptions {
  const after = fields.has("after") ? { after: fields.bytesCopy("after", NAME_BYTES_MAX) } : {};
  const countMax = fields.has("countMax") ? { countMax: fields.uint("countMax", ENTRIES_MAX) } : {};
  return { ...bytesOf(fields, "coherency"), ...after, ...countMax };
}

function bytesOf(fields: Fields, key: "coherency" | "nextCoherency"): Partial<Record<typeof key, Buffer>> {
  return fields.has(key) ? { [key]: fields.bytesCopy(key, COHERENCY_BYTES_MAX) } : {};
}
