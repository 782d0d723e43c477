/**
 * Access traces as lines of text: `op,fs,volume,inode,offset_bytes,length_bytes`, with or without that line at the head. Op
 * is R or W; names are text without commas. A record that spans several blocks is one touch of each, in ascending order.
 */
import { CacheError } from "../../index/core/errors.js";
import { BLOCK_NUMBERS_MAX, SLOT_BYTES } from "../../index/core/layout.js";

const HEADER = "op,fs,volume,inode,offset_bytes,length_bytes";
const FIELDS = 6;
/** Longer lines are no records; names have 65,535 bytes at most. */
const LINE_BYTES_MAX = 256 * 1024;
/** 16 GiB: a longer record is a damaged one. */
const RECORD_BLOCKS_MAX = 65_536;
/** In what an error quotes. */
const QUOTED_MAX = 60;
const NEWLINE = 10;

export interface CsvRecord {
  /** fs, volume and inode as they stand in the line. */
  readonly file: string;
  readonly firstBlock: number;
  readonly lastBlock: number;
}

/** Takes text in pieces and hands on each record. @throws {CacheError} E_TRACE with the number of the line. */
export class CsvReader {
  readonly #onRecord: (record: CsvRecord) => void;
  #rest: Buffer = Buffer.alloc(0);
  #line = 0;

  constructor(onRecord: (record: CsvRecord) => void) {
    this.#onRecord = onRecord;
  }

  push(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let start = 0;
    for (let end = all.indexOf(NEWLINE); end >= 0; end = all.indexOf(NEWLINE, start)) {
      this.#take(all.toString("utf8", start, end));
      start = end + 1;
    }
    this.#rest = Buffer.from(all.subarray(start));
    if (this.#rest.length > LINE_BYTES_MAX)
      throw refused(this.#line + 1, "a line without an end", `at most ${LINE_BYTES_MAX} bytes`);
  }

  end(): void {
    if (this.#rest.length > 0) this.#take(this.#rest.toString("utf8"));
    this.#rest = Buffer.alloc(0);
  }

  #take(text: string): void {
    this.#line += 1;
    const line = text.endsWith("\r") ? text.slice(0, -1) : text;
    if (line === "" || (this.#line === 1 && line === HEADER)) return;
    this.#onRecord(recordOf(line, this.#line));
  }
}

function recordOf(line: string, number: number): CsvRecord {
  const fields = line.split(",");
  if (fields.length !== FIELDS) {
    throw refused(number, `${fields.length} fields (${quoted(line)})`, `${FIELDS}: ${HEADER}`);
  }
  const [op, fs, volume, inode, offset, length] = fields as [string, string, string, string, string, string];
  if (op !== "R" && op !== "W") throw refused(number, `op ${quoted(op)}`, "R or W");
  if (fs === "") throw refused(number, "no file system", "its name");
  const offsetBytes = bytesOf(offset, "offset", number);
  const lengthBytes = bytesOf(length, "length", number);
  const firstBlock = blockOf(offsetBytes);
  const lastBlock = blockOf(offsetBytes + Math.max(0, lengthBytes - 1));
  if (lastBlock >= BLOCK_NUMBERS_MAX) throw refused(number, `offset ${quoted(offset)}`, "less than 2^63");
  if (lastBlock - firstBlock >= RECORD_BLOCKS_MAX) {
    throw refused(number, `length ${quoted(length)}`, `at most ${RECORD_BLOCKS_MAX} blocks of 256 KiB`);
  }
  return { file: `${fs},${volume},${inode}`, firstBlock, lastBlock };
}

/** Numbers beyond 2^53 lose digits below the size of a block. */
function blockOf(bytes: number): number {
  return Math.floor(bytes / SLOT_BYTES);
}

function bytesOf(text: string, what: string, line: number): number {
  if (/^\d{1,19}$/.test(text)) return Number(text);
  throw refused(line, `${what} ${quoted(text)}`, "a whole number of bytes");
}

function quoted(text: string): string {
  return JSON.stringify(text.length > QUOTED_MAX ? `${text.slice(0, QUOTED_MAX)}…` : text);
}

function refused(line: number, found: string, wanted: string): CacheError {
  return new CacheError("E_TRACE", `line ${line}: ${found}, want ${wanted}`);
}
