/** The server's side of one connection: frames in, requests run side by side, replies out, within limits. */
import type { Socket } from "node:net";
import { CacheError, isCacheError, messageOf } from "../../index/core/errors.js";
import { readingSocket } from "./accepted-socket.js";
import { encodeFrame, FrameParser } from "./frames.js";
import { encodeHeader } from "./headers.js";
import { LINGER_MS } from "./limits.js";
import type { Reply } from "./operation.js";
import { Patience } from "./patience.js";
import { errorFields } from "./request-header.js";
import { type Job, type RequestContext, Requests } from "./requests.js";
import { ReplyWriter } from "./reply-writer.js";

/** What all connections of a server share. */
export interface ConnectionContext extends RequestContext {
  /** What is read of any connection, and taken at once. */
  readonly scratch: Buffer;
  /** Milliseconds between two calls of tick(). */
  readonly tickMs: number;
  readonly onClosed: (connection: Connection) => void;
}

/** One request for so much a turn of the event loop: while its reply is taken, the next one is read. */
const TURN_BYTES = 64 * 1024;

export class Connection {
  readonly #context: ConnectionContext;
  readonly #socket: Socket;
  readonly #parser: FrameParser;
  readonly #requests: Requests;
  readonly #replies: ReplyWriter;
  #receiving: Job | undefined;
  /** The next read goes to the place of a payload. */
  #straight = false;
  /** The next request waits for the next turn of the event loop. */
  #turnOver = false;
  /** Set once nothing more is read: refused, drained or ended by the client. */
  #refused = false;
  #draining = false;
  #inputEnded = false;
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
    this.#requests = new Requests(context);
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
    return this.#requests.greeted;
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
    this.#requests.closeLeases();
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
    if (!this.#requests.greeted && this.#ticks * tickMs >= limits.helloMs) {
      this.refuse(new CacheError("E_TIMEOUT", `Cannot wait longer: no hello within ${limits.helloMs} ms`));
      return;
    }
    if (this.#requests.count > 0 || this.#chunks !== this.#chunksSeen) this.#idleFrom = this.#ticks;
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
    const ticks = this.#requests.count > 0 ? 0 : this.#ticks - this.#idleFrom;
    return { ms: ticks * this.#context.tickMs, holding: this.#requests.holding };
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
      this.refuse(isCacheError(error) ? error : this.#requests.internal(error));
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
    this.#receiving = this.#requests.begin(bytes, payloadBytes);
    return this.#receiving.buffer;
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
    return this.#draining || this.#refused || this.#requests.full;
  }

  async #serve(job: Job): Promise<void> {
    const reply = await this.#requests.answer(job);
    try {
      this.#send(job, reply);
    } catch (error) {
      this.#requests.internal(error);
      this.#done(job);
      this.destroy();
    }
  }

  #send(job: Job, reply: Reply): void {
    if (this.#refused || this.#socket.destroyed || this.#socket.writableEnded) {
      if (reply.pooled !== undefined) this.#context.pool.give(reply.pooled);
      this.#done(job);
      return;
    }
    const sentBytes = this.#replies.send(job.id, reply, () => this.#done(job));
    this.#requests.replied(job, sentBytes);
  }

  #done(job: Job): void {
    this.#requests.end(job);
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
    const waiting = this.#requests.count - (this.#receiving === undefined ? 0 : 1);
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
    if (receiving !== undefined) this.#requests.abandon(receiving);
    this.#requests.close();
    this.#context.onClosed(this);
  }
}
