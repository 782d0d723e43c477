/** What stands in a lookup file, read as a reader who knows nothing but FORMAT.md would. */
import fs from "node:fs";
import type { Entry } from "../../../index/entry.js";
import {
  BUCKET_BYTES,
  type LookupHeader,
  bucketAt,
  bucketOf,
  decodeHeader,
  findItem,
  isBucketIntact,
  itemEntry,
} from "../../../engine/direct/lookup-format.js";

export interface Item {
  readonly objectId: number;
  readonly block: number;
  readonly entry: Entry;
}

/** The header of an open file; undefined if there is none to be used. */
export function headerOf(fd: number): LookupHeader | undefined {
  const bytes = Buffer.alloc(512);
  fs.readSync(fd, bytes, 0, bytes.length, 0);
  const header = decodeHeader(bytes);
  return header?.open === true ? header : undefined;
}

/** The entry that is shown of a block, whether the file is open or closed. */
export function shownIn(path: string, buckets: number, objectId: number, block: number): Entry | undefined {
  const words = new Uint32Array(BUCKET_BYTES / 4);
  const bytes = Buffer.from(words.buffer);
  const fd = fs.openSync(path, "r");
  fs.readSync(fd, bytes, 0, BUCKET_BYTES, bucketAt(bucketOf(objectId, block, buckets)));
  fs.closeSync(fd);
  const at = isBucketIntact(bytes) ? findItem(words, objectId, block) : -1;
  return at === -1 ? undefined : itemEntry(bytes, at);
}

/** Everything that is shown. */
export function itemsIn(path: string): Item[] {
  const file = fs.readFileSync(path);
  const items: Item[] = [];
  for (let from = bucketAt(0); from < file.length; from += BUCKET_BYTES) {
    const bucket = file.subarray(from, from + BUCKET_BYTES);
    if (!isBucketIntact(bucket)) continue;
    for (let item = 0, at = 8; item < bucket.readUInt32LE(4); item += 1, at += 84) {
      const objectId = bucket.readUInt32LE(at) + bucket.readUInt16LE(at + 4) * 2 ** 32;
      const block = bucket.readUInt32LE(at + 8) + bucket.readUInt16LE(at + 6) * 2 ** 32;
      items.push({ objectId, block, entry: itemEntry(bucket, at) });
    }
  }
  return items;
}
