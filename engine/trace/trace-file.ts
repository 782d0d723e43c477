/** The file that a recording goes to: made anew, written behind the recorder's back, in order. */
import { type FileHandle, constants, open } from "node:fs/promises";
import path from "node:path";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";

/** Bytes that may wait for the drive before there is no room for more. */
const WAITING_BYTES_MAX = 4 * 1024 * 1024;

export class TraceFile {
  readonly #handle: FileHandle;
  readonly #onError: (error: unknown) => void;
  readonly #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #writing: Promise<void> | undefined;
  #failed = false;

  private constructor(handle: FileHandle, onError: (error: unknown) => void) {
    this.#handle = handle;
    this.#onError = onError;
  }

  /**
   * Makes the file; what exists is never written over.
   * @param onError called once, when the drive takes no more: nothing is written from then on.
   * @throws {CacheError} E_ARGUMENT for a path that is not absolute or exists, E_IO when it cannot be made.
   */
  static async create(place: string, onError: (error: unknown) => void): Promise<TraceFile> {
    if (!path.isAbsolute(place) || place.includes("\0")) {
      throw new CacheError("E_ARGUMENT", `Cannot record to ${JSON.stringify(place)}: want an absolute path`);
    }
    const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_APPEND } = constants;
    try {
      const handle = await open(place, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_APPEND, 0o600);
      return new TraceFile(handle, onError);
    } catch (cause) {
      const exists = errnoOf(cause) === "EEXIST";
      const reason = exists ? "it exists, want a file that does not" : (errnoOf(cause) ?? messageOf(cause));
      throw new CacheError(exists ? "E_ARGUMENT" : "E_IO", `Cannot record to ${place}: ${reason}`, { cause });
    }
  }

  get hasRoom(): boolean {
    return this.#waitingBytes < WAITING_BYTES_MAX;
  }

  /** Queues bytes, which must not change. */
  write(bytes: Buffer): void {
    if (this.#failed) return;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    this.#writing ??= this.#drain();
  }

  /** Resolves when everything is on the drive, or cannot be, and the file is closed. */
  async close(): Promise<void> {
    await this.#writing;
    if (!this.#failed) await this.#handle.datasync().catch(this.#fail);
    await this.#handle.close().catch(this.#fail);
  }

  async #drain(): Promise<void> {
    for (let bytes = this.#waiting.shift(); bytes !== undefined; bytes = this.#waiting.shift()) {
      try {
        await this.#handle.writeFile(bytes);
      } catch (error) {
        this.#fail(error);
      }
      this.#waitingBytes -= bytes.length;
    }
    this.#writing = undefined;
  }

  readonly #fail = (error: unknown): void => {
    if (this.#failed) return;
    this.#failed = true;
    this.#waiting.length = 0;
    this.#waitingBytes = 0;
    this.#onError(error);
  };
}
