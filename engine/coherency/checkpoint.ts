/**
 * The checkpoint: slot table, recency and counters, written at a clean close so that a clean start reads one file
 * instead of walking index and slots. Never the truth: one that does not fit is as good as none. FORMAT.md "Checkpoint".
 */
import assert from "node:assert/strict";
import fs from "node:fs";
import os from "node:os";
import { crc32 } from "@node-rs/crc32";
import { errnoOf } from "../../index/core/errors.js";
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
  let bytes: Buffer;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    return `the checkpoint can't be read: ${errnoOf(error)}`;
  }
  if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, 8) !== MAGIC)
    return "the checkpoint has no header of ours";
  if (crc32(bytes.subarray(0, HEADER_CRC_AT)) !== bytes.readUInt32LE(HEADER_CRC_AT))
    return "the checkpoint's header is damaged";
  const count = bytes.readUInt32LE(8);
  const used = bytes.readUInt32LE(12);
  const body = bytes.subarray(HEADER_BYTES);
  if (count > SLOTS_MAX || body.length !== count * BYTES_A_SLOT + used * 4)
    return "the checkpoint has the wrong length";
  if (crc32(body) !== bytes.readUInt32LE(BODY_CRC_AT)) return "the checkpoint is damaged";
  const number = (place: number) => Number(bytes.readBigUInt64LE(24 + 8 * place));
  const take = arrayReader(body);
  const validBytes = take(Uint32Array, count);
  const ownerLow = take(Uint32Array, count);
  const volumeLow = take(Uint32Array, count);
  const blockLow = take(Uint32Array, count);
  const order = take(Uint32Array, used);
  const ownerHigh = take(Uint16Array, count);
  const volumeHigh = take(Uint16Array, count);
  const blockHigh = take(Uint16Array, count);
  const slots = {
    validBytes,
    ownerLow,
    volumeLow,
    blockLow,
    ownerHigh,
    volumeHigh,
    blockHigh,
    states: take(Uint8Array, count),
    pages: take(Uint8Array, count),
  };
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
  const seen = new Uint8Array(slots.states.length);
  let used = 0;
  for (const [slot, state] of slots.states.entries()) {
    if (state >= SLOT_STATES.length || state === STATE.filling || state === STATE.leaving)
      return "the checkpoint holds an unknown slot state";
    if ((slots.pages[slot] as number) > SLOT_PAGES || (slots.validBytes[slot] as number) > SLOT_BYTES)
      return "the checkpoint holds an impossible slot";
    if (state === STATE.used) used += 1;
  }
  for (const slot of order) {
    if (slots.states[slot] !== STATE.used || seen[slot] !== 0)
      return "the checkpoint's recency order does not fit its slots";
    seen[slot] = 1;
  }
  return used === order.length ? undefined : "the checkpoint's recency order is not whole";
}

type NumberArrays = Uint8Array | Uint16Array | Uint32Array;

function bytesOf(array: NumberArrays): Buffer {
  return Buffer.from(array.buffer, array.byteOffset, array.byteLength);
}

function arrayReader(
  body: Buffer,
): <T extends NumberArrays>(type: { new (length: number): T }, count: number) => T {
  let at = 0;
  return (type, count) => {
    const array = new type(count);
    body.copy(bytesOf(array), 0, at, at + array.byteLength);
    at += array.byteLength;
    return array;
  };
}
