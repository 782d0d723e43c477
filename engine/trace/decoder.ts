/** Reads the payload of a chunk of a trace. Pure; every number is checked. Format: engine/FORMAT.md "Trace". */
import { CacheError } from "../../index/core/errors.js";
import { BLOCK_NUMBERS_MAX, FS_NAME_BYTES_MAX, NAME_BYTES_MAX } from "../../index/core/layout.js";
import {
  BLOCK_BYTES,
  KIND_BITS,
  KIND_FILE,
  KIND_LOST,
  KIND_VOLUME,
  NEXT_BLOCK,
  SAME_FILE,
  TRACE_OUTCOMES,
  type TraceAccess,
  type TraceFile,
  type TraceOutcome,
  WHOLE_BLOCK,
} from "./format.js";

export class TraceDecoder {
  readonly #volumes: Array<{ readonly fs: Buffer; readonly volume: Buffer }> = [];
  readonly #files: TraceFile[] = [];
  #lost = 0;
  #bytes: Buffer = Buffer.alloc(0);
  #at = 0;

  /** Accesses that were not recorded, as far as this has come. */
  get lost(): number {
    return this.#lost;
  }

  get files(): number {
    return this.#files.length;
  }

  /** @returns the accesses of one chunk, in order. @throws {CacheError} E_TRACE. */
  decode(payload: Buffer): TraceAccess[] {
    this.#bytes = payload;
    this.#at = 0;
    const accesses: TraceAccess[] = [];
    let last: TraceAccess | undefined;
    while (this.#at < payload.length) {
      const first = payload[this.#at++] as number;
      const kind = first & KIND_BITS;
      const outcome = TRACE_OUTCOMES[kind];
      if (outcome !== undefined) accesses.push((last = this.#access(first, outcome, last)));
      else if (first === KIND_VOLUME) this.#volume();
      else if (first === KIND_FILE) this.#file();
      else if (first === KIND_LOST) this.#lost += this.#number(Number.MAX_SAFE_INTEGER);
      else throw malformed(`a record of kind ${first}`);
    }
    return accesses;
  }

  #access(first: number, outcome: TraceOutcome, last: TraceAccess | undefined): TraceAccess {
    if ((first & ~(KIND_BITS | SAME_FILE | NEXT_BLOCK | WHOLE_BLOCK)) !== 0) {
      throw malformed(`an access of kind ${first}`);
    }
    const atMicros = (last?.atMicros ?? 0) + this.#number(Number.MAX_SAFE_INTEGER);
    if (!Number.isSafeInteger(atMicros)) throw malformed("a time past all times");
    const file = first & SAME_FILE ? last?.file : this.#files[this.#number(this.#files.length)];
    if (file === undefined) throw malformed("a file that was not named");
    const next = (last?.block ?? -1) + 1;
    const block = first & NEXT_BLOCK ? next : this.#number(BLOCK_NUMBERS_MAX - 1);
    if (block >= BLOCK_NUMBERS_MAX) throw malformed(`block ${block}`);
    const whole = (first & WHOLE_BLOCK) !== 0;
    const offsetBytes = whole ? 0 : this.#number(BLOCK_BYTES);
    const lengthBytes = whole ? BLOCK_BYTES : this.#number(BLOCK_BYTES - offsetBytes);
    return { file, block, offsetBytes, lengthBytes, outcome, atMicros };
  }

  #volume(): void {
    const fs = this.#name(FS_NAME_BYTES_MAX);
    this.#volumes.push({ fs, volume: this.#name(NAME_BYTES_MAX) });
  }

  #file(): void {
    const volume = this.#volumes[this.#number(this.#volumes.length)];
    if (volume === undefined) throw malformed("a volume that was not named");
    this.#files.push({ number: this.#files.length, ...volume, inode: this.#name(NAME_BYTES_MAX) });
  }

  #name(bytesMax: number): Buffer {
    const end = this.#number(bytesMax) + this.#at;
    if (end > this.#bytes.length) throw malformed("a name that is cut off");
    const name = Buffer.from(this.#bytes.subarray(this.#at, end));
    this.#at = end;
    return name;
  }

  #number(max: number): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 128) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw malformed("a number that is cut off");
      value += (byte & 0x7f) * scale;
      if (byte >= 0x80) continue;
      if (value > max) throw malformed(`the number ${value}, want at most ${max}`);
      return value;
    }
    throw malformed("a number of more than 53 bits");
  }
}

function malformed(what: string): CacheError {
  return new CacheError("E_TRACE", `Cannot read the trace: it holds ${what}`);
}
