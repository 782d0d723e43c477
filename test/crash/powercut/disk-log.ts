/** The log of a recording disk, read back: writes, flushes and marks in the order in which they happened. */
import { readFileSync } from "node:fs";
import type { Mark } from "../promised/marks.js";

const HEAD_BYTES = 16;
const PAGE_BYTES = 4096;
/** Of an LMDB file: its first pages have this number behind their page head. */
const META_MAGIC = 0xbeefc0de;
const META_MAGIC_AT = 24;

export interface DiskWrite {
  readonly kind: "write";
  /** On the disk. */
  readonly offset: number;
  readonly bytes: Buffer;
}

export type LogRecord =
  | DiskWrite
  | { readonly kind: "flush" }
  | { readonly kind: "mark"; readonly mark: Mark };

/** @param bytesMax what of the file counts: what came later was not asked for by the load. */
export function readLog(file: string, bytesMax: number): LogRecord[] {
  const log = readFileSync(file).subarray(0, bytesMax);
  const records: LogRecord[] = [];
  for (let at = 0; at < log.length;) {
    const kind = String.fromCharCode(log[at] as number);
    const end = at + HEAD_BYTES + (log.length < at + HEAD_BYTES ? HEAD_BYTES : log.readUInt32LE(at + 4));
    if (end > log.length) break; // it was being written
    const bytes = log.subarray(at + HEAD_BYTES, end);
    if (kind === "W") records.push({ kind: "write", offset: Number(log.readBigUInt64LE(at + 8)), bytes });
    else if (kind === "F") records.push({ kind: "flush" });
    else if (kind === "M") records.push({ kind: "mark", mark: JSON.parse(bytes.toString()) as Mark });
    else throw new Error(`The log has a record of kind ${kind} at ${at}`);
    at = end;
  }
  return records;
}

/** Whether a meta page of an LMDB file is in what is written. */
export function hasMetaPage({ bytes }: DiskWrite): boolean {
  for (let at = 0; at + PAGE_BYTES <= bytes.length; at += PAGE_BYTES) {
    if (bytes.readUInt32LE(at + META_MAGIC_AT) === META_MAGIC) return true;
  }
  return false;
}

/** For each place in the log, how many writes the last flush before it has not made durable. */
export function unflushedAt(records: readonly LogRecord[]): Uint32Array {
  const counts = new Uint32Array(records.length);
  let count = 0;
  for (const [place, record] of records.entries()) {
    if (record.kind === "write") count += 1;
    else if (record.kind === "flush") count = 0;
    counts[place] = count;
  }
  return counts;
}
