/** The two records of the index about itself: what it belongs to, and how many entries it holds. */
import { CacheError } from "./core/errors.js";
import type { IndexTable } from "./batch.js";
import type { Store } from "./environment.js";
import { decodeIdentity, encodeIdentity } from "./records.js";
import type { IndexIdentity } from "./records.js";

const identityKey = Buffer.from("identity");
export const entryCountKey = Buffer.from("entries");
const ENTRY_COUNT_BYTES = 8;

/**
 * Writes the identity into a new index, or checks the one that is there.
 * @throws {CacheError} E_INDEX_CORRUPT when it is missing and `create` is false, or is another one.
 */
export function bindIdentity(store: Store<IndexTable>, wanted: IndexIdentity, create: boolean): void {
  const value = store.get("identity", identityKey);
  if (value === undefined) {
    const isEmpty = INDEX_CONTENT.every((table) => store.scan(table, {}, 1).length === 0);
    if (!create || !isEmpty) throw corrupt("nothing", wanted);
    store.commitNow([{ table: "identity", key: identityKey, value: encodeIdentity(wanted) }]);
    return;
  }
  const found = decodeIdentity(value);
  const isSame =
    found.formatVersion === wanted.formatVersion &&
    found.epoch === wanted.epoch &&
    found.cacheId.equals(wanted.cacheId);
  if (!isSame) throw corrupt(identityText(found), wanted);
}

/** Puts another identity in place of the one that is there. @throws {CacheError} E_IO. */
export function writeIdentity(store: Store<IndexTable>, identity: IndexIdentity): void {
  store.commitNow([{ table: "identity", key: identityKey, value: encodeIdentity(identity) }]);
}

const INDEX_CONTENT = ["volumes", "objects", "blocks", "metadata"] as const;

/** Committed entries; 0 in a new index. @throws {CacheError} E_INDEX_CORRUPT. */
export function readEntryCount(store: Store<IndexTable>): number {
  const value = store.get("identity", entryCountKey);
  if (value === undefined) return 0;
  const count = value.length === ENTRY_COUNT_BYTES ? Number(value.readBigUInt64LE()) : NaN;
  if (!Number.isSafeInteger(count)) {
    throw new CacheError("E_INDEX_CORRUPT", `Cannot read the entry count: it is ${value.toString("hex")}`);
  }
  return count;
}

export function encodeEntryCount(entryCount: number): Buffer {
  const value = Buffer.alloc(ENTRY_COUNT_BYTES);
  value.writeBigUInt64LE(BigInt(entryCount));
  return value;
}

function corrupt(found: string, wanted: IndexIdentity): CacheError {
  return new CacheError(
    "E_INDEX_CORRUPT",
    `Cannot open the index: it belongs to ${found}, want ${identityText(wanted)}`,
  );
}

function identityText({ formatVersion, cacheId, epoch }: IndexIdentity): string {
  return `cache ${cacheId.toString("hex")} epoch ${epoch} format ${formatVersion}`;
}
