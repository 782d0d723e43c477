/** The policies that may say which block goes next. */
import { CacheError } from "../index/core/errors.js";

/**
 * - `lru`: the block whose last use is longest ago;
 * - `fifo`: the block that came first;
 * - `sieve`: the first that was not used since a hand passed it, from the oldest to the newest;
 * - `s3fifo`: what is used once leaves a small queue soon, what proves itself stays in a large one;
 * - `adaptive`: a window and a main part like that, with the rule of admission that would have done best of late.
 */
export const POLICY_NAMES = ["lru", "fifo", "sieve", "s3fifo", "adaptive"] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

export const DEFAULT_POLICY: PolicyName = "lru";

export function isPolicyName(name: string): name is PolicyName {
  return (POLICY_NAMES as readonly string[]).includes(name);
}

/** @throws {CacheError} E_CONFIG for a name that is none. */
export function checkPolicyName(name: string): PolicyName {
  if (isPolicyName(name)) return name;
  throw new CacheError("E_CONFIG", `Cannot use policy ${name}: want one of ${POLICY_NAMES.join(", ")}`);
}
