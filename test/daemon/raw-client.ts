/** A client that can misbehave: sends any bytes, collects the frames that come back. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import { encodeFrame, FrameParser } from "../../engine/daemon/frames.js";
import { decodeHeader } from "../../engine/daemon/header-decoder.js";
import { encodeHeader } from "../../engine/daemon/headers.js";
import type { Header } from "../../engine/daemon/headers.js";
import { until } from "./with-server.js";

export interface RawFrame {
  readonly header: Header;
  readonly payload: Buffer;
}

export class RawClient {
  readonly socket: Socket;
  readonly frames: RawFrame[] = [];
  ended = false;
  closed = false;
  #header: Header = {};
  #payload = Buffer.alloc(0);

  constructor(socketPath: string) {
    this.socket = connect(socketPath);
    const parser = new FrameParser({
      onHeader: (header, payloadBytes) => {
        this.#header = decodeHeader(Buffer.from(header));
        this.#payload = Buffer.alloc(payloadBytes);
        return this.#payload;
      },
      onFrame: () => {
        this.frames.push({ header: this.#header, payload: this.#payload });
        return true;
      },
    });
    this.socket.on("data", (chunk: Buffer) => parser.push(chunk));
    this.socket.on("end", () => (this.ended = true));
    this.socket.on("error", () => (this.closed = true)); // a server that closes on us is what these tests provoke
    this.socket.on("close", () => (this.closed = true));
  }

  send(header: Header, payload?: Uint8Array): void {
    this.socket.write(frameOf(header, payload));
  }

  hello(): void {
    this.send(HELLO);
  }

  /** The reply with this id, or the error about the connection when `id` is undefined. */
  async reply(id: number | undefined): Promise<RawFrame> {
    const find = () =>
      this.frames.find(({ header }) => (id === undefined ? !("id" in header) : header["id"] === id));
    await until(() => find() !== undefined || this.closed);
    const frame = find();
    if (frame === undefined) throw new Error(`The connection closed without the reply ${id}`);
    return frame;
  }

  async untilClosed(): Promise<void> {
    await until(() => this.ended || this.closed);
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export const HELLO: Header = { id: 0, op: "hello", versionMin: 1, versionMax: 1 };

export function frameOf(header: Header, payload?: Uint8Array): Buffer {
  return encodeFrame(encodeHeader(header), payload?.length ?? 0, payload);
}
