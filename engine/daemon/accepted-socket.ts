/**
 * Reads of accepted sockets go to memory of ours. Node offers that (`onread`) for sockets that connect, and for accepted
 * ones makes a fresh buffer of 64 KiB for every read: the collector's work for them is a fifth of what puts cost. So the
 * connection is handed over to a socket that has been told where to read to.
 */
import { Socket } from "node:net";
import type { SocketConstructorOpts } from "node:net";

/** Whoever reads a socket. */
export interface SocketReader {
  /** Where the next bytes may go; asked before every read. */
  place(): Uint8Array;
  /** So many bytes lie where place() said. */
  onRead(count: number): void;
  /** Bytes in memory of their own, where the runtime does not hand over connections. */
  onData(chunk: Buffer): void;
}

/**
 * The socket to use instead of an accepted one, which was accepted with `pauseOnConnect` and has not been read.
 * @param handOver for tests of a runtime that does not know how.
 */
export function readingSocket(accepted: Socket, reader: SocketReader, handOver = true): Socket {
  const inner = accepted as unknown as { _handle?: object | null };
  const handle = inner._handle;
  if (!handOver || handle === undefined || handle === null) {
    accepted.on("data", (chunk: Buffer) => reader.onData(chunk));
    accepted.resume();
    return accepted;
  }
  inner._handle = null;
  accepted.destroy(); // it has nothing left to close
  const onread = {
    buffer: () => reader.place(),
    callback: (count: number) => {
      reader.onRead(count);
      return true;
    },
  };
  const socket = new Socket({ handle, onread, allowHalfOpen: true } as unknown as SocketConstructorOpts);
  socket.resume(); // else the end of the stream goes unseen
  return socket;
}
