/** The server's side of one client's connection: frames in, requests carried out side by side, answers out, within limits. */
import type { Socket } from "node:net";
import { CacheError, isCacheError, messageOf } from "../../../index/core/errors.js";
import type { Logger } from "../logger.js";
import { type Frame, FrameReader, encodeFrame } from "./frames.js";
import { OBJECT_PART_BYTES, REPLY_BYTES, REQUESTS_MAX, REQUEST_BYTES_MAX } from "./limits.js";
import { type Request, type Requests, decodeRequest, encodeRpc, given } from "./messages.js";
import { type Answer, answerOf, refusalOf } from "./operations.js";
import { Session, type SessionParts } from "./session.js";
import { STATUS } from "./statuses.js";
import type { PartData } from "./transactions.js";

/** The protocol version in handshakes; the only one there is. */
const PROTOCOL_VERSION = 1;
/** Stores, counts references, shrinks, tells its use and how often it shrinks, lists, keeps breadcrumbs. */
const CAPABILITIES = 0b111_1111;

/** What all connections of a server share. */
export interface ConnectionParts extends SessionParts {
  readonly log: Logger;
  /** Of the server, for handshakes. */
  readonly name: string;
  /** Told to clients on this machine. */
  readonly pid: number | undefined;
  readonly nextSessionId: () => number;
  /** Bytes of requests and answers under way on all connections, and how many they may be. */
  readonly inFlight: { bytes: number; readonly bytesMax: number };
  readonly onClosed: (connection: Connection) => void;
}

export class Connection {
  readonly #parts: ConnectionParts;
  readonly #socket: Socket;
  readonly #frames: FrameReader;
  #session: Session | undefined;
  #requests = 0;
  #bytes = 0;
  #corked = false;
  #ended = false;
  #draining = false;

  constructor(parts: ConnectionParts, socket: Socket) {
    this.#parts = parts;
    this.#socket = socket;
    this.#frames = new FrameReader(parts.pool, (frame) => this.#onFrame(frame));
    socket.on("data", (chunk: Buffer) => this.#read(() => this.#frames.push(chunk)));
    socket.on("error", (error) => parts.log.debug("CVMFS connection failed", { error: messageOf(error) }));
    socket.on("close", () => this.#onClose());
  }

  /** The client has shaken hands. */
  get greeted(): boolean {
    return this.#session !== undefined;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Asks the client to let go of what it can; a client that takes nothing is not asked. */
  askToDetach(): void {
    if (this.#session === undefined || this.#ended || this.#socket.writableNeedDrain) return;
    for (const part of encodeFrame(encodeRpc({ msg_detach: {} }))) this.#socket.write(part);
  }

  /** Reads no more, lets what is begun finish, then closes. */
  drain(): void {
    this.#draining = true;
    this.#socket.pause();
    if (this.#requests === 0) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(step: () => void): void {
    if (this.#ended || this.#draining) return;
    try {
      step();
    } catch (error) {
      this.#drop(error);
      return;
    }
    if (this.#frames.stopped) this.#socket.pause();
  }

  /** A client takes a lost connection for the end of its cache: only what can't be understood costs it. */
  #drop(error: unknown): void {
    const { log } = this.#parts;
    const client = this.#session?.client ?? "unknown";
    if (isCacheError(error)) log.warn("CVMFS connection dropped", { client, error: error.message });
    else
      log.error("a CVMFS request failed inside the daemon", {
        client,
        error: messageOf(error),
        stack: stackOf(error),
      });
    this.#ended = true;
    this.#socket.destroy();
  }

  #onFrame({ message, dataBytes, data }: Frame): boolean {
    const part: PartData = { bytes: dataBytes, ...(data !== undefined && { buffer: data }) };
    let request: Request | undefined;
    try {
      request = decodeRequest(message);
    } finally {
      if (data !== undefined && request?.name !== "msg_store_req") this.#parts.pool.give(data);
    }
    if (request.name === "msg_handshake") this.#greet(request.fields);
    else if (this.#session === undefined) throw unexpected(request.name);
    else if (request.name === "msg_ioctl") this.#session.announce(request.fields.conncnt_change_by ?? 0);
    else if (request.name === "msg_quit") this.#quit();
    else this.#carryOut(this.#session, request, part);
    return !this.#isFull();
  }

  /** A client that greets again begins anew. */
  #greet(fields: Requests["msg_handshake"]): void {
    const { nextSessionId, log, pid, name: own } = this.#parts;
    const id = nextSessionId();
    const client = given(fields, "name") ?? `client ${id}`;
    if (this.#session !== undefined) this.#endSession(this.#session);
    this.#session = new Session(this.#parts, id, client);
    log.info("CVMFS client connected", { client, session: id });
    this.#send({
      message: {
        msg_handshake_ack: {
          status: STATUS.ok,
          name: own,
          protocol_version: PROTOCOL_VERSION,
          session_id: id,
          max_object_size: OBJECT_PART_BYTES,
          capabilities: CAPABILITIES,
          ...(pid !== undefined && { pid }),
        },
      },
    });
  }

  #quit(): void {
    this.#draining = true;
    if (this.#requests === 0) this.#socket.destroySoon();
  }

  #carryOut(session: Session, request: Request, data: PartData): void {
    const cost =
      REPLY_BYTES +
      data.bytes +
      (request.name === "msg_read_req" ? Math.min(request.fields.size, OBJECT_PART_BYTES) : 0);
    const answer = answerOf(session, request, data);
    this.#account(1, cost);
    if (!(answer instanceof Promise)) {
      this.#send(answer, cost);
      return;
    }
    // Settles every failure itself.
    void answer.then(
      (found) => this.#send(found, cost),
      (error: unknown) => this.#fail(request, error, cost),
    );
  }

  /** The daemon failed: the client is told, and goes on. */
  #fail(request: Request, error: unknown, cost: number): void {
    const { log } = this.#parts;
    const level = isCacheError(error) ? "info" : "error";
    log[level]("a CVMFS request failed", {
      request: request.name,
      error: messageOf(error),
      stack: stackOf(error),
    });
    this.#send({ message: refusalOf(request, STATUS.ioError) }, cost);
  }

  /** @param cost of the request that this is the answer to. */
  #send({ message, data, pooled }: Answer, cost?: number): void {
    const { pool } = this.#parts;
    const onSent = (error?: Error | null): void => {
      // After a failed write the memory is left to the collector: nothing proves that the kernel is done with it.
      if (pooled !== undefined && !error) pool.give(pooled);
      if (cost !== undefined) this.#done(cost);
    };
    if (this.#ended || !this.#socket.writable) {
      onSent();
      return;
    }
    const parts = encodeFrame(encodeRpc(message), data);
    this.#cork();
    for (const [place, part] of parts.entries())
      this.#socket.write(part, place === parts.length - 1 ? onSent : undefined);
  }

  #done(cost: number): void {
    this.#account(-1, -cost);
    if (this.#draining) {
      if (this.#requests === 0) this.#socket.destroySoon();
      return;
    }
    if (!this.#frames.stopped || this.#ended || this.#isFull()) return;
    this.#read(() => this.#frames.resume());
    if (!this.#frames.stopped) this.#socket.resume();
  }

  #isFull(): boolean {
    const { inFlight } = this.#parts;
    if (this.#draining || this.#requests >= REQUESTS_MAX || this.#bytes >= REQUEST_BYTES_MAX) return true;
    return inFlight.bytes >= inFlight.bytesMax && this.#requests > 0;
  }

  #account(requests: number, bytes: number): void {
    this.#requests += requests;
    this.#bytes += bytes;
    this.#parts.inFlight.bytes += bytes;
  }

  /** Answers of one turn leave in one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #onClose(): void {
    this.#ended = true;
    this.#frames.close();
    if (this.#session !== undefined) this.#endSession(this.#session);
    this.#parts.onClosed(this);
  }

  #endSession(session: Session): void {
    const { log } = this.#parts;
    const { client, id, announced } = session;
    log.info("CVMFS client gone", { client, session: id, ...(announced > 0 && { reloads: true }) });
    session.close().catch((error: unknown) => {
      log.info("what a CVMFS client was storing could not be dropped", { client, error: messageOf(error) });
    });
  }
}

function unexpected(name: string): CacheError {
  return new CacheError("E_FRAME", `Cannot serve ${name}: want a handshake first`);
}

function stackOf(error: unknown): string | undefined {
  return error instanceof Error && !isCacheError(error) ? error.stack : undefined;
}
