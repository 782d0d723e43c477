/** The client's side of one connection: calls out, replies in, in any order. Knows no deadlines but that of its hello. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { CacheError, errnoOf, isCacheError, messageOf } from "../../index/core/errors.js";
import { Call, errorOf } from "./client-call.js";
import { Fields } from "./fields.js";
import { FrameWriter } from "./frame-writer.js";
import { FrameParser } from "./frames.js";
import { decodeHeader } from "./header-decoder.js";
import { helloRequest, readHello } from "./hello.js";
import type { Hello } from "./hello.js";
import { JOINED_PAYLOAD_BYTES_MAX } from "./limits.js";

const EMPTY = Buffer.alloc(0);
/** What the next reads go to, unless they go straight to where a payload is wanted. */
const SCRATCH_BYTES = 64 * 1024;

export interface ChannelOptions {
  readonly socketPath: string;
  /** How long connecting and the hello may take together. */
  readonly helloMs: number;
  /** Whether the attempt keeps the process alive. */
  readonly ref: boolean;
}

export interface ChannelEvents {
  /** A frame came: the daemon lives. */
  onReply(): void;
  /** The connection has ended, by whichever side; calls that wait get no reply any more. */
  onClosed(): void;
}

/**
 * Connects and says hello.
 * @throws {CacheError} E_UNAVAILABLE nobody listens; E_TIMEOUT no hello in time; E_PROTOCOL_VERSION, E_LIMIT as the
 *   daemon says; E_FRAME it speaks something else.
 */
export async function openChannel(options: ChannelOptions): Promise<{ channel: Channel; hello: Hello }> {
  const channel = new Channel(options);
  const { promise, resolve, reject } = deferred<Hello>();
  const timer = setTimeout(() => {
    const message = `Cannot connect to ${options.socketPath}: no answer within ${options.helloMs} ms`;
    channel.destroy(new CacheError("E_TIMEOUT", message));
  }, options.helloMs);
  channel.events = { onReply: () => undefined, onClosed: () => reject(channel.failure) };
  let hello: Hello | undefined;
  const accept = (fields: Fields): undefined => {
    hello = readHello(fields);
  };
  const call = new Call({ header: helloRequest(), accept }, 0, (answer) => {
    if (hello !== undefined) resolve(hello);
    else channel.destroy(answer.kind === "error" ? answer.error : undefined);
  });
  if (!options.ref) {
    timer.unref();
    channel.unref();
  }
  channel.send(call);
  try {
    return { channel, hello: await promise };
  } finally {
    clearTimeout(timer);
  }
}

export class Channel {
  /** Set by whoever uses the channel. */
  events: ChannelEvents = { onReply: () => undefined, onClosed: () => undefined };
  readonly #socketPath: string;
  readonly #socket: Socket;
  readonly #frames: FrameWriter;
  readonly #parser: FrameParser;
  /** One buffer for all reads: a fresh one for every read costs more than the copy out of this one. */
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  /** The next read goes to the memory of the call whose reply is coming. */
  #straight = false;
  readonly #calls = new Map<number, Call>();
  #lastId = 0;
  #bytes = 0;
  #receiving: { call: Call; fields: Fields; payload: Buffer; error?: CacheError } | undefined;
  #failure: CacheError | undefined;

  constructor(options: ChannelOptions) {
    this.#socketPath = options.socketPath;
    this.#parser = new FrameParser({
      onHeader: (header, payloadBytes) => this.#onHeader(header, payloadBytes),
      onFrame: () => this.#onFrame(),
    });
    this.#socket = connect({
      path: options.socketPath,
      onread: { buffer: () => this.#place(), callback: (count) => this.#onRead(count) },
    });
    this.#frames = new FrameWriter(this.#socket);
    this.#socket.resume(); // else the end of the stream goes unseen
    this.#socket.on("error", (error) => this.#fail(unavailable(this.#socketPath, error)));
    this.#socket.on("close", () => this.events.onClosed());
  }

  /** Calls whose replies have not come, abandoned ones too. */
  get requests(): number {
    return this.#calls.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Why the connection ended. */
  get failure(): CacheError {
    return (
      this.#failure ??
      new CacheError("E_UNAVAILABLE", `Lost ${this.#socketPath}: the daemon closed the connection`)
    );
  }

  send(call: Call): void {
    this.#lastId += 1;
    this.#calls.set(this.#lastId, call);
    this.#bytes += call.costBytes;
    const { header, payload } = call.options;
    if (payload === undefined || payload.length <= JOINED_PAYLOAD_BYTES_MAX) {
      this.#frames.send(this.#lastId, header, payload === undefined ? undefined : [payload]);
      return;
    }
    call.sending = true;
    this.#frames.send(this.#lastId, header, [payload], () => {
      call.sending = false;
    });
  }

  /**
   * The caller waits no longer: neither side of the call's memory is touched after this.
   * @returns false when that needs the connection to end: part of a payload is still to be sent, or the runtime has been
   *   given the call's memory for the next read.
   */
  abandon(call: Call): boolean {
    const receiving = this.#receiving?.call === call;
    if (receiving) this.#parser.dropPayload();
    return !call.sending && !(receiving && this.#straight);
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  /** Ends the connection at once; what is not sent yet is not sent. */
  destroy(failure?: CacheError): void {
    this.#failure ??= failure;
    this.#socket.destroy();
  }

  #fail(failure: CacheError): void {
    this.destroy(failure);
  }

  #place(): Uint8Array {
    const place = this.#socket?.destroyed ? undefined : this.#parser.place();
    this.#straight = place !== undefined;
    return place ?? this.#scratch;
  }

  #onRead(count: number): boolean {
    if (this.#socket.destroyed) return true;
    try {
      if (this.#straight) this.#parser.took(count);
      else this.#parser.push(this.#scratch.subarray(0, count));
    } catch (error) {
      this.#fail(isCacheError(error) ? error : new CacheError("E_FRAME", messageOf(error), { cause: error }));
    }
    return true;
  }

  #onHeader(bytes: Buffer, payloadBytes: number): Uint8Array | undefined {
    const header = decodeHeader(bytes);
    const fields = new Fields(header, "E_FRAME");
    const failed = header["status"] === "error" ? errorOf(fields) : undefined;
    if (failed !== undefined && !fields.has("id")) throw failed; // about the connection: it ends
    const id = fields.uint("id", Number.MAX_SAFE_INTEGER);
    const call = this.#calls.get(id);
    if (call === undefined)
      throw new CacheError("E_FRAME", `Cannot use a reply: nothing was asked with id ${id}`);
    this.#calls.delete(id);
    this.#bytes -= call.costBytes;
    if (payloadBytes > (call.options.replyBytesMax ?? 0)) {
      throw new CacheError(
        "E_FRAME",
        `Cannot use a reply: it has ${payloadBytes} bytes, more than asked for`,
      );
    }
    const receiving = { call, fields, payload: EMPTY };
    this.#receiving = failed === undefined ? receiving : { ...receiving, error: failed };
    if (failed !== undefined || call.settled) return undefined;
    const target = call.options.accept?.(fields, payloadBytes);
    if (target === undefined) return undefined;
    this.#receiving.payload = Buffer.from(target.buffer, target.byteOffset, payloadBytes);
    return target;
  }

  #onFrame(): boolean {
    const received = this.#receiving;
    this.#receiving = undefined;
    this.events.onReply(); // first, so that what a late reply makes necessary can be sent
    if (received !== undefined) {
      const { call, fields, payload, error } = received;
      if (call.settled && error === undefined) call.options.onLate?.(fields);
      call.settle(error === undefined ? { kind: "reply", fields, payload } : { kind: "error", error });
    }
    return !this.#socket.destroyed;
  }
}

function unavailable(socketPath: string, cause: Error): CacheError {
  const errno = errnoOf(cause) ?? messageOf(cause);
  if (errno === "EAGAIN") {
    return new CacheError("E_LIMIT", `Cannot connect to ${socketPath}: too many wait to be served`, {
      cause,
    });
  }
  return new CacheError("E_UNAVAILABLE", `Cannot reach a daemon on ${socketPath}: ${errno}`, { cause });
}

function deferred<Value>() {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (reason: CacheError) => void = () => undefined;
  const promise = new Promise<Value>((onValue, onReason) => {
    resolve = onValue;
    reject = onReason;
  });
  return { promise, resolve, reject };
}
