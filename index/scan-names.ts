/** Volumes, and files of a volume, in the order of their keys: those with inodes beyond the key limit last. */
import {
  decodeVolumeKey,
  fsRange,
  inodeDigestRange,
  inodePrefixRange,
  objectKey,
  volumeKey,
  volumeRange,
} from "./keys.js";
import { type ObjectRecord, type VolumeRecord, decodeObjectRecord, decodeVolumeRecord } from "./records.js";
import { type Layers, walkNames } from "./scan.js";

/** Part of the volumes. */
export interface VolumePart {
  /** Those of this file system. */
  readonly fs?: Buffer;
  /** Those behind the volume of this name in `fs`, or, without `fs`, behind the file system of it. */
  readonly after?: Buffer;
}

/** Part of the objects of a volume. */
export interface InodePart {
  /** Those whose inode begins so. */
  readonly prefix?: Buffer;
  /** Those behind this inode in that order. */
  readonly after?: Buffer;
}

/** May be resumed in a later event turn, see walkNames. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
export function walkVolumes(layers: Layers, { fs, after }: VolumePart): Iterable<VolumeRecord> {
  const behind = fs === undefined && after !== undefined ? { start: fsRange(after).end } : {};
  return walkNames(layers, "volumes", fs === undefined ? behind : fsRange(fs), {
    changesOf: (changes) => changes.volumes,
    decode: (key, value) => (decodeVolumeKey(key).kind === "fs" ? undefined : decodeVolumeRecord(key, value)),
    after: fs !== undefined && after !== undefined ? volumeKey(fs, after) : undefined,
  });
}

/** May be resumed in a later event turn, see walkNames. @throws {CacheError} E_INDEX_CORRUPT, E_CLOSED. */
export function* walkObjects(
  layers: Layers,
  volumeId: number,
  { prefix, after }: InodePart,
): Generator<ObjectRecord> {
  const whole = prefix === undefined ? volumeRange(volumeId) : inodePrefixRange(volumeId, prefix);
  const ranges = prefix === undefined ? [whole] : [whole, inodeDigestRange(volumeId)];
  const behind = after === undefined ? undefined : objectKey(volumeId, after);
  for (const range of ranges) {
    if (behind !== undefined && Buffer.compare(behind, range.end) >= 0) continue;
    const records = walkNames(layers, "objects", range, {
      changesOf: (changes) => changes.objects,
      decode: decodeObjectRecord,
      after: behind !== undefined && Buffer.compare(behind, range.start) >= 0 ? behind : undefined,
    });
    for (const record of records) {
      if (prefix === undefined || record.inode.subarray(0, prefix.length).equals(prefix)) yield record;
    }
  }
}
