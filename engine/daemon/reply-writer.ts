/** Writes replies to a socket: small payloads joined to their frame, large ones never copied, one system call a turn. */
import type { Socket } from "node:net";
import type { BufferPool } from "./buffer-pool.js";
import { encodeFrame } from "./frames.js";
import { encodeHeader } from "./headers.js";
import type { Header } from "./headers.js";
import { JOINED_PAYLOAD_BYTES_MAX } from "./limits.js";
import type { Reply } from "./operation.js";

export class ReplyWriter {
  readonly #socket: Socket;
  readonly #pool: BufferPool;
  #corked = false;
  #unsent = 0;
  #sent = 0;

  constructor(socket: Socket, pool: BufferPool) {
    this.#socket = socket;
    this.#pool = pool;
  }

  /** Replies that the kernel has not taken yet. */
  get unsent(): number {
    return this.#unsent;
  }

  /** Replies that it took, or that failed. */
  get sent(): number {
    return this.#sent;
  }

  /** Sends a reply; `onDone` is called once it has left or failed, and its pooled memory is given back. */
  send(header: Header, reply: Reply, onDone: () => void): void {
    const { pooled } = reply;
    const payload = reply.payload ?? [];
    const payloadBytes = payload.reduce((sum, part) => sum + part.length, 0);
    const joined = payloadBytes <= JOINED_PAYLOAD_BYTES_MAX ? payload : [];
    const [only] = joined;
    const body = joined.length > 1 ? Buffer.concat(joined) : only;
    const frame = encodeFrame(encodeHeader(header), payloadBytes, body);
    const rest = joined.length > 0 ? [] : payload;
    const onSent = (error?: Error | null): void => {
      this.#unsent -= 1;
      this.#sent += 1;
      // After a failed write the memory is left to the collector: nothing proves that the kernel is done with it.
      if (pooled !== undefined && !error) this.#pool.give(pooled);
      reply.onSent?.();
      onDone();
    };
    this.#unsent += 1;
    this.#cork();
    this.#socket.write(frame, rest.length === 0 ? onSent : undefined);
    for (const [index, part] of rest.entries()) {
      this.#socket.write(part, index === rest.length - 1 ? onSent : undefined);
    }
  }

  /** Replies of one turn leave in one system call. */
  #cork(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#socket.uncork();
    });
  }
}
