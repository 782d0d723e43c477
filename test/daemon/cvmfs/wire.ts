/**
 * Protocol Buffers and frames of the CVMFS plugin protocol as its description gives them, written without the daemon's
 * own code: what both agree on is then likely right.
 */
import assert from "node:assert/strict";

/** An integer is a bigint where a number would not hold it. */
export type Value = number | bigint | Buffer;
/** Values by the number of their field, in the order in which they came. */
export type Fields = ReadonlyMap<number, readonly Value[]>;

const ONE_BYTE = Array.from({ length: 128 }, (_, value) => Buffer.of(value));

export function varint(value: number | bigint): Buffer {
  if (typeof value === "number" && value >= 0 && value < 128) return ONE_BYTE[value] as Buffer;
  const bytes: number[] = [];
  if (typeof value === "number" && value >= 0) {
    let left = value;
    for (; left > 0x7f; left = Math.floor(left / 128)) bytes.push((left % 128) | 0x80);
    bytes.push(left);
    return Buffer.from(bytes);
  }
  let left = BigInt.asUintN(64, BigInt(value));
  for (; left > 0x7fn; left >>= 7n) bytes.push(Number(left & 0x7fn) | 0x80);
  bytes.push(Number(left));
  return Buffer.from(bytes);
}

/** An integer or boolean; nothing where there is none. */
export function uint(field: number, value: number | bigint | boolean | undefined): Buffer {
  if (value === undefined) return Buffer.alloc(0);
  return Buffer.concat([varint(field * 8), varint(typeof value === "boolean" ? Number(value) : value)]);
}

/** Zig-zag. */
export function sint(field: number, value: number): Buffer {
  return uint(field, value < 0 ? BigInt(-value) * 2n - 1n : BigInt(value) * 2n);
}

export function text(field: number, value: string | Uint8Array | undefined): Buffer {
  if (value === undefined) return Buffer.alloc(0);
  const bytes = Buffer.from(value as string);
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

export function message(field: number, ...parts: readonly Buffer[]): Buffer {
  return text(field, Buffer.concat(parts));
}

export function fieldsOf(bytes: Buffer): Fields {
  const fields = new Map<number, Value[]>();
  let at = 0;
  const readVarint = (): number | bigint => {
    let small = 0;
    for (let place = 0, factor = 1; place < 7; place += 1, factor *= 128) {
      const byte = bytes[at] as number;
      assert.ok(at < bytes.length, "a varint ends");
      at += 1;
      small += (byte & 0x7f) * factor;
      if (byte < 0x80) return small;
    }
    let value = BigInt(small);
    for (let shift = 49n; ; shift += 7n) {
      const byte = bytes[at];
      assert.ok(byte !== undefined && shift < 70n, "a varint ends");
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
  };
  while (at < bytes.length) {
    const tag = Number(readVarint());
    const kind = tag & 7;
    let value: Value;
    if (kind === 0) value = readVarint();
    else if (kind === 2) {
      const length = Number(readVarint());
      value = bytes.subarray(at, at + length);
      assert.equal(value.length, length);
      at += length;
    } else {
      assert.equal(kind, 5, "no other kinds occur");
      value = bytes.readUInt32LE(at);
      at += 4;
    }
    const known = fields.get(tag >>> 3);
    if (known === undefined) fields.set(tag >>> 3, [value]);
    else known.push(value);
  }
  return fields;
}

export function numberOf(fields: Fields, field: number): number {
  const value = fields.get(field)?.[0];
  assert.ok(typeof value === "number" || typeof value === "bigint", `field ${field} is there`);
  return Number(value);
}

export function bytesOfField(fields: Fields, field: number): Buffer {
  const value = fields.get(field)?.[0];
  assert.ok(Buffer.isBuffer(value), `field ${field} is there`);
  return value;
}

/** A frame with a message, and with data if there is any. */
export function frame(rpc: Buffer, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const withData = data.length > 0;
  const head = Buffer.alloc(withData ? 6 : 4);
  head[0] = withData ? 0x81 : 1;
  head.writeUIntLE(rpc.length + data.length + (withData ? 2 : 0), 1, 3);
  if (withData) head.writeUInt16LE(rpc.length, 4);
  return Buffer.concat([head, rpc, data]);
}

const HEAD_BYTES = 4;

/** Cuts frames out of what comes. */
export class Frames {
  readonly #reuse: boolean;
  #head = Buffer.alloc(HEAD_BYTES);
  #memory = Buffer.alloc(0);
  /** The frame under way, once its length is known. */
  #frame: Buffer | undefined;
  #filled = 0;

  /** @param reuse a frame is valid until the next one comes; its memory is used again, as a client does that reads into its own. */
  constructor(reuse = false) {
    this.#reuse = reuse;
  }

  *push(chunk: Buffer): Generator<{ readonly rpc: Buffer; readonly data: Buffer }> {
    for (let at = 0; at < chunk.length;) {
      const whole = this.#reuse && this.#filled === 0 ? wholeFrame(chunk, at) : undefined;
      if (whole !== undefined) {
        at += whole.length;
        yield cut(whole);
        continue;
      }
      const target = this.#frame ?? this.#head;
      const take = Math.min(chunk.length - at, target.length - this.#filled);
      chunk.copy(target, this.#filled, at, at + take);
      this.#filled += take;
      at += take;
      if (this.#filled < target.length) return;
      if (this.#frame === undefined) {
        this.#frame = this.#take(HEAD_BYTES + this.#head.readUIntLE(1, 3));
        this.#head.copy(this.#frame);
        continue;
      }
      this.#frame = undefined;
      this.#filled = 0;
      yield cut(target);
    }
  }

  #take(bytes: number): Buffer {
    if (!this.#reuse) return Buffer.allocUnsafe(bytes);
    if (this.#memory.length < bytes) this.#memory = Buffer.allocUnsafeSlow(bytes);
    return this.#memory.subarray(0, bytes);
  }
}

/** The frame that begins at this place, if all of it is here. */
function wholeFrame(chunk: Buffer, at: number): Buffer | undefined {
  if (chunk.length - at < HEAD_BYTES) return undefined;
  const end = at + HEAD_BYTES + chunk.readUIntLE(at + 1, 3);
  return end <= chunk.length ? chunk.subarray(at, end) : undefined;
}

function cut(whole: Buffer): { readonly rpc: Buffer; readonly data: Buffer } {
  const withData = (whole[0] as number) === 0x81;
  assert.ok(withData || whole[0] === 1, `version byte ${whole[0]}`);
  const at = withData ? 6 : HEAD_BYTES;
  const rpcEnd = withData ? at + whole.readUInt16LE(4) : whole.length;
  return { rpc: whole.subarray(at, rpcEnd), data: whole.subarray(rpcEnd) };
}
