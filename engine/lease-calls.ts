/** getOrLease of the library: reads, and leases the fetch of what is not there. The table behind it: leases.ts. */
import { checkBlock, nameBuffer } from "../index/core/names.js";
import type { Bypass, PutResult, Tag } from "./api.js";
import type { Blocks } from "./blocks.js";
import type { Life } from "./block-parts.js";
import type { Counters } from "./counters.js";
import type { Gate } from "./gate.js";
import { checkBlockBytes } from "./handle-arguments.js";
import { type Lease, type LeaseOptions, type LeaseResult, checkLeaseTimes } from "./lease-api.js";
import type { Grant } from "./leases.js";
import type { ObjectState } from "./object-states.js";
import { checkSpan } from "./span.js";

const MISS = { kind: "miss" } as const;
const AGAIN = { kind: "again" } as const;

export interface LeaseParts {
  readonly blocks: Blocks;
  readonly counters: Counters;
  readonly now: () => number;
  readonly gate: Gate;
}

/** As LeasingCache.getOrLease. */
export async function getOrLease(parts: LeaseParts, tag: Tag, options: LeaseOptions): Promise<LeaseResult> {
  try {
    return await lookOrLease(parts, tag, options);
  } catch (error) {
    return parts.counters.excuse(error);
  }
}

async function lookOrLease(parts: LeaseParts, tag: Tag, options: LeaseOptions): Promise<LeaseResult> {
  const { blocks, counters, now, gate } = parts;
  const { mayWait } = options;
  let refused = gate.admit();
  const block = checkBlock(tag.block);
  const span = checkSpan(options);
  const { leaseMs, waitMs } = checkLeaseTimes(options);
  const into = options.into && nameBuffer(options.into);
  const untilMs = now() + waitMs;
  for (let looks = 1; ; looks += 1) {
    if (refused !== undefined) return gate.refuse(refused);
    const { life } = blocks;
    const file = life.objects.obtain(tag.fs, tag.volume, tag.inode);
    const found = blocks.look(file, block, span, into);
    const result = found instanceof Promise ? await found : found;
    if (result.kind !== "miss") {
      blocks.note(file, block, span, result.kind);
      return result;
    }
    // Nothing may come between the look that misses and the lease; a read that had to wait is followed by one more look.
    const isLate = found instanceof Promise && (looks === 1 || life !== blocks.life);
    const answer = isLate
      ? AGAIN
      : await life.leases.take(file, block, { leaseMs, waitMs: untilMs - now(), mayWait });
    if (answer.kind === "lease" || answer.kind === "miss") blocks.note(file, block, span, "miss");
    if (answer.kind === "lease") {
      return { kind: "lease", lease: new LocalLease(parts, life, answer.grant) };
    }
    if (answer.kind === "miss") return MISS;
    counters.uncountMiss(file.volume.tally); // it is counted as what it ends as
    if (answer.kind === "bypass") blocks.note(file, block, span, "bypass");
    if (answer.kind === "bypass") return counters.bypass(answer.reason);
    refused = gate.closing ? "closing" : gate.admit();
  }
}

class LocalLease implements Lease {
  readonly #parts: LeaseParts;
  readonly #life: Life;
  readonly #grant: Grant<ObjectState>;
  /** It was put or given up. */
  #used = false;

  constructor(parts: LeaseParts, life: Life, grant: Grant<ObjectState>) {
    this.#parts = parts;
    this.#life = life;
    this.#grant = grant;
  }

  get expiresInMs(): number {
    if (!this.#life.leases.holds(this.#grant)) return 0;
    return Math.max(0, this.#grant.expiresAtMs - this.#parts.now());
  }

  async put(bytes: Uint8Array): Promise<PutResult> {
    const refused = this.#parts.gate.admit();
    checkBlockBytes(bytes);
    if (this.#used) return this.#parts.counters.bypass("stale");
    this.#used = true;
    const result = refused === undefined ? await this.#stored(bytes) : await this.#parts.gate.refuse(refused);
    const { leases } = this.#life;
    // What is stale was fetched too early; whoever fetches next does better.
    if (result.kind === "stored" || result.reason === "stale") leases.end(this.#grant);
    else leases.fail(this.#grant, result.reason);
    return result;
  }

  async giveUp(): Promise<void> {
    this.#parts.gate.admit();
    this.#used = true;
    this.#life.leases.end(this.#grant);
  }

  async #stored(bytes: Uint8Array): Promise<PutResult> {
    try {
      return await this.#store(bytes);
    } catch (error) {
      return this.#parts.counters.excuse(error);
    }
  }

  #store(bytes: Uint8Array): Promise<PutResult> | Bypass {
    const { blocks, counters } = this.#parts;
    const { block, stamp } = this.#grant;
    const file = this.#file();
    const stale = file === undefined || this.#grant.void || file.stampMax !== stamp;
    return stale
      ? counters.bypass("stale")
      : blocks.store(file, block, nameBuffer(bytes), this.#life.leases.isAwaited(this.#grant));
  }

  /** The file, unless what is known of it may have gone since the lease ended: nobody held it for us from then on. */
  #file(): ObjectState | undefined {
    const { blocks } = this.#parts;
    const { file } = this.#grant;
    if (blocks.life !== this.#life) return undefined;
    const { fs, volume } = file.volume;
    return this.#life.objects.find(fs, volume, file.inode) === file ? file : undefined;
  }
}
