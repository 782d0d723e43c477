/** The requests of one connection, from header to reply: what each of them is, takes of the share, and is answered. */
import { CacheError, isCacheError, messageOf } from "../../index/core/errors.js";
import type { BufferPool } from "./buffer-pool.js";
import { Fields } from "./fields.js";
import { HandleTable } from "./handles.js";
import type { HandleCount } from "./handles.js";
import { decodeHeader } from "./header-decoder.js";
import { checkHello, helloReply } from "./hello.js";
import { LeaseTable } from "./lease-table.js";
import type { WaitCount } from "./lease-table.js";
import { REQUEST_BYTES } from "./limits.js";
import type { ServerLimits } from "./limits.js";
import type { Logger } from "./logger.js";
import type { Operation, OperationServices, Reply } from "./operation.js";
import { OPERATIONS, unknownOperation } from "./operations.js";
import { errorFields, overload, requestId } from "./request-header.js";
import type { RequestCounts } from "./request-counts.js";
import { type InFlight, RequestShare } from "./request-share.js";

/** What the requests of all connections share. */
export interface RequestContext extends OperationServices {
  readonly pool: BufferPool;
  readonly limits: ServerLimits;
  readonly version: string;
  readonly log: Logger;
  /** Bytes of requests and replies under way in all connections. */
  readonly inFlight: InFlight;
  readonly requests: RequestCounts;
  readonly handles: HandleCount;
  readonly waits: WaitCount;
}

/** A request between its header and the moment its reply has left. */
export interface Job {
  readonly id: number | bigint;
  readonly name: string;
  readonly fields: Fields;
  readonly operation: Operation | CacheError;
  costBytes: number;
  readonly replyBytes: number;
  /** What its payload is read to. */
  readonly buffer: Buffer | undefined;
  readonly payloadBytes: number;
}

const EMPTY = Buffer.alloc(0);

export class Requests {
  readonly #context: RequestContext;
  readonly #share: RequestShare;
  readonly #handles: HandleTable;
  readonly #leases: LeaseTable;
  #greeted = false;

  constructor(context: RequestContext) {
    this.#context = context;
    this.#share = new RequestShare(context.limits, context.inFlight);
    this.#handles = new HandleTable(context.limits.handlesPerConnection, context.handles);
    this.#leases = new LeaseTable(context.limits, context.waits, context.log);
  }

  get greeted(): boolean {
    return this.#greeted;
  }

  /** How many are under way. */
  get count(): number {
    return this.#share.requests;
  }

  /** Nothing more is read until something has ended. */
  get full(): boolean {
    return this.#share.full;
  }

  /** Whether others would lose something by the end of this connection. */
  get holding(): boolean {
    return this.#handles.held + this.#leases.held > 0;
  }

  /** @throws {CacheError} E_FRAME, E_PROTOCOL_VERSION and others of a client with whom nothing more can be said. */
  begin(bytes: Buffer, payloadBytes: number): Job {
    const header = decodeHeader(Buffer.from(bytes)); // what it points to is used until the request is served
    const fields = new Fields(header, "E_ARGUMENT");
    const id = requestId(header);
    const name = header["op"];
    if (typeof name !== "string")
      throw new CacheError("E_FRAME", 'Cannot serve a request: it has no text "op"');
    const asked = this.#operation(name, fields);
    const takenBytes = asked instanceof CacheError || !asked.payload ? 0 : payloadBytes;
    const wantedBytes = asked instanceof CacheError ? 0 : (asked.replyBytes?.(fields) ?? 0);
    const operation = this.#share.grants(bytes.length + takenBytes + wantedBytes) ? asked : overload();
    const refused = operation instanceof CacheError;
    const buffer = !refused && takenBytes > 0 ? this.#context.pool.take(takenBytes) : undefined;
    const replyBytes = refused ? 0 : wantedBytes;
    const costBytes = REQUEST_BYTES + bytes.length + (buffer?.length ?? 0) + replyBytes;
    this.#share.begin(costBytes);
    return {
      id,
      name: asked instanceof CacheError ? "unknown" : name,
      fields,
      operation,
      costBytes,
      replyBytes,
      buffer,
      payloadBytes,
    };
  }

  /** Hello is first and is answered here, since it is about the connection. */
  #operation(name: string, fields: Fields): Operation | CacheError {
    if (name === "hello") {
      checkHello(fields);
      this.#greeted = true;
      return {
        payload: false,
        run: async (_request, { cache }) => helloReply(await cache.status(), this.#context),
      };
    }
    if (!this.#greeted)
      throw new CacheError("E_FRAME", "Cannot serve a request: the first frame is no hello");
    return OPERATIONS.get(name) ?? unknownOperation(name);
  }

  /** Runs it, its payload being read. Never throws: what fails is an answer too. */
  async answer(job: Job): Promise<Reply> {
    let reply: Reply;
    try {
      reply = await this.#run(job);
    } catch (error) {
      const known = isCacheError(error) ? error : this.internal(error);
      reply = { header: { status: "error", ...errorFields(known) } };
    }
    if (job.buffer !== undefined) this.#context.pool.give(job.buffer);
    const { status } = reply.header;
    this.#context.requests.count(job.name, typeof status === "string" ? status : "none");
    return reply;
  }

  #run(job: Job): Promise<Reply> {
    if (job.operation instanceof CacheError) throw job.operation;
    if (job.payloadBytes > 0 && !job.operation.payload) {
      throw new CacheError("E_ARGUMENT", "Cannot serve a request: it has a payload, want none");
    }
    const payload = job.buffer?.subarray(0, job.payloadBytes) ?? EMPTY;
    return job.operation.run(
      { fields: job.fields, payload, handles: this.#handles, leases: this.#leases },
      this.#context,
    );
  }

  /** Its reply takes so many bytes: of one that is a large header nothing was known before. */
  replied(job: Job, sentBytes: number): void {
    const unforeseen = Math.max(0, sentBytes - job.replyBytes - REQUEST_BYTES);
    job.costBytes += unforeseen;
    this.#share.grow(unforeseen);
  }

  /** Its reply has left, or never will. */
  end(job: Job): void {
    this.#share.end(job.costBytes);
  }

  /** The connection has ended before all of it was read. */
  abandon(job: Job): void {
    if (job.buffer !== undefined) this.#context.pool.give(job.buffer);
    this.end(job);
  }

  /** Nobody waits for a fetch any more. */
  closeLeases(): void {
    this.#leases.close();
  }

  /** The connection has ended. */
  close(): void {
    this.#leases.close();
    // Owned by the handle table, which reports what fails.
    void this.#handles.close(this.#context.log);
  }

  /** What a client is told of a bug; the log has the rest. */
  internal(cause: unknown): CacheError {
    const stack = cause instanceof Error ? cause.stack : undefined;
    this.#context.log.error("a request failed inside the daemon", { error: messageOf(cause), stack });
    return new CacheError("E_INTERNAL", "Cannot serve the request: the daemon failed, its log says how", {
      cause,
    });
  }
}
