/** The server's side of one connection: frames in, operations run side by side, replies out, within limits. */
import type { Socket } from "node:net";
import { CacheError, isCacheError, messageOf } from "../../index/core/errors.js";
import { readingSocket } from "./accepted-socket.js";
import type { BufferPool } from "./buffer-pool.js";
import { Fields } from "./fields.js";
import { encodeFrame, FrameParser } from "./frames.js";
import { HandleTable } from "./handles.js";
import type { HandleCount } from "./handles.js";
import { decodeHeader } from "./header-decoder.js";
import { encodeHeader } from "./headers.js";
import { checkHello, helloReply } from "./hello.js";
import { LeaseTable } from "./lease-table.js";
import type { WaitCount } from "./lease-table.js";
import { LINGER_MS, REQUEST_BYTES } from "./limits.js";
import type { ServerLimits } from "./limits.js";
import type { Logger } from "./logger.js";
import type { Operation, OperationServices, Reply } from "./operation.js";
import { OPERATIONS, unknownOperation } from "./operations.js";
import { Patience } from "./patience.js";
import { errorFields, overload, requestId } from "./request-header.js";
import type { RequestCounts } from "./request-counts.js";
import { type InFlight, RequestShare } from "./request-share.js";
import { ReplyWriter } from "./reply-writer.js";

/** What all connections of a server share. */
export interface ConnectionContext extends OperationServices {
  readonly pool: BufferPool;
  /** What is read of any connection, and taken at once. */
  readonly scratch: Buffer;
  readonly limits: ServerLimits;
  readonly version: string;
  readonly log: Logger;
  /** Bytes of requests and replies under way in all connections. */
  readonly inFlight: InFlight;
  readonly requests: RequestCounts;
  readonly handles: HandleCount;
  readonly waits: WaitCount;
  /** Milliseconds between two calls of tick(). */
  readonly tickMs: number;
  readonly onClosed: (connection: Connection) => void;
}

/** A request between its header and the moment its reply has left. */
interface Job {
  readonly id: number | bigint;
  readonly name: string;
  readonly fields: Fields;
  readonly operation: Operation | CacheError;
  costBytes: number;
  readonly replyBytes: number;
  readonly buffer: Buffer | undefined;
  readonly payloadBytes: number;
}

const EMPTY = Buffer.alloc(0);
/** One request for so much a turn of the event loop: while its reply is taken, the next one is read. */
const TURN_BYTES = 64 * 1024;

export class Connection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #parser: FrameParser;
  readonly #handles: HandleTable;
  readonly #leases: LeaseTable;
  readonly #replies: ReplyWriter;
  #receiving: Job | undefined;
  /** The next read goes to the place of a payload. */
  #straight = false;
  /** The next request waits for the next turn of the event loop. */
  #turnOver = false;
  #greeted = false;
  /** Set once nothing more is read: refused, drained or ended by the client. */
  #refused = false;
  #draining = false;
  #inputEnded = false;
  readonly #share: RequestShare;
  /** Pieces of input taken. */
  #chunks = 0;
  #chunksSeen = 0;
  #frames = 0;
  readonly #patience: Patience;
  #ticks = 0;
  /** Since which tick nothing has come, and nothing is under way. */
  #idleFrom = 0;

  constructor(context: ConnectionContext, accepted: Socket) {
    this.#context = context;
    this.#share = new RequestShare(context.limits, context.inFlight);
    this.#handles = new HandleTable(context.limits.handlesPerConnection, context.handles);
    this.#leases = new LeaseTable(context.limits, context.waits, context.log);
    this.#patience = new Patience({ ...context.limits, tickMs: context.tickMs });
    this.#parser = new FrameParser({
      onHeader: (header, payloadBytes) => this.#onHeader(header, payloadBytes),
      onFrame: () => this.#onFrame(),
    });
    const socket = readingSocket(accepted, {
      place: () => this.#place(),
      onRead: (count) => this.#onRead(count),
      onData: (chunk) => this.#onPiece(() => this.#parser.push(chunk)),
    });
    this.#socket = socket;
    this.#replies = new ReplyWriter(socket, context.pool);
    socket.on("end", () => this.#onEnd());
    socket.on("error", (error) => context.log.debug("connection failed", { error: messageOf(error) }));
    socket.on("close", () => this.#onClose());
  }

  get greeted(): boolean {
    return this.#greeted;
  }

  /** Tells the client why, then closes; it need not read it. */
  refuse(error: CacheError): void {
    if (this.#refused || this.#socket.destroyed) return;
    this.#context.log.info("connection refused", { code: error.code, error: error.message });
    this.#refused = true;
    const frame = encodeFrame(encodeHeader({ status: "error", ...errorFields(error) }), 0);
    this.#replies.flush();
    this.#socket.resume(); // unread bytes at close would reach the client as a reset
    this.#socket.end(frame);
    this.#destroyAfter(LINGER_MS);
  }

  /** Reads no more, lets what is begun finish, then closes. */
  drain(): void {
    if (this.#draining) return;
    this.#draining = true;
    this.#leases.close();
    this.#socket.pause();
    this.#endWhenDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Looks for a client that stands still, as Patience does. */
  tick(): void {
    const { limits, tickMs } = this.#context;
    this.#ticks += 1;
    if (this.#refused) return;
    if (!this.#greeted && this.#ticks * tickMs >= limits.helloMs) {
      this.refuse(new CacheError("E_TIMEOUT", `Cannot wait longer: no hello within ${limits.helloMs} ms`));
      return;
    }
    if (this.#share.requests > 0 || this.#chunks !== this.#chunksSeen) this.#idleFrom = this.#ticks;
    this.#chunksSeen = this.#chunks;
    const { unsent, sent } = this.#replies;
    const insideFrame = !(this.#parser.idle || this.#parser.stopped);
    const progress = { pieces: this.#chunks, frames: this.#frames, insideFrame, sent, unsent };
    const fault = this.#patience.look(progress);
    if (fault === "untaken") {
      this.#context.log.info("connection closed: the client takes no replies", { stallMs: limits.stallMs });
      this.destroy();
    } else if (fault !== undefined) this.refuse(fault);
  }

  /** For how long the client has asked nothing, and whether others would lose nothing of it by its end. */
  get idle(): { readonly ms: number; readonly holding: boolean } {
    const ticks = this.#share.requests > 0 ? 0 : this.#ticks - this.#idleFrom;
    return { ms: ticks * this.#context.tickMs, holding: this.#handles.held + this.#leases.held > 0 };
  }

  /** Payloads are read straight to the memory that they are to lie in, which is ours until the connection has ended. */
  #place(): Uint8Array {
    const place = this.#refused ? undefined : this.#parser.place();
    this.#straight = place !== undefined;
    return place ?? this.#context.scratch;
  }

  #onRead(count: number): void {
    if (this.#straight) this.#onPiece(() => this.#parser.took(count));
    else this.#onPiece(() => this.#parser.push(this.#context.scratch.subarray(0, count)));
  }

  #onPiece(take: () => void): void {
    if (this.#refused || this.#draining) return;
    this.#chunks += 1;
    this.#parse(take);
  }

  #parse(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.refuse(isCacheError(error) ? error : this.#internal(error));
    }
    if (!this.#parser.stopped || this.#refused) return;
    if (this.#turnOver && !this.#parser.holdsMore && !this.#full()) {
      this.#turnOver = false;
      this.#parser.resume(); // there is nothing to wait with
      return;
    }
    this.#socket.pause();
    if (this.#turnOver) setImmediate(() => this.#nextTurn());
  }

  #nextTurn(): void {
    this.#turnOver = false;
    if (this.#refused) return;
    this.#goOn();
    this.#endWhenDone();
  }

  /** Takes further requests after a stop, as far as the limits allow. */
  #goOn(): void {
    if (this.#turnOver || !this.#parser.stopped || this.#refused || this.#full()) return;
    this.#parse(() => this.#parser.resume());
    if (!this.#parser.stopped) this.#socket.resume();
  }

  #onHeader(bytes: Buffer, payloadBytes: number): Uint8Array | undefined {
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
    this.#receiving = {
      id,
      name: asked instanceof CacheError ? "unknown" : name,
      fields,
      operation,
      costBytes,
      replyBytes,
      buffer,
      payloadBytes,
    };
    this.#share.begin(costBytes);
    return buffer;
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

  #onFrame(): boolean {
    const job = this.#receiving;
    this.#receiving = undefined;
    this.#frames += 1;
    // #serve settles every failure itself; it is owned by the count of requests, which the drain waits for.
    if (job !== undefined) {
      void this.#serve(job);
      if (job.replyBytes >= TURN_BYTES) this.#turnOver = true;
    }
    return !this.#turnOver && !this.#full();
  }

  #full(): boolean {
    return this.#draining || this.#refused || this.#share.full;
  }

  async #serve(job: Job): Promise<void> {
    let reply: Reply;
    try {
      reply = await this.#run(job);
    } catch (error) {
      const known = isCacheError(error) ? error : this.#internal(error);
      reply = { header: { status: "error", ...errorFields(known) } };
    }
    if (job.buffer !== undefined) this.#context.pool.give(job.buffer);
    const { status } = reply.header;
    this.#context.requests.count(job.name, typeof status === "string" ? status : "none");
    try {
      this.#send(job, reply);
    } catch (error) {
      this.#internal(error);
      this.#done(job);
      this.destroy();
    }
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

  #send(job: Job, reply: Reply): void {
    if (this.#refused || this.#socket.destroyed || this.#socket.writableEnded) {
      if (reply.pooled !== undefined) this.#context.pool.give(reply.pooled);
      this.#done(job);
      return;
    }
    const sentBytes = this.#replies.send(job.id, reply, () => this.#done(job));
    // Of a reply that is a large header nothing was known before.
    const unforeseen = Math.max(0, sentBytes - job.replyBytes - REQUEST_BYTES);
    job.costBytes += unforeseen;
    this.#share.grow(unforeseen);
  }

  #done(job: Job): void {
    this.#share.end(job.costBytes);
    this.#goOn();
    this.#endWhenDone();
  }

  /** A client that has said its last may still wait for replies. */
  #onEnd(): void {
    this.#inputEnded = true;
    if (this.#refused) return;
    if (!this.#parser.idle && !this.#parser.stopped) {
      this.refuse(new CacheError("E_FRAME", "Cannot read a frame: the connection ended inside it"));
      return;
    }
    this.#endWhenDone();
  }

  #endWhenDone(): void {
    if (this.#refused || !(this.#inputEnded || this.#draining)) return;
    const waiting = this.#share.requests - (this.#receiving === undefined ? 0 : 1);
    if (waiting > 0 || (this.#parser.stopped && !this.#draining)) return;
    this.#refused = true;
    this.#socket.resume();
    this.#socket.end();
    this.#destroyAfter(LINGER_MS);
  }

  #destroyAfter(ms: number): void {
    const timer = setTimeout(() => this.#socket.destroy(), ms);
    timer.unref();
    this.#socket.once("close", () => clearTimeout(timer));
  }

  #onClose(): void {
    this.#refused = true;
    const receiving = this.#receiving;
    this.#receiving = undefined;
    if (receiving !== undefined) {
      if (receiving.buffer !== undefined) this.#context.pool.give(receiving.buffer);
      this.#share.end(receiving.costBytes);
    }
    this.#leases.close();
    // Owned by the handle table, which reports what fails.
    void this.#handles.close(this.#context.log);
    this.#context.onClosed(this);
  }

  #internal(cause: unknown): CacheError {
    const stack = cause instanceof Error ? cause.stack : undefined;
    this.#context.log.error("a request failed inside the daemon", { error: messageOf(cause), stack });
    return new CacheError("E_INTERNAL", "Cannot serve the request: the daemon failed, its log says how", {
      cause,
    });
  }
}
