/**
 * The bytes that fixtures/lookup.json holds, as the code makes them now. Run directly, it prints the file:
 * `node --import tsx test/engine/direct/lookup-cases.ts > fixtures/lookup.json`.
 */
import { pathToFileURL } from "node:url";
import {
  Bucket,
  type LookupHeader,
  type Noticed,
  bucketOf,
  encodeHeader,
} from "../../../engine/direct/lookup-format.js";
import { cacheId, entryOf } from "../../index/support.js";

export const HEADER: LookupHeader = {
  cacheId,
  epoch: 70_000,
  instance: 0x0123_4567_89ab_cdefn,
  buckets: 4097,
  open: true,
  withdrawals: 2 ** 33 + 5,
  notices: 3,
  latest: [{ kind: "volume", id: 5 }, { kind: "object", id: 0x0102_0304_0506 }, { kind: "all" }],
};

/** Identities at the edges of what an identity can be. */
const PLACES: ReadonlyArray<readonly [objectId: number, block: number]> = [
  [1, 0],
  [1, 1],
  [2, 0],
  [0xffff_ffff, 0xffff_ffff],
  [2 ** 32, 0],
  [0, 2 ** 32],
  [0x0102_0304_0506, 0x0112_1314_1516],
  [2 ** 48 - 1, 2 ** 45 - 1],
];

/** Hexadecimal bytes, and for the hash numbers of buckets, by the name of what they are. */
export function lookupCases(): Record<string, string> {
  const latest = Array.from({ length: 24 }, (_, place): Noticed => ({ kind: "object", id: 40 + place }));
  const bytes = {
    header: encodeHeader(HEADER),
    "header, closed, without a notice": encodeHeader({ ...HEADER, open: false, notices: 0, latest: [] }),
    "header, more notices than it holds": encodeHeader({ ...HEADER, notices: 65, latest }),
    "bucket of one": bucketOfItems([[0x0102_0304_0506, 0x0112_1314_1516]]).bytes,
    "bucket, full": bucketOfItems(PLACES).bytes,
    "bucket, emptied": emptied().bytes,
  };
  const hashes = PLACES.map(([objectId, block]) => [
    `bucket of block ${block} of object ${objectId}, of 4097 and of 2^32 - 1`,
    `${bucketOf(objectId, block, 4097)} ${bucketOf(objectId, block, 2 ** 32 - 1)}`,
  ]);
  return {
    ...Object.fromEntries(Object.entries(bytes).map(([name, value]) => [name, value.toString("hex")])),
    ...(Object.fromEntries(hashes) as Record<string, string>),
  };
}

function bucketOfItems(items: typeof PLACES): Bucket {
  const bucket = new Bucket();
  for (const [place, [objectId, block]] of items.entries()) bucket.put(objectId, block, entryOf(place + 1));
  return bucket;
}

function emptied(): Bucket {
  const bucket = bucketOfItems([[1, 0]]);
  bucket.remove(1, 0);
  return bucket;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  console.log(JSON.stringify(lookupCases(), undefined, 2));
}
