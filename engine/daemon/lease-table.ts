/** The fill leases that one connection holds or waits for; they end with it, so that its death makes nobody wait. */
import { CacheError, messageOf } from "../../index/core/errors.js";
import type { Lease, LeaseResult } from "../api.js";
import type { Logger } from "./logger.js";

/** Requests of all connections that wait for another's fetch. */
export interface WaitCount {
  value: number;
  readonly max: number;
}

const MISS = { kind: "miss" } as const;
const CLOSING = { kind: "bypass", reason: "closing" } as const;

export type TableAnswer =
  | Exclude<LeaseResult, { kind: "lease" }>
  | { readonly kind: "lease"; readonly id: number; readonly lease: Lease };

/** Numbers are given from 1 and never again, so that a late request cannot reach another's lease. */
export class LeaseTable {
  readonly #limits: { readonly leasesPerConnection: number; readonly waitsPerConnection: number };
  readonly #waits: WaitCount;
  readonly #log: Logger;
  readonly #leases = new Map<number, Lease>();
  #waiting = 0;
  #last = 0;
  #closed = false;
  /** Ends what is being asked for. */
  readonly #ends = new Set<() => void>();

  constructor(
    limits: { readonly leasesPerConnection: number; readonly waitsPerConnection: number },
    waits: WaitCount,
    log: Logger,
  ) {
    this.#limits = limits;
    this.#waits = waits;
    this.#log = log;
  }

  /**
   * Runs `ask`, which has to ask before it waits, and gives the lease that comes of it a number. Where the table is full, or too
   * many wait, the answer is a plain miss.
   */
  async ask(ask: (mayWait: () => boolean) => Promise<LeaseResult>): Promise<TableAnswer> {
    let counted = 0;
    const mayWait = (): boolean => {
      if (counted > 0) return true;
      if (this.#waiting >= this.#limits.waitsPerConnection || this.#waits.value >= this.#waits.max)
        return false;
      counted = 1;
      this.#count(1);
      return true;
    };
    const asked = ask(mayWait).finally(() => this.#count(-counted));
    const answer = await this.#unlessClosed(asked);
    if (answer === CLOSING) {
      // Nobody is left to fetch. What it fails with concerns nobody either.
      asked.then(
        (late) => late.kind === "lease" && this.#giveUp(late.lease),
        (error: unknown) => this.#log.debug("a lease was not given", { error: messageOf(error) }),
      );
      return CLOSING;
    }
    if (answer.kind !== "lease") return answer;
    if (this.#closed || !this.#hasRoom()) {
      this.#giveUp(answer.lease);
      return this.#closed ? CLOSING : MISS;
    }
    this.#last += 1;
    this.#leases.set(this.#last, answer.lease);
    return { kind: "lease", id: this.#last, lease: answer.lease };
  }

  get held(): number {
    return this.#leases.size;
  }

  /** Takes a lease out of the table, for its last use. @throws {CacheError} E_NOT_FOUND. */
  take(id: number): Lease {
    const lease = this.#leases.get(id);
    if (lease === undefined) {
      throw new CacheError("E_NOT_FOUND", `Cannot use lease ${id}: this connection does not hold it`);
    }
    this.#leases.delete(id);
    return lease;
  }

  /** Answers whoever waits, and gives up every lease; none is given after this. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
    for (const lease of this.#leases.values()) this.#giveUp(lease);
    this.#leases.clear();
  }

  async #unlessClosed(asked: Promise<LeaseResult>): Promise<LeaseResult | typeof CLOSING> {
    let end = (): void => undefined;
    const ended = new Promise<typeof CLOSING>((resolve) => {
      end = () => resolve(CLOSING);
    });
    this.#ends.add(end);
    try {
      return await Promise.race([asked, ended]);
    } finally {
      this.#ends.delete(end);
    }
  }

  /** Leases whose time is over are kept, since they may still be put; but not at the cost of new ones. */
  #hasRoom(): boolean {
    if (this.#leases.size < this.#limits.leasesPerConnection) return true;
    for (const [id, lease] of this.#leases) if (lease.expiresInMs <= 0) this.#leases.delete(id);
    return this.#leases.size < this.#limits.leasesPerConnection;
  }

  #giveUp(lease: Lease): void {
    lease.giveUp().catch((error: unknown) => {
      this.#log.debug("a lease of a closed connection could not be given up", { error: messageOf(error) });
    });
  }

  #count(requests: number): void {
    this.#waiting += requests;
    this.#waits.value += requests;
  }
}
