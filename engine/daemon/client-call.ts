/** One request of a client, from the call to its answer. */
import { CacheError, ERROR_CODES } from "../../index/core/errors.js";
import type { CacheErrorCode } from "../../index/core/errors.js";
import type { BypassReason } from "../api.js";
import type { Fields } from "./fields.js";
import type { Header } from "./headers.js";
import { REQUEST_BYTES } from "./limits.js";

/**
 * How a call ended: a reply; an error that the daemon sent; no answer within the deadline; no connection; too many
 * calls; the client was closed before, or meanwhile; a handle of an earlier connection.
 */
export type Answer =
  | { readonly kind: "reply"; readonly fields: Fields; readonly payload: Buffer }
  | { readonly kind: "error"; readonly error: CacheError }
  | { readonly kind: "timeout" | "unavailable" | "overload" | "closed" | "closing" | "dead" };

export interface CallOptions {
  /** Without its id. */
  readonly header: Header;
  /** Must not change until the call is answered. */
  readonly payload?: Uint8Array;
  /** The largest payload that the reply may have; 0 unless given. */
  readonly replyBytesMax?: number;
  /**
   * Sees the header of a reply that is no error, and says where its payload goes. Called only for calls that still
   * wait. @throws {CacheError} E_FRAME when the reply does not fit the call: the connection is given up.
   */
  readonly accept?: (fields: Fields, payloadBytes: number) => Uint8Array | undefined;
  /** Instead of the client's own deadline. */
  readonly deadlineMs?: number;
  /** Told of a reply, without its payload, that came after the call was answered. */
  readonly onLate?: (fields: Fields) => void;
  /** It waits for somebody else, and a close does not wait for it. */
  readonly waits?: boolean;
  /** The connection, by its number, that the handle in the header belongs to. */
  readonly generation?: number;
}

export class Call {
  readonly options: CallOptions;
  readonly costBytes: number;
  readonly deadlineAtMs: number;
  /** Set when it is answered; a reply that comes later is dropped. */
  settled = false;
  /** True while bytes of the caller's payload may still be read by this process. */
  sending = false;
  readonly #resolve: (answer: Answer) => void;

  constructor(options: CallOptions, deadlineAtMs: number, resolve: (answer: Answer) => void) {
    this.options = options;
    this.deadlineAtMs = deadlineAtMs;
    this.costBytes = REQUEST_BYTES + (options.payload?.length ?? 0) + (options.replyBytesMax ?? 0);
    this.#resolve = resolve;
  }

  settle(answer: Answer): void {
    if (this.settled) return;
    this.settled = true;
    this.#resolve(answer);
  }
}

/** The error that a reply with status `error` carries; a code that is not known here counts as E_INTERNAL. */
export function errorOf(fields: Fields): CacheError {
  const code = fields.text("code");
  const message = fields.text("message");
  if (Object.hasOwn(ERROR_CODES, code)) return new CacheError(code as CacheErrorCode, message);
  return new CacheError("E_INTERNAL", `${message} (${code})`);
}

const REASONS: ReadonlySet<string> = new Set<BypassReason>([
  "no-space",
  "drive-full",
  "index-full",
  "io-error",
  "drive-sick",
  "write-budget",
  "stale",
  "overload",
  "closing",
  "timeout",
  "unavailable",
]);

/** The reason that a reply names; one that is not known here counts as trouble with the drive. */
export function reasonOf(fields: Fields, key: string): BypassReason {
  const reason = fields.text(key);
  return REASONS.has(reason) ? (reason as BypassReason) : "io-error";
}

/** What callers do wrong is thrown at them even where trouble is a value. */
const CALLERS_FAULTS: ReadonlySet<CacheErrorCode> = new Set([
  "E_ARGUMENT",
  "E_STALE",
  "E_NOT_FOUND",
  "E_OPERATION",
]);

/**
 * The bypass that an answer without content amounts to.
 * @throws {CacheError} E_CLOSED, and what the daemon says of a wrong call.
 */
export function bypassOf(answer: Exclude<Answer, { kind: "reply" }>): BypassReason {
  switch (answer.kind) {
    case "timeout":
    case "unavailable":
    case "overload":
    case "closing":
      return answer.kind;
    case "dead":
      return "stale";
    case "closed":
      throw closedError();
    case "error":
      if (CALLERS_FAULTS.has(answer.error.code)) throw answer.error;
      if (answer.error.code === "E_CLOSED") return "closing";
      return answer.error.code === "E_LIMIT" ? "overload" : "io-error";
  }
}

/** The error that an answer other than a reply amounts to, for operations that had to take effect. */
export function failureOf(answer: Exclude<Answer, { kind: "reply" }>, action: string): CacheError {
  switch (answer.kind) {
    case "timeout":
      return new CacheError("E_TIMEOUT", `Cannot ${action}: no answer in time, it may yet take effect`);
    case "unavailable":
      return new CacheError("E_UNAVAILABLE", `Cannot ${action}: no connection to the daemon`);
    case "overload":
      return new CacheError("E_LIMIT", `Cannot ${action}: too many calls are waiting`);
    case "dead":
      return new CacheError("E_NOT_FOUND", `Cannot ${action}: the handle ended with its connection`);
    case "closed":
    case "closing":
      return closedError();
    case "error":
      return answer.error;
  }
}

export function closedError(): CacheError {
  return new CacheError("E_CLOSED", "Cannot use the client: it was closed");
}
