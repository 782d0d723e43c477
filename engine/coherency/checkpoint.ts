/**
 * The checkpoint: slot table, recency and counters, written at a clean close so that a clean start reads one file
 * instead of walking index and slots. Never the truth: one that does not fit is as good as none. FORMAT.md "Checkpoint".
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import { crc32 } from "@node-rs/crc32";
import { errnoOf } from "../../index/core/errors.js";
import { openOwnFile } from "../../index/core/own-files.js";
import { CACHE_ID_BYTES, SLOT_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import { type SlotArrays, SLOT_STATES, STATE } from "../slots/slot-table.js";
import { replaceFile } from "./durable-file.js";

export interface Checkpoint {
  readonly cacheId: Buffer;
  readonly epoch: number;
  /** Of the index, whose state this belongs to. */
  readonly transactionId: number;
  /** The same number stands in the state mark. */
  readonly checkpointId: number;
  readonly nextSequence: number;
  readonly nextObjectId: number;
  readonly nextVolumeId: number;
  readonly objects: number;
  readonly slots: SlotArrays;
  /** Used slots, the least valuable first. */
  readonly order: Uint32Array;
}

const MAGIC = "TAGCKPT2";
const HEADER_BYTES = 96;
const HEADER_CRC_AT = 92;
const BODY_CRC_AT = 88;
const BYTES_A_SLOT = 4 * 4 + 3 * 2 + 2;
const SLOTS_MAX = 2 ** 32 - 1;
const NAMED = 0xff;
/** By state: 1 where a clean stop leaves slots in it. */
const KEPT_STATES = Uint8Array.from(SLOT_STATES, (name) =>
  name === "filling" || name === "leaving" || name === "wiped" ? 0 : 1,
);

// The arrays are written as they lie in memory; x64 and arm64 are both little-endian.
assert.equal(os.endianness(), "LE");

/** Durable when it returns. */
export function writeCheckpoint(file: string, checkpoint: Checkpoint): void {
  const { slots, order } = checkpoint;
  const body = [
    slots.validBytes,
    slots.ownerLow,
    slots.volumeLow,
    slots.blockLow,
    order,
    slots.ownerHigh,
    slots.volumeHigh,
    slots.blockHigh,
    slots.states,
    slots.pages,
  ].map(bytesOf);
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 0, "latin1");
  header.writeUInt32LE(slots.states.length, 8);
  header.writeUInt32LE(order.length, 12);
  header.writeUInt32LE(checkpoint.epoch, 16);
  const numbers = [
    checkpoint.transactionId,
    checkpoint.checkpointId,
    checkpoint.nextSequence,
    checkpoint.nextObjectId,
    checkpoint.nextVolumeId,
    checkpoint.objects,
  ];
  for (const [place, value] of numbers.entries()) header.writeBigUInt64LE(BigInt(value), 24 + 8 * place);
  checkpoint.cacheId.copy(header, 72);
  let crc = 0;
  for (const part of body) crc = crc32(part, crc);
  header.writeUInt32LE(crc, BODY_CRC_AT);
  header.writeUInt32LE(crc32(header.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  replaceFile(file, [header, ...body]);
}

/** The checkpoint, or in words why there is none to use. */
export function readCheckpoint(file: string): Checkpoint | string {
  let fd: number | undefined;
  try {
    fd = openOwnFile(file);
    return fd === undefined ? "the checkpoint is no plain file of ours" : readFrom(fd);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return `the checkpoint can't be read: ${errnoOf(error)}`;
  } finally {
    if (fd !== undefined) fs.closeSync(fd);
  }
}

/** Straight into the arrays that will be used: at a million slots every copy would be 30 MB. */
function readFrom(fd: number): Checkpoint | string {
  const bytes = Buffer.alloc(HEADER_BYTES);
  const whole = fs.readSync(fd, bytes, 0, HEADER_BYTES, 0) === HEADER_BYTES;
  if (!whole || bytes.toString("latin1", 0, 8) !== MAGIC) return "the checkpoint has no header of ours";
  if (crc32(bytes.subarray(0, HEADER_CRC_AT)) !== bytes.readUInt32LE(HEADER_CRC_AT))
    return "the checkpoint's header is damaged";
  const count = bytes.readUInt32LE(8);
  const used = bytes.readUInt32LE(12);
  const bodyBytes = fs.fstatSync(fd).size - HEADER_BYTES;
  if (count > SLOTS_MAX || bodyBytes !== count * BYTES_A_SLOT + used * 4)
    return "the checkpoint has the wrong length";
  const number = (place: number) => Number(bytes.readBigUInt64LE(24 + 8 * place));
  const body = new BodyReader(fd);
  const validBytes = body.take(Uint32Array, count);
  const ownerLow = body.take(Uint32Array, count);
  const volumeLow = body.take(Uint32Array, count);
  const blockLow = body.take(Uint32Array, count);
  const order = body.take(Uint32Array, used);
  const ownerHigh = body.take(Uint16Array, count);
  const volumeHigh = body.take(Uint16Array, count);
  const blockHigh = body.take(Uint16Array, count);
  const states = body.take(Uint8Array, count);
  const pages = body.take(Uint8Array, count);
  if (body.crc !== bytes.readUInt32LE(BODY_CRC_AT)) return "the checkpoint is damaged";
  const owners = { ownerLow, ownerHigh, volumeLow, volumeHigh, blockLow, blockHigh };
  const slots = { validBytes, ...owners, states, pages };
  const wrong = inconsistency(slots, order);
  if (wrong !== undefined) return wrong;
  return {
    cacheId: Buffer.from(bytes.subarray(72, 72 + CACHE_ID_BYTES)),
    epoch: bytes.readUInt32LE(16),
    transactionId: number(0),
    checkpointId: number(1),
    nextSequence: number(2),
    nextObjectId: number(3),
    nextVolumeId: number(4),
    objects: number(5),
    slots,
    order,
  };
}

/** The recency order names each used slot once and nothing else; all values are in range. */
function inconsistency(slots: SlotArrays, order: Uint32Array): string | undefined {
  // Used slots that the order has named are marked here: one look for each, for the order jumps about in memory.
  const states = slots.states.slice();
  let used = 0;
  // No iterators here: they would leave garbage for every slot.
  for (let slot = 0; slot < slots.states.length; slot += 1) {
    const state = slots.states[slot] as number;
    if (state >= KEPT_STATES.length || KEPT_STATES[state] === 0)
      return "the checkpoint holds an unknown slot state";
    if ((slots.pages[slot] as number) > SLOT_PAGES || (slots.validBytes[slot] as number) > SLOT_BYTES)
      return "the checkpoint holds an impossible slot";
    if (state === STATE.used) used += 1;
  }
  for (let place = 0; place < order.length; place += 1) {
    const slot = order[place] as number;
    if (states[slot] !== STATE.used) return "the checkpoint's recency order does not fit its slots";
    states[slot] = NAMED;
  }
  return used === order.length ? undefined : "the checkpoint's recency order is not whole";
}

type NumberArrays = Uint8Array | Uint16Array | Uint32Array;

function bytesOf(array: NumberArrays): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

/** Reads array after array; the CRC runs along. What the file does not have stays zero, and fails the CRC. */
class BodyReader {
  readonly #fd: number;
  #at = HEADER_BYTES;
  crc = 0;

  constructor(fd: number) {
    this.#fd = fd;
  }

  take<T extends NumberArrays>(type: { new (length: number): T }, count: number): T {
    const array = new type(count);
    const bytes = bytesOf(array);
    for (let done = 0; done < bytes.length;) {
      const got = fs.readSync(this.#fd, bytes, done, bytes.length - done, this.#at + done);
      if (got === 0) break;
      done += got;
    }
    this.#at += bytes.length;
    this.crc = crc32(bytes, this.crc);
    return array;
  }
}
