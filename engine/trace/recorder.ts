/** Records accesses: names become numbers, records chunks, and chunks go to a sink until a bound. Format: engine/FORMAT.md "Trace". */
import { createHash } from "node:crypto";
import { TRACE_FILES_MAX } from "../trace-api.js";
import { TraceEncoder, traceHeader } from "./encoder.js";
import type { TraceOutcome } from "./format.js";

/** A file as the cache knows it, or has just been asked for. */
export interface TracedFile {
  readonly volume: { readonly fs: Buffer; readonly volume: Buffer };
  readonly inode: Buffer;
  /** The recorder's: which number it has given to the file; below its first one if it has given none. */
  traceNumber?: number;
}

/** An access without its names takes no more than this. */
const ACCESS_BYTES_MAX = 40;

export interface RecorderOptions {
  /** Takes the bytes in their order. */
  readonly write: (bytes: Buffer) => void;
  /** Whether it has room for more; accesses meanwhile are lost, and counted. */
  readonly hasRoom: () => boolean;
  /** Called once, when the bound is reached. */
  readonly onFull: (reason: string) => void;
  readonly bytesMax: number;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** When it begins, in milliseconds since 1970. */
  readonly startMs: number;
  /** Above every number that an earlier recorder has given to a file. */
  readonly firstNumber: number;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #encoder = new TraceEncoder();
  readonly #beganMs: number;
  /** By what their names digest to: only a file that was unloaded meanwhile, or is not known, is looked up here. */
  readonly #files = new Map<string, number>();
  readonly #volumes = new Map<string, number>();
  #bytes: number;
  #accesses = 0;
  #lost = 0;
  /** Of these the recording does not tell yet. */
  #untold = 0;
  #full = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#beganMs = options.now();
    const header = traceHeader(options.startMs);
    options.write(header);
    this.#bytes = header.length;
  }

  /** One more than the last number that was given to a file. */
  get endNumber(): number {
    return this.#options.firstNumber + this.#files.size;
  }

  get figures(): { bytes: number; accesses: number; files: number; lost: number } {
    const bytes = this.#bytes + this.#encoder.pendingBytes;
    return { bytes, accesses: this.#accesses, files: this.#files.size, lost: this.#lost };
  }

  /**
   * Notes one access, in the order of calls. At the bound it notes nothing more and calls onFull.
   * @param file its names are read before this returns; one object a file makes it quick.
   * @param block its 0-based number. @param offsetBytes within the block. @param lengthBytes as asked for.
   */
  // oxlint-disable-next-line max-params -- called for every access
  note(
    file: TracedFile,
    block: number,
    offsetBytes: number,
    lengthBytes: number,
    outcome: TraceOutcome,
  ): void {
    if (this.#full) return;
    const { firstNumber, bytesMax, now, hasRoom } = this.#options;
    if (!hasRoom()) {
      this.#lost += 1;
      this.#untold += 1;
      return;
    }
    const given = file.traceNumber ?? -1;
    const number = given >= firstNumber ? given - firstNumber : this.#numberOf(file);
    if (number === undefined) return;
    if (this.#bytes + this.#encoder.pendingBytes + ACCESS_BYTES_MAX > bytesMax) {
      this.#end(`it has ${bytesMax} bytes`);
      return;
    }
    const atMicros = Math.floor((now() - this.#beganMs) * 1000);
    if (this.#untold > 0) this.#encoder.lost(this.#untold);
    this.#untold = 0;
    this.#encoder.access(number, block, offsetBytes, lengthBytes, outcome, atMicros);
    this.#accesses += 1;
    if (this.#encoder.full) this.flush();
  }

  /** Hands over what is there. */
  flush(): void {
    const chunk = this.#encoder.take();
    if (chunk === undefined) return;
    this.#bytes += chunk.length;
    this.#options.write(chunk);
  }

  #end(reason: string): void {
    this.#full = true;
    this.flush();
    this.#options.onFull(reason);
  }

  /** Names the file if it was not yet. @returns undefined when there is no room for it. */
  #numberOf(file: TracedFile): number | undefined {
    const { fs, volume } = file.volume;
    const key = keyOf(fs, volume, file.inode);
    let number = this.#files.get(key);
    if (number === undefined) {
      if (this.#files.size === TRACE_FILES_MAX) {
        this.#end(`it names ${TRACE_FILES_MAX} files`);
        return undefined;
      }
      const nameBytes = fs.length + volume.length + file.inode.length + 2 * ACCESS_BYTES_MAX;
      if (this.#bytes + this.#encoder.pendingBytes + nameBytes > this.#options.bytesMax) {
        this.#end(`it has ${this.#options.bytesMax} bytes`);
        return undefined;
      }
      number = this.#files.size;
      this.#encoder.file(this.#volumeOf(fs, volume), file.inode);
      this.#files.set(key, number);
    }
    file.traceNumber = this.#options.firstNumber + number;
    return number;
  }

  #volumeOf(fs: Buffer, volume: Buffer): number {
    const key = keyOf(fs, volume);
    const known = this.#volumes.get(key);
    if (known !== undefined) return known;
    const number = this.#volumes.size;
    this.#encoder.volume(fs, volume);
    this.#volumes.set(key, number);
    return number;
  }
}

/** The same for the same names alone. */
function keyOf(...names: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const name of names) hash.update(`${name.length} `).update(name);
  return hash.digest("base64");
}
