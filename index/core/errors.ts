/**
 * Every operating failure that tagcache reports, in one table: when it occurs and what the caller should do.
 * A miss is no error but a value; a broken invariant of ours is an assertion.
 */
export const ERROR_CODES = {
  E_ARGUMENT: "an argument is out of its range; correct the call",
  E_CLOSED: "the cache, client or handle was closed; open it again",
  E_STALE: "the content was invalidated meanwhile; fetch it again",
  E_NOT_FOUND: "the handle or thing named does not exist; acquire it again",
  E_BUSY: "somebody else owns the cache directory; the message names the owner",
  E_NOT_OURS: "the directory holds something else than a cache; name another one",
  E_DIRECTORY: "the directory cannot be used as it is; the message says why",
  E_PLATFORM: "this operating system or processor is not supported",
  E_FORMAT_VERSION: "the directory was written by a newer version; run that version",
  E_CONFIG: "a setting is wrong or contradicts another; the message says what is wanted",
  E_INDEX_CORRUPT: "a record of the index does not read back; run fsck, then wipe",
  E_LEDGER_CORRUPT: "the ledger does not read back; the message says what to do",
  E_SLOT_CORRUPT: "the bytes of a slot fail their checksum; the block is dropped and read as a miss",
  E_TRACE: "the file is no recording of accesses, or one that does not read back; name another",
  E_IO: "the drive refused a read or write; the errno is in the cause",
  E_NO_SPACE: "no room could be made; go on without the cache",
  E_FRAME: "a message on the wire is malformed or too large; the connection is closed",
  E_PROTOCOL_VERSION: "client and daemon share no protocol version; upgrade the older one",
  E_OPERATION: "the daemon does not know this operation; upgrade it",
  E_LIMIT: "a named limit is reached, connections for example; try later",
  E_UNAVAILABLE: "no daemon answers on the socket; start one",
  E_TIMEOUT: "the daemon did not answer within the deadline; go on without the cache",
  E_INTERNAL: "a failure of our own that was caught at a boundary; report it",
} as const;

export type CacheErrorCode = keyof typeof ERROR_CODES;

/** The one error class; codes tell the cases apart. The errno of a failed system call is in `cause`. */
export class CacheError extends Error {
  override readonly name = "CacheError";
  readonly code: CacheErrorCode;

  constructor(code: CacheErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** True for a CacheError, with `code` for exactly that one. */
export function isCacheError(value: unknown, code?: CacheErrorCode): value is CacheError {
  return value instanceof CacheError && (code === undefined || value.code === code);
}

/** The errno name ("ENOENT") of a failed system call, or undefined. */
export function errnoOf(value: unknown): string | undefined {
  if (typeof value !== "object" || value === null || !("code" in value)) return undefined;
  return typeof value.code === "string" ? value.code : undefined;
}

/** The message of anything that was thrown, in one line. */
export function messageOf(value: unknown): string {
  const text = value instanceof Error ? value.message : String(value);
  return text.replaceAll(/\s+/g, " ").trim();
}
