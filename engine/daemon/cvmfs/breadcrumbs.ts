/** Breadcrumbs: the last known root catalog of a repository, as notes of the cache. Format: engine/FORMAT.md "CVMFS". */
import { CacheError } from "../../../index/core/errors.js";
import { type MsgBreadcrumb, type U64, given, toBigInt } from "./messages.js";
import { DIGEST_BYTES } from "./object-names.js";

const VERSION = 1;
const HAS_REVISION = 1;
const DIGEST_AT = 3;
const TIME_AT = DIGEST_AT + DIGEST_BYTES;
const REVISION_AT = TIME_AT + 8;
const NOTE_BYTES = REVISION_AT + 8;

/** The hash has been checked. */
export function encodeBreadcrumb(breadcrumb: MsgBreadcrumb): Buffer {
  const { hash, timestamp } = breadcrumb;
  const note = Buffer.alloc(NOTE_BYTES);
  const revision = given(breadcrumb, "revision");
  const revised = revision !== undefined;
  note[0] = VERSION;
  note[1] = hash.algorithm;
  note[2] = revised ? HAS_REVISION : 0;
  note.set(hash.digest, DIGEST_AT);
  note.writeBigUInt64LE(toBigInt(timestamp), TIME_AT);
  if (revised) note.writeBigUInt64LE(toBigInt(revision), REVISION_AT);
  return note;
}

/** @throws {CacheError} E_LEDGER_CORRUPT. */
export function decodeBreadcrumb(fqrn: string, note: Buffer): MsgBreadcrumb {
  if (note.length < NOTE_BYTES || note[0] !== VERSION) {
    throw new CacheError(
      "E_LEDGER_CORRUPT",
      `Cannot read the breadcrumb of ${fqrn}: it has ${note.length} bytes of version ${note[0]}`,
    );
  }
  const hash = { algorithm: note[1] as number, digest: note.subarray(DIGEST_AT, TIME_AT) };
  const timestamp = readU64(note, TIME_AT);
  const revised = note[2] === HAS_REVISION && { revision: readU64(note, REVISION_AT) };
  return { fqrn, hash, timestamp, ...revised };
}

function readU64(note: Buffer, at: number): U64 {
  return { low: note.readUInt32LE(at), high: note.readUInt32LE(at + 4) };
}
