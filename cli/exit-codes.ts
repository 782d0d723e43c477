/** Exit statuses of all commands, in one table, after sysexits(3). fsck has its own, after fsck(8). */
import type { CacheErrorCode } from "../index/core/errors.js";
import { errnoOf, isCacheError, messageOf } from "../index/core/errors.js";

export const EXIT = {
  ok: 0,
  /** A question was answered with no: a miss, a file not wholly cached, bytes that differ. */
  negative: 1,
  /** The command line is wrong. */
  usage: 64,
  /** What came in, or what lies on disk, is not what it should be. */
  data: 65,
  /** A file to be read does not exist or may not be read. */
  noInput: 66,
  /** A daemon is needed and none answers, or this machine cannot run one. */
  unavailable: 69,
  /** A failure of our own. */
  software: 70,
  /** A drive or file system failed. */
  io: 74,
  /** Somebody else is at it, or there is no room now; the same command may work later. */
  temporary: 75,
  /** Two programs that do not understand each other. */
  protocol: 76,
  /** A setting or the cache directory is wrong; trying again does not help. */
  config: 78,
  /** Stopped at once by a third signal: 128 + SIGINT. */
  interrupted: 130,
} as const;

/** fsck(8): clean; all findings corrected; some left uncorrected; could not be carried out; wrong command line; interrupted. */
export const FSCK_EXIT = {
  clean: 0,
  corrected: 1,
  findings: 4,
  operational: 8,
  usage: 16,
  cancelled: 32,
} as const;

const EXIT_BY_CODE: Readonly<Record<CacheErrorCode, number>> = {
  E_ARGUMENT: EXIT.usage,
  E_CLOSED: EXIT.software,
  E_STALE: EXIT.temporary,
  E_NOT_FOUND: EXIT.software,
  E_BUSY: EXIT.temporary,
  E_NOT_OURS: EXIT.config,
  E_DIRECTORY: EXIT.config,
  E_PLATFORM: EXIT.unavailable,
  E_FORMAT_VERSION: EXIT.config,
  E_CONFIG: EXIT.config,
  E_INDEX_CORRUPT: EXIT.data,
  E_LEDGER_CORRUPT: EXIT.data,
  E_SLOT_CORRUPT: EXIT.data,
  E_TRACE: EXIT.data,
  E_IO: EXIT.io,
  E_NO_SPACE: EXIT.temporary,
  E_FRAME: EXIT.protocol,
  E_PROTOCOL_VERSION: EXIT.protocol,
  E_OPERATION: EXIT.protocol,
  E_LIMIT: EXIT.temporary,
  E_UNAVAILABLE: EXIT.unavailable,
  E_TIMEOUT: EXIT.unavailable,
  E_INTERNAL: EXIT.software,
};

const MISSING_INPUT = new Set(["ENOENT", "EACCES", "EPERM", "ENOTDIR", "EISDIR", "ELOOP", "ENAMETOOLONG"]);

/** Ends a command with a line of its own and an exit status. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly status: number;

  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}

/** The exit status for anything that was thrown. */
export function exitStatusOf(error: unknown): number {
  if (error instanceof CliError) return error.status;
  if (isCacheError(error)) return EXIT_BY_CODE[error.code];
  return errnoOf(error)?.startsWith("E") === true && isSystemError(error) ? EXIT.io : EXIT.software;
}

/** The exit status for a file that could not be opened or read. */
export function inputStatusOf(error: unknown): number {
  const cause = isCacheError(error) && error.cause !== undefined ? error.cause : error;
  return MISSING_INPUT.has(errnoOf(cause) ?? "") ? EXIT.noInput : exitStatusOf(error);
}

/** One line about anything that was thrown. */
export function lineOf(error: unknown): string {
  const known = error instanceof CliError || isCacheError(error) || isSystemError(error);
  return known ? messageOf(error) : `internal error: ${messageOf(error)}`;
}

/** A failed system call, as Node reports it; its own argument checks have codes as well, but no errno. */
function isSystemError(error: unknown): boolean {
  return error instanceof Error && "errno" in error && "syscall" in error;
}
