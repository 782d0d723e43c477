/**
 * An open file or directory, with calls that wait where waiting is cheap.
 *
 * A call on the thread pool costs some forty microseconds, the same call made directly one or two. Once lstat has
 * brought an inode into memory, open, fstat and close on a local file system never wait for a drive, so they are made
 * directly there; on a network or in user space (FUSE) any of them may wait for ever, and goes to the pool. So do all
 * reads.
 */
import type { BigIntStats } from "node:fs";
import { close, closeSync, fstat, fstatSync, open, openSync, read } from "node:fs";
import { promisify } from "node:util";

const openAsync = promisify(open);
const closeAsync = promisify(close);
const readAsync = promisify(read);
const fstatAsync = promisify(fstat) as (
  descriptor: number,
  options: { bigint: true },
) => Promise<BigIntStats>;

export class Descriptor {
  readonly number: number;
  /** Whether calls other than read are made directly; set once the file system is known. */
  isLocal: boolean;

  private constructor(number: number, isLocal: boolean) {
    this.number = number;
    this.isLocal = isLocal;
  }

  /**
   * Opens a path.
   * @param isLocal it is known to lie on a local file system, with its inode in memory.
   * @throws the errno of open(2).
   */
  static async open(path: Buffer, flags: number, isLocal: boolean): Promise<Descriptor> {
    return new Descriptor(isLocal ? openSync(path, flags) : await openAsync(path, flags), isLocal);
  }

  async stat(): Promise<BigIntStats> {
    return this.isLocal
      ? fstatSync(this.number, { bigint: true })
      : await fstatAsync(this.number, { bigint: true });
  }

  /** Reads up to `length` bytes at `position`; 0 at the end of the file. */
  async read(into: Uint8Array, span: { offset: number; length: number; position: number }): Promise<number> {
    const { offset, length, position } = span;
    return (await readAsync(this.number, into, offset, length, position)).bytesRead;
  }

  /** To be called once. */
  async close(): Promise<void> {
    if (this.isLocal) closeSync(this.number);
    else await closeAsync(this.number);
  }
}
