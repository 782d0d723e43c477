/** Fill leases of the client: asking for one, and what may be done with it. */
import type { Lease, LeaseOptions, LeaseResult, PutResult } from "../api.js";
import { checkLeaseTimes } from "../lease-api.js";
import { checkBlockPayload, checkSpan } from "./arguments.js";
import { bypassOf, closedError, failureOf, reasonOf } from "./client-call.js";
import type { Answer } from "./client-call.js";
import type { Link } from "./client-link.js";
import type { Fields } from "./fields.js";
import type { Header } from "./headers.js";

/** As LeasingCache.getOrLease; settled within the time to wait and the client's deadline on top of it. */
export async function askForLease(
  link: Link,
  deadlineMs: number,
  names: () => Header,
  options: LeaseOptions = {},
): Promise<LeaseResult> {
  if (link.closed) throw closedError();
  const { offsetBytes, lengthBytes } = checkSpan(options);
  const times = checkLeaseTimes(options);
  const waitMs = Math.ceil(times.waitMs);
  const answer = await link.call({
    header: {
      op: "lease",
      ...names(),
      offset: offsetBytes,
      length: lengthBytes,
      waitMs,
      leaseMs: Math.ceil(times.leaseMs),
    },
    replyBytesMax: lengthBytes,
    // Waiting for another's fetch is no sign of a daemon that hangs.
    deadlineMs: waitMs + deadlineMs,
    waits: true,
    onLate: (fields) => {
      if (fields.raw("status") === "lease") leaseIn(link, fields).abandon();
    },
    accept: (fields, payloadBytes) =>
      fields.raw("status") === "hit" ? (options.into ?? Buffer.allocUnsafe(payloadBytes)) : undefined,
  });
  if (answer.kind !== "reply") return { kind: "bypass", reason: bypassOf(answer) };
  const status = answer.fields.raw("status");
  if (status === "hit") return { kind: "hit", bytes: answer.payload };
  if (status === "miss") return { kind: "miss" };
  if (status !== "lease") return { kind: "bypass", reason: reasonOf(answer.fields, "reason") };
  return { kind: "lease", lease: leaseIn(link, answer.fields) };
}

function leaseIn(link: Link, fields: Fields): RemoteLease {
  const id = fields.uint("lease", Number.MAX_SAFE_INTEGER);
  return new RemoteLease(link, id, fields.uint("expiresMs", Number.MAX_SAFE_INTEGER));
}

/** Ends with its connection: then nothing is stored (`stale`), since it is not known what happened meanwhile. */
class RemoteLease implements Lease {
  readonly #link: Link;
  readonly #id: number;
  readonly #generation: number;
  readonly #expiresAtMs: number;
  #ended = false;

  constructor(link: Link, id: number, expiresMs: number) {
    this.#link = link;
    this.#id = id;
    this.#generation = link.generation;
    this.#expiresAtMs = performance.now() + expiresMs;
  }

  get expiresInMs(): number {
    if (this.#ended || this.#generation !== this.#link.generation) return 0;
    return Math.max(0, this.#expiresAtMs - performance.now());
  }

  async put(bytes: Uint8Array): Promise<PutResult> {
    if (this.#link.closed) throw closedError();
    checkBlockPayload(bytes);
    if (this.#ended) return { kind: "bypass", reason: "stale" };
    this.#ended = true;
    const answer = await this.#link.call({
      header: this.#header("leasePut"),
      payload: bytes,
      ...this.#place,
    });
    if (answer.kind === "error" && answer.error.code === "E_NOT_FOUND") {
      return { kind: "bypass", reason: "stale" };
    }
    if (answer.kind !== "reply") return { kind: "bypass", reason: bypassOf(answer) };
    if (answer.fields.raw("status") === "stored") return { kind: "stored" };
    return { kind: "bypass", reason: reasonOf(answer.fields, "reason") };
  }

  async giveUp(): Promise<void> {
    if (this.#link.closed) throw closedError();
    if (this.#ended) return;
    const answer = await this.#callGiveUp();
    // Without an answer the daemon ends it all the same, when its time or its connection is over.
    if (answer.kind === "error" && answer.error.code !== "E_NOT_FOUND") {
      throw failureOf(answer, "give a lease up");
    }
  }

  /** Its caller was told long since to go on; what becomes of this is of no use to anybody. */
  abandon(): void {
    void this.#callGiveUp(); // a call never rejects
  }

  #callGiveUp(): Promise<Answer> {
    this.#ended = true;
    return this.#link.call({ header: this.#header("leaseGiveUp"), ...this.#place });
  }

  get #place(): { generation: number } {
    return { generation: this.#generation };
  }

  #header(op: string): Header {
    return { op, lease: this.#id > 0xffff_ffff ? BigInt(this.#id) : this.#id };
  }
}
