/** What keeps a file from being cached: reasons to pass it over, and failures of the origin. */
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { nameText } from "../../index/core/names.js";

/** Why a path is not cached, in words that finish the sentence "<path>: …". */
export const SKIP_REASONS = {
  link: "a symbolic link; links are not followed",
  "not-regular": "not a regular file",
  "other-mount": "on another mount than the directory that was named",
  "own-directory": "part of the cache itself",
  "memory-or-kernel": "on a file system that is memory or the kernel's, which is not cached",
  unreachable: "not below any mount point that this process sees",
  moved: "moved or replaced while it was opened",
  empty: "empty, nothing to store",
  racy: "changed less than two seconds ago; try again later",
  changed: "changed while it was read",
  depth: "nested too deeply",
} as const;
export type SkipReason = keyof typeof SKIP_REASONS;

export interface Skipped {
  readonly kind: "skipped";
  readonly reason: SkipReason;
}

/** What the origin refused, as the one error class. */
export function originError(action: string, path: Buffer, cause: unknown): CacheError {
  if (cause instanceof CacheError) return cause;
  const reason = errnoOf(cause) ?? messageOf(cause);
  return new CacheError("E_IO", `Cannot ${action} ${nameText(path)}: ${reason}`, { cause });
}
