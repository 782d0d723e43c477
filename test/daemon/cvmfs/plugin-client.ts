/** What a CVMFS client does with its external cache, over a real socket. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type Socket, connect } from "node:net";
import {
  type Fields,
  Frames,
  bytesOfField,
  fieldsOf,
  frame,
  message,
  numberOf,
  sint,
  text,
  uint,
} from "./wire.js";

export const S = {
  ok: 1,
  noSupport: 2,
  forbidden: 3,
  noSpace: 4,
  noEntry: 5,
  malformed: 6,
  ioError: 7,
  corrupted: 8,
  timeout: 9,
  badCount: 10,
  outOfBounds: 11,
  partial: 12,
} as const;
export const TYPE = { regular: 0, catalog: 1, volatile: 2 } as const;
export const PART = 256 * 1024;
/** Room for the answer to a read of a whole part. */
const READ_BYTES = PART + 4096;

export interface Hash {
  readonly algorithm: number;
  readonly digest: Buffer;
}

export function hashOf(content: Uint8Array | string, algorithm = 1): Hash {
  return { algorithm, digest: createHash("sha1").update(content).digest() };
}

export interface StoreOptions {
  readonly type?: number;
  readonly description?: string;
  readonly expected?: number | bigint;
  /** Number of the request, which names the transaction; a new one unless given. */
  readonly id?: number;
}

interface Reply {
  readonly kind: number;
  readonly fields: Fields;
  readonly data: Buffer;
}

const hashField = (field: number, { algorithm, digest }: Hash): Buffer =>
  message(field, uint(1, algorithm), text(2, digest));

export class PluginClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  session = 0;
  handshake: Fields = new Map();
  detaches = 0;
  #nextId = 1000;
  readonly #waiting = new Map<string, (reply: Reply | undefined) => void>();

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => {
      socket.on("close", () => {
        for (const done of this.#waiting.values()) done(undefined);
        this.#waiting.clear();
        resolve();
      });
    });
  }

  /**
   * Connects, and shakes hands unless told otherwise. @param locator `unix=…` or `tcp=…`, as in a client's configuration.
   * @param reuse as in Frames: for a client that asks for one thing at a time.
   */
  static async connect(
    locator: string,
    name: string | undefined = "test",
    { reuse = false } = {},
  ): Promise<PluginClient> {
    const [kind, place = ""] = locator.split("=");
    const [host = "", port] = place.split(":");
    const frames = new Frames(reuse);
    let client: PluginClient | undefined;
    const onread = {
      buffer: Buffer.allocUnsafeSlow(READ_BYTES),
      callback: (bytes: number, buffer: Uint8Array): boolean => {
        const chunk = Buffer.from(buffer.buffer, buffer.byteOffset, bytes);
        for (const { rpc, data } of frames.push(chunk)) if (client !== undefined) client.#onReply(rpc, data);
        return true;
      },
    };
    const socket = connect({ ...(kind === "unix" ? { path: place } : { port: Number(port), host }), onread });
    await once(socket, "connect");
    client = new PluginClient(socket);
    if (name !== undefined) await client.greet(name);
    return client;
  }

  async greet(name: string): Promise<void> {
    const reply = await this.#ask("17", message(16, uint(1, 1), text(2, name)));
    this.handshake = reply.fields;
    this.session = numberOf(reply.fields, 4);
  }

  takeId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  /** Opens, closes or looks for an object. */
  async refcount(hash: Hash, by: number): Promise<number> {
    const [id, head] = this.#head();
    const reply = await this.#ask(`2 ${id}`, message(1, head, hashField(3, hash), sint(4, by)));
    return numberOf(reply.fields, 2);
  }

  async read(hash: Hash, offset: number | bigint, size: number): Promise<{ status: number; data: Buffer }> {
    const [id, head] = this.#head();
    const reply = await this.#ask(
      `4 ${id}`,
      message(3, head, hashField(3, hash), uint(4, offset), uint(5, size)),
    );
    return { status: numberOf(reply.fields, 2), data: reply.data };
  }

  /** All of an object, part by part, as a client maps one into memory. */
  async readAll(hash: Hash): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let offset = 0; ; offset += PART) {
      const { status, data } = await this.read(hash, offset, PART);
      if (status !== S.ok) return undefined;
      parts.push(Buffer.from(data));
      if (data.length < PART) return Buffer.concat(parts);
    }
  }

  async objectInfo(hash: Hash): Promise<{ status: number; type?: number; size?: number }> {
    const [id, head] = this.#head();
    const { fields } = await this.#ask(`6 ${id}`, message(5, head, hashField(3, hash)));
    const status = numberOf(fields, 2);
    return status === S.ok ? { status, type: numberOf(fields, 3), size: numberOf(fields, 4) } : { status };
  }

  /** One part under a request's number. */
  async storePart(
    hash: Hash,
    part: { readonly id: number; readonly nr: number; readonly last: boolean; readonly data: Uint8Array },
    { expected, type, description }: StoreOptions = {},
  ): Promise<number> {
    const [, head] = this.#head(part.id);
    const rpc = message(
      7,
      head,
      hashField(3, hash),
      uint(4, part.nr),
      uint(5, part.last),
      uint(6, expected),
      uint(7, type),
      text(8, description),
    );
    const reply = await this.#ask(`9 ${part.id} ${part.nr}`, rpc, part.data);
    return numberOf(reply.fields, 2);
  }

  /** Stores an object and leaves it open once. @returns the first status that is not OK, or OK. */
  async store(hash: Hash, content: Uint8Array, options: StoreOptions = {}): Promise<number> {
    const id = options.id ?? this.takeId();
    for (let nr = 1; ; nr += 1) {
      const data = content.subarray((nr - 1) * PART, nr * PART);
      const last = nr * PART >= content.length;
      const status = await this.storePart(hash, { id, nr, last, data }, options);
      if (status !== S.ok || last) return status;
    }
  }

  /** Stores an object by its own hash and closes it. */
  async put(content: Uint8Array, options: StoreOptions = {}): Promise<Hash> {
    const hash = hashOf(content);
    assert.equal(await this.store(hash, content, options), S.ok);
    assert.equal(await this.refcount(hash, -1), S.ok);
    return hash;
  }

  async abort(hash: Hash, id: number): Promise<number> {
    const [, head] = this.#head(id);
    const { fields } = await this.#ask(`9 ${id} 0`, message(8, head, hashField(3, hash)));
    return numberOf(fields, 2);
  }

  async info(
    period?: number,
  ): Promise<{ status: number; size: number; used: number; pinned: number; shrinks: number }> {
    const [id, head] = this.#head();
    const { fields } = await this.#ask(`20 ${id}`, message(19, head, uint(3, period)));
    const [status, size, used, pinned] = [2, 3, 4, 5].map((field) => numberOf(fields, field)) as [
      number,
      number,
      number,
      number,
    ];
    const shrinks = Number(BigInt.asIntN(64, BigInt(fields.get(6)?.[0] as number | bigint)));
    return { status, size, used, pinned, shrinks };
  }

  async shrink(to: number | bigint): Promise<{ status: number; used: number }> {
    const [id, head] = this.#head();
    const { fields } = await this.#ask(`22 ${id}`, message(21, head, uint(3, to)));
    return { status: numberOf(fields, 2), used: numberOf(fields, 3) };
  }

  async listPart(
    listing: number,
    type: number,
  ): Promise<{
    status: number;
    id: number;
    last: boolean;
    objects: { digest: string; algorithm: number; pinned: boolean; description: string }[];
  }> {
    const [id, head] = this.#head();
    const { fields } = await this.#ask(`24 ${id}`, message(23, head, uint(3, listing), uint(4, type)));
    const objects = (fields.get(5) ?? []).map((value) => {
      const record = fieldsOf(value as Buffer);
      const hash = fieldsOf(bytesOfField(record, 1));
      return {
        algorithm: numberOf(hash, 1),
        digest: bytesOfField(hash, 2).toString("hex"),
        pinned: record.get(2)?.[0] === 1,
        description: String(record.get(3)?.[0] ?? ""),
      };
    });
    return { status: numberOf(fields, 2), id: numberOf(fields, 3), last: numberOf(fields, 4) === 1, objects };
  }

  async list(type: number): Promise<Awaited<ReturnType<PluginClient["listPart"]>>["objects"]> {
    const objects = [];
    for (let id = 0; ;) {
      const batch = await this.listPart(id, type);
      assert.equal(batch.status, S.ok);
      objects.push(...batch.objects);
      if (batch.last) return objects;
      id = batch.id;
    }
  }

  async storeBreadcrumb(
    fqrn: string,
    hash: Hash,
    timestamp: number | bigint,
    revision?: number | bigint,
  ): Promise<number> {
    const [id, head] = this.#head();
    const crumb = message(3, text(1, fqrn), hashField(2, hash), uint(3, timestamp), uint(4, revision));
    return numberOf((await this.#ask(`29 ${id}`, message(27, head, crumb))).fields, 2);
  }

  async loadBreadcrumb(fqrn: string): Promise<{
    status: number;
    fqrn?: string;
    digest?: string;
    algorithm?: number;
    timestamp?: bigint;
    revision?: bigint | undefined;
  }> {
    const [id, head] = this.#head();
    const { fields } = await this.#ask(`29 ${id}`, message(28, head, text(3, fqrn)));
    const status = numberOf(fields, 2);
    if (status !== S.ok) return { status };
    const crumb = fieldsOf(bytesOfField(fields, 3));
    const hash = fieldsOf(bytesOfField(crumb, 2));
    return {
      status,
      fqrn: String(crumb.get(1)?.[0]),
      digest: bytesOfField(hash, 2).toString("hex"),
      algorithm: numberOf(hash, 1),
      timestamp: BigInt(crumb.get(3)?.[0] as number | bigint),
      revision: crumb.has(4) ? BigInt(crumb.get(4)?.[0] as number | bigint) : undefined,
    };
  }

  /** A reload begins (1) or is over (-1). */
  ioctl(by: number): void {
    this.socket.write(frame(message(26, uint(1, this.session), sint(2, by))));
  }

  quit(): void {
    this.socket.write(frame(message(18, uint(1, this.session))));
  }

  /** Ends the connection, and waits until it has. */
  async close(): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }

  #head(id = this.takeId()): [id: number, head: Buffer] {
    return [id, Buffer.concat([uint(1, this.session), uint(2, id)])];
  }

  async #ask(key: string, rpc: Buffer, data?: Uint8Array): Promise<Reply> {
    const reply = new Promise<Reply | undefined>((resolve) => this.#waiting.set(key, resolve));
    this.socket.write(frame(rpc, data));
    const found = await reply;
    if (found === undefined) throw new Error("the connection was lost");
    return found;
  }

  #onReply(rpc: Buffer, data: Buffer): void {
    const [[kind, [body] = []] = [0]] = fieldsOf(rpc);
    const fields = fieldsOf(body as Buffer);
    if (kind === 25) {
      this.detaches += 1;
      return;
    }
    const key =
      kind === 17
        ? "17"
        : kind === 9
          ? `9 ${numberOf(fields, 1)} ${numberOf(fields, 3)}`
          : `${kind} ${numberOf(fields, 1)}`;
    const done = this.#waiting.get(key);
    assert.ok(done !== undefined, `a reply that nobody waits for: ${key}`);
    this.#waiting.delete(key);
    done({ kind, fields, data });
  }
}
