/** The client's side of one connection: calls out, replies in, in any order. Knows no deadlines but that of its hello. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { CacheError, errnoOf, isCacheError, messageOf } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { Call, errorOf } from "./client-call.js";
import { Fields } from "./fields.js";
import { encodeFrame, FrameParser } from "./frames.js";
import { decodeHeader, encodeHeader } from "./headers.js";
import { helloRequest, readHello } from "./hello.js";
import type { Hello } from "./hello.js";
import { JOINED_PAYLOAD_BYTES_MAX } from "./limits.js";

const EMPTY = Buffer.alloc(0);

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
  readonly #parser: FrameParser;
  readonly #calls = new Map<number, Call>();
  #lastId = 0;
  #bytes = 0;
  #corked = false;
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
      // One buffer for all reads: a fresh one for every read costs more than the copy out of this one.
      onread: {
        buffer: Buffer.allocUnsafeSlow(SLOT_BYTES),
        callback: (count, buffer) => this.#onRead(count, buffer),
      },
    });
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
    const packed = encodeHeader({ id: this.#lastId, ...header });
    const payloadBytes = payload?.length ?? 0;
    this.#cork();
    if (payload === undefined || payloadBytes <= JOINED_PAYLOAD_BYTES_MAX) {
      this.#socket.write(encodeFrame(packed, payloadBytes, payload));
      return;
    }
    call.sending = true;
    this.#socket.write(encodeFrame(packed, payloadBytes));
    this.#socket.write(payload, () => {
      call.sending = false;
    });
  }

  /**
   * The caller waits no longer: neither side of the call's memory is touched after this.
   * @returns false when that needs the connection to end, since part of a payload is still to be sent.
   */
  abandon(call: Call): boolean {
    if (this.#receiving?.call === call) this.#parser.dropPayload();
    return !call.sending;
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

  /** Calls of one turn leave in one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }

  #onRead(count: number, buffer: Uint8Array): boolean {
    if (this.#socket.destroyed) return true;
    try {
      this.#parser.push(Buffer.from(buffer.buffer, buffer.byteOffset, count));
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
    if (received !== undefined) {
      const { call, fields, payload, error } = received;
      if (call.settled && error === undefined) call.options.onLate?.(fields);
      call.settle(error === undefined ? { kind: "reply", fields, payload } : { kind: "error", error });
    }
    this.events.onReply();
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
