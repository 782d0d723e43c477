/**
 * A client of protocols whose replies come in the order of the requests, each a line and, where the line says so, a
 * payload and a line end. As thin as tagcache's own client: requests of a turn leave in one system call, reads go to one
 * buffer, and a payload's bytes go straight to where they are wanted.
 */
import { once } from "node:events";
import { type Socket, connect } from "node:net";

/** Payload bytes that follow the line; undefined for none. */
export type PayloadOf = (line: string) => number | undefined;

interface Waiting {
  readonly into: Buffer | undefined;
  readonly resolve: (line: string) => void;
  readonly reject: (reason: Error) => void;
}

/** A server that says nothing for so long while it is asked has lost a request. */
const SILENCE_MS_MAX = 20_000;

const SCRATCH_BYTES = 64 * 1024;
/** Fewer bytes than this are cheaper copied than read by a system call of their own. */
const STRAIGHT_BYTES_MIN = 16 * 1024;
const LF = 10;
const LINE_END_BYTES = 2;

export class ReplyClient {
  readonly #payloadOf: PayloadOf;
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #waitingFrom = 0;
  readonly #scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #line = "";
  /** Of the payload under way, its line end included; 0 between replies. */
  #leftBytes = 0;
  #filled = 0;
  #into: Buffer | undefined;
  #corked = false;

  private constructor(socketPath: string, payloadOf: PayloadOf) {
    this.#payloadOf = payloadOf;
    this.#socket = connect({
      path: socketPath,
      onread: { buffer: () => this.#place(), callback: (count, buffer) => this.#onRead(count, buffer) },
    });
    this.#socket.resume();
    this.#socket.setTimeout(SILENCE_MS_MAX, () => this.#fail(new Error(`no reply in ${SILENCE_MS_MAX} ms`)));
  }

  #fail(reason: Error): void {
    for (const { reject } of this.#waiting.slice(this.#waitingFrom)) reject(reason);
  }

  static async open(socketPath: string, payloadOf: PayloadOf): Promise<ReplyClient> {
    const client = new ReplyClient(socketPath, payloadOf);
    await once(client.#socket, "connect");
    return client;
  }

  /** Sends a request in pieces. @returns the reply's line, once its payload is in `into`. */
  call(pieces: readonly (string | Buffer)[], into?: Buffer): Promise<string> {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    for (const piece of pieces) this.#socket.write(piece, "latin1");
    return new Promise((resolve, reject) => this.#waiting.push({ into, resolve, reject }));
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }

  #place(): Buffer {
    const left = this.#leftBytes - LINE_END_BYTES;
    if (this.#into === undefined || left < STRAIGHT_BYTES_MIN) return this.#scratch;
    return this.#into.subarray(this.#filled, this.#filled + left);
  }

  #onRead(count: number, buffer: Uint8Array): boolean {
    if (this.#leftBytes > 0 && buffer.buffer !== this.#scratch.buffer) {
      this.#filled += count;
      this.#leftBytes -= count;
      return true;
    }
    for (let at = 0; at < count;)
      at = this.#leftBytes > 0 ? this.#takePayload(at, count) : this.#takeLine(at, count);
    return true;
  }

  #takeLine(at: number, end: number): number {
    const found = this.#scratch.indexOf(LF, at);
    if (found === -1 || found >= end) {
      this.#line += this.#scratch.toString("latin1", at, end);
      return end;
    }
    const line = this.#line + this.#scratch.toString("latin1", at, found - 1);
    const payloadBytes = this.#payloadOf(line);
    this.#line = line;
    if (payloadBytes === undefined) this.#settle();
    else {
      this.#leftBytes = payloadBytes + LINE_END_BYTES;
      this.#filled = 0;
      this.#into = this.#waiting[this.#waitingFrom]?.into;
      if (this.#into === undefined || this.#into.length < payloadBytes) throw new Error(`unasked: ${line}`);
    }
    return found + 1;
  }

  #takePayload(at: number, end: number): number {
    const taken = Math.min(this.#leftBytes, end - at);
    const content = Math.min(taken, this.#leftBytes - LINE_END_BYTES);
    if (content > 0) {
      this.#scratch.copy(this.#into as Buffer, this.#filled, at, at + content);
      this.#filled += content;
    }
    this.#leftBytes -= taken;
    if (this.#leftBytes === 0) this.#settle();
    return at + taken;
  }

  #settle(): void {
    const waiting = this.#waiting[this.#waitingFrom] as Waiting;
    this.#waitingFrom += 1;
    if (this.#waitingFrom === this.#waiting.length) {
      this.#waiting.length = 0;
      this.#waitingFrom = 0;
    }
    const line = this.#line;
    this.#line = "";
    this.#into = undefined;
    waiting.resolve(line);
  }
}
