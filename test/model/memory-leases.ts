/** Fill leases of the model: its reads and puts, over the engine's table of who waits for whom. */
import type { GetResult, PutResult, Tag } from "../../engine/api.js";
import { type LeaseOptions, type LeaseResult, checkLeaseTimes } from "../../engine/lease-api.js";
import { checkBlockPayload } from "../../engine/daemon/arguments.js";
import { Leases } from "../../engine/leases.js";

export interface LeasedFile {
  stampMax: number;
}

export interface LeasedCache {
  readonly closed: boolean;
  readonly leases: Leases<LeasedFile>;
  checkOpen(): void;
  uncountMiss(tag: Tag): void;
  enter(operation: string): Promise<void>;
  read(tag: Tag, options: LeaseOptions): GetResult;
  obtainFile(tag: Tag): LeasedFile;
  put(tag: Tag, bytes: Uint8Array): Promise<PutResult>;
}

export function memoryLeases(): Leases<LeasedFile> {
  const nothing = (): void => undefined;
  return new Leases<LeasedFile>({ now: () => performance.now(), hold: nothing, letGo: nothing });
}

export async function getOrLease(
  cache: LeasedCache,
  tag: Tag,
  options: LeaseOptions = {},
): Promise<LeaseResult> {
  await cache.enter("getOrLease");
  const { leaseMs, waitMs } = checkLeaseTimes(options);
  const untilMs = performance.now() + waitMs;
  for (;;) {
    if (cache.closed) return { kind: "bypass", reason: "closing" };
    const result = cache.read(tag, options);
    if (result.kind !== "miss") return result;
    const file = cache.obtainFile(tag);
    const answer = await cache.leases.take(file, tag.block, {
      mayWait: options.mayWait,
      leaseMs,
      waitMs: untilMs - performance.now(),
    });
    if (answer.kind === "miss" || answer.kind === "bypass") return answer;
    if (answer.kind === "again") {
      cache.uncountMiss(tag);
      continue;
    }
    const { grant } = answer;
    let used = false;
    const lease = {
      get expiresInMs() {
        return cache.leases.holds(grant) ? Math.max(0, grant.expiresAtMs - performance.now()) : 0;
      },
      put: async (bytes: Uint8Array): Promise<PutResult> => {
        cache.checkOpen();
        checkBlockPayload(bytes);
        const stale = used || grant.void || file.stampMax !== grant.stamp || cache.obtainFile(tag) !== file;
        used = true;
        const stored = stale ? ({ kind: "bypass", reason: "stale" } as const) : await cache.put(tag, bytes);
        cache.leases.end(grant);
        return stored;
      },
      giveUp: async () => {
        cache.checkOpen();
        used = true;
        cache.leases.end(grant);
      },
    };
    return { kind: "lease", lease };
  }
}
