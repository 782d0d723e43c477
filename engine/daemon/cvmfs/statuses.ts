/** Answers of the CVMFS plugin protocol, and which of the cache's is which of them. */
import { type CacheErrorCode, isCacheError } from "../../../index/core/errors.js";
import type { BypassReason } from "../../api.js";

export const STATUS = {
  unknown: 0,
  ok: 1,
  noSupport: 2,
  forbidden: 3,
  noSpace: 4,
  noEntry: 5,
  malformed: 6,
  ioError: 7,
  corrupted: 8,
  timeout: 9,
  badCount: 10,
  outOfBounds: 11,
  partial: 12,
} as const;

export type Status = (typeof STATUS)[keyof typeof STATUS];

const BY_REASON: Readonly<Record<BypassReason, Status>> = {
  "no-space": STATUS.noSpace,
  "drive-full": STATUS.noSpace,
  "index-full": STATUS.noSpace,
  "write-budget": STATUS.noSpace,
  "io-error": STATUS.ioError,
  "drive-sick": STATUS.ioError,
  stale: STATUS.ioError,
  overload: STATUS.timeout,
  closing: STATUS.ioError,
  timeout: STATUS.timeout,
  unavailable: STATUS.ioError,
};

const BY_CODE: Readonly<Partial<Record<CacheErrorCode, Status>>> = {
  E_LIMIT: STATUS.noSpace,
  E_NO_SPACE: STATUS.noSpace,
  E_ARGUMENT: STATUS.malformed,
  E_LEDGER_CORRUPT: STATUS.corrupted,
};

export function statusOfBypass(reason: BypassReason): Status {
  return BY_REASON[reason];
}

/** @throws what is no CacheError: a bug of ours. */
export function statusOfError(error: unknown): Status {
  if (!isCacheError(error)) throw error;
  return BY_CODE[error.code] ?? STATUS.ioError;
}
