/**
 * Coherency data of a file of the directory origin: the bytes that must be equal for cached content to be used.
 *
 * Layout, little endian:
 *   0      u8   version of this layout, 1
 *   1      u8   1 when the inode number counts, else 0
 *   2      u16  length of the identity
 *   4      u64  inode number, 0 when it does not count
 *   12     u64  size in bytes
 *   20     i64  mtime in nanoseconds since 1970, modulo 2^64
 *   28     i64  ctime, the same
 *   36     …    identity of the file system; one longer than 1 KiB is replaced by its SHA-256
 */
import { createHash } from "node:crypto";
import type { BigIntStats } from "node:fs";
import type { Mount } from "./mounts.js";
import { hasStableInodes } from "./mounts.js";

const VERSION = 1;
const HEADER_BYTES = 36;
const IDENTITY_BYTES_MAX = 1024;

/**
 * Content whose mtime or ctime is younger than this may change again without its times showing it, as their grain
 * may be as coarse as two seconds (vfat) and the clock that sets them may be a server's. git calls such an index
 * entry racily clean.
 */
export const RACY_NS = 2_000_000_000n;

/** The fields of a stat that coherency rests on. */
export type FileStamp = Pick<BigIntStats, "ino" | "size" | "mtimeNs" | "ctimeNs">;

/** Encodes the coherency data of a file from an fstat of its descriptor. */
export function encodeCoherency(mount: Mount, stamp: FileStamp): Buffer {
  const identity =
    mount.identity.length <= IDENTITY_BYTES_MAX
      ? mount.identity
      : createHash("sha256").update(mount.identity).digest();
  const bytes = Buffer.alloc(HEADER_BYTES + identity.length);
  const inodeCounts = hasStableInodes(mount);
  bytes.writeUInt8(VERSION, 0);
  bytes.writeUInt8(inodeCounts ? 1 : 0, 1);
  bytes.writeUInt16LE(identity.length, 2);
  bytes.writeBigUInt64LE(inodeCounts ? BigInt.asUintN(64, stamp.ino) : 0n, 4);
  bytes.writeBigUInt64LE(stamp.size, 12);
  bytes.writeBigInt64LE(BigInt.asIntN(64, stamp.mtimeNs), 20);
  bytes.writeBigInt64LE(BigInt.asIntN(64, stamp.ctimeNs), 28);
  identity.copy(bytes, HEADER_BYTES);
  return bytes;
}

/** Whether content with these times may be stored at wall-clock time `nowNs`. */
export function isRacy(stamp: FileStamp, nowNs: bigint): boolean {
  return nowNs - stamp.mtimeNs < RACY_NS || nowNs - stamp.ctimeNs < RACY_NS;
}
