/** What a recording of accesses is made of: the values, and the numbers of its layout. Format: engine/FORMAT.md "Trace". */
import { SLOT_BYTES } from "../../index/core/layout.js";

/**
 * How an access ended. Of reads: `hit`, `miss`, `bypass` (trouble, so the reader went to the origin). Of writes: `stored`,
 * `refused`.
 */
export const TRACE_OUTCOMES = ["hit", "miss", "bypass", "stored", "refused"] as const;
export type TraceOutcome = (typeof TRACE_OUTCOMES)[number];

/** The file that an access names. One object for each file of a trace: it may be a key of a Map. */
export interface TraceFile {
  /** From 0, in the order in which the files came. */
  readonly number: number;
  readonly fs: Buffer;
  readonly volume: Buffer;
  readonly inode: Buffer;
}

/** One access of a block of a file. */
export interface TraceAccess {
  readonly file: TraceFile;
  /** 0-based number of a 256 KiB block, below 2^45. */
  readonly block: number;
  /** What was asked for, within the block: offsetBytes + lengthBytes is at most 262,144. A write has at least one byte. */
  readonly offsetBytes: number;
  readonly lengthBytes: number;
  readonly outcome: TraceOutcome;
  /** Microseconds since the recording began; never less than those of the access before. */
  readonly atMicros: number;
}

export function isRead(outcome: TraceOutcome): boolean {
  return outcome !== "stored" && outcome !== "refused";
}

export const TRACE_MAGIC = Buffer.from("tagtrace", "latin1");
export const TRACE_VERSION = 1;
/** Magic, u32 version, u32 zero, u64 milliseconds since 1970. */
export const HEADER_BYTES = 24;
/** u32 length of the payload, u32 its CRC-32. */
export const CHUNK_HEAD_BYTES = 8;
export const CHUNK_BYTES_MAX = 1024 * 1024;

export const BLOCK_BYTES = SLOT_BYTES;

/** The low three bits of a record's first byte. 0 to 4 are the places of TRACE_OUTCOMES. */
export const KIND_BITS = 0b111;
export const KIND_LOST = 5;
export const KIND_VOLUME = 6;
export const KIND_FILE = 7;
/** Further bits of an access: what it shares with the one before in its chunk, and that it is of the whole block. */
export const SAME_FILE = 0b1000;
export const NEXT_BLOCK = 0b1_0000;
export const WHOLE_BLOCK = 0b10_0000;
