/** Objects of CVMFS as files of the cache: their names, and what is noted of each. Format: engine/FORMAT.md "CVMFS". */
import type { CullRank, FileLook, FileName } from "../../api.js";
import { ATTRIBUTES_BYTES_MAX } from "../../metadata-api.js";
import { ALGORITHMS, type MsgHash, OBJECT_TYPES } from "./messages.js";

export const FS = "cvmfs";
export const DIGEST_BYTES = 20;
const RECORD_VERSION = 1;
const RECORD_HEAD_BYTES = 2;

/** By hash algorithm, which is the name of a volume. */
export const VOLUMES = Object.keys(ALGORITHMS) as readonly (keyof typeof ALGORITHMS)[];
const VOLUME_BY_CODE = new Map<number, string>(
  Object.entries(ALGORITHMS).map(([name, code]) => [code, name]),
);
const TYPES: ReadonlySet<number> = new Set(Object.values(OBJECT_TYPES));

export interface ObjectName extends FileName {
  readonly fs: typeof FS;
  readonly volume: string;
  readonly inode: Buffer;
  /** Another one for every object. */
  readonly key: string;
}

/** What is known of an object. */
export interface ObjectRecord {
  readonly sizeBytes: number;
  readonly type: number;
  readonly description: string;
}

/** The object that a hash names, or undefined where it is malformed. */
export function objectNameOf({ algorithm, digest }: MsgHash): ObjectName | undefined {
  const volume = VOLUME_BY_CODE.get(algorithm);
  if (volume === undefined || digest.length !== DIGEST_BYTES) return undefined;
  const inode = Buffer.from(digest.buffer, digest.byteOffset, digest.byteLength);
  return { fs: FS, volume, inode, key: volume + inode.toString("latin1") };
}

export function hashOf(volume: keyof typeof ALGORITHMS, inode: Buffer): MsgHash {
  return { algorithm: ALGORITHMS[volume], digest: inode };
}

export function isObjectType(type: number): boolean {
  return TYPES.has(type);
}

/** Volatile objects go first, catalogs last among equals. */
export function rankOf(type: number): CullRank {
  if (type === OBJECT_TYPES.volatile) return "first";
  return type === OBJECT_TYPES.catalog ? "last" : "normal";
}

/** Attributes of an object's file: its version, its type, and its description, cut where there is no more room. */
export function encodeRecord({ type, description }: Pick<ObjectRecord, "type" | "description">): Buffer {
  const text = Buffer.from(description, "utf8");
  let end = Math.min(text.length, ATTRIBUTES_BYTES_MAX - RECORD_HEAD_BYTES);
  while (end < text.length && ((text[end] as number) & 0xc0) === 0x80) end -= 1; // not within a character
  return Buffer.concat([Buffer.of(RECORD_VERSION, type), text.subarray(0, end)]);
}

/** An object that is there, whole; anything else is none. */
export function recordOf(look: FileLook | undefined): ObjectRecord | undefined {
  const attributes = look?.attributes;
  if (look?.whole !== true || attributes === undefined || attributes.length < RECORD_HEAD_BYTES)
    return undefined;
  const [version, type] = attributes;
  const sizeBytes = Number(look.sizeBytes);
  if (version !== RECORD_VERSION || type === undefined || !isObjectType(type)) return undefined;
  if (!Number.isSafeInteger(sizeBytes)) return undefined;
  return { sizeBytes, type, description: attributes.toString("utf8", RECORD_HEAD_BYTES) };
}
