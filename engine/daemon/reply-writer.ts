/** Sends replies, and gives back the pooled memory that they lie in once they have left. */
import type { Socket } from "node:net";
import type { BufferPool } from "./buffer-pool.js";
import { FrameWriter } from "./frame-writer.js";
import type { Reply } from "./operation.js";

export class ReplyWriter {
  readonly #frames: FrameWriter;
  readonly #pool: BufferPool;
  #unsent = 0;
  #sent = 0;

  constructor(socket: Socket, pool: BufferPool) {
    this.#frames = new FrameWriter(socket);
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

  /** Hands to the socket what waits for the end of the turn. */
  flush(): void {
    this.#frames.flush();
  }

  /** Sends a reply; `onDone` is called, later, once it has left or failed. @returns its bytes. */
  send(id: number | bigint, reply: Reply, onDone: () => void): number {
    const { pooled } = reply;
    this.#unsent += 1;
    return this.#frames.send(id, reply.header, reply.payload, (error) => {
      this.#unsent -= 1;
      this.#sent += 1;
      // After a failed write the memory is left to the collector: nothing proves that the kernel is done with it.
      if (pooled !== undefined && !error) this.#pool.give(pooled);
      reply.onSent?.();
      onDone();
    });
  }
}
