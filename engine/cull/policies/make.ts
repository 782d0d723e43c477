/** Makes a policy by its name. */
import type { PolicyName } from "../../policy-names.js";
import type { CullPolicy, PolicyParts } from "../policy.js";
import { AdaptivePolicy } from "./adaptive.js";
import { FifoPolicy } from "./fifo.js";
import { LruPolicy } from "./lru.js";
import { S3FifoPolicy } from "./s3fifo.js";
import { SievePolicy } from "./sieve.js";

const MAKERS: Readonly<Record<PolicyName, (parts: PolicyParts) => CullPolicy>> = {
  lru: ({ links }) => new LruPolicy(links),
  fifo: ({ links }) => new FifoPolicy(links),
  sieve: (parts) => new SievePolicy(parts),
  s3fifo: (parts) => new S3FifoPolicy(parts),
  adaptive: (parts) => new AdaptivePolicy(parts),
};

/** An empty policy over lists of slots that are in none of `parts.links`' other lists. */
export function makePolicy(name: PolicyName, parts: PolicyParts): CullPolicy {
  return MAKERS[name](parts);
}
