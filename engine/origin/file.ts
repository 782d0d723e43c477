/** One opened file of the directory origin: what names it, what its content is worth, and its bytes. */
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { nameText } from "../../index/core/names.js";
import type { FileStamp } from "./coherency.js";
import { encodeCoherency, isRacy } from "./coherency.js";
import type { Descriptor } from "./descriptor.js";
import type { Mount } from "./mounts.js";
import type { SkipReason } from "./trouble.js";
import { originError } from "./trouble.js";

interface OriginFileFields {
  readonly path: Buffer;
  readonly descriptor: Descriptor;
  readonly mount: Mount | undefined;
  readonly stamp: FileStamp;
  readonly openedAtNs: bigint;
  readonly volume: Buffer;
  readonly inode: Buffer;
  readonly bypass?: SkipReason;
}

/** Holds a descriptor until close(). */
export class OriginFile {
  readonly kind = "file";
  readonly path: Buffer;
  readonly volume: Buffer;
  readonly inode: Buffer;
  /** Size at opening, by the fstat that the coherency data rests on. */
  readonly sizeBytes: bigint;
  readonly coherency: Buffer;
  /** Set when the file may be read but neither stored nor looked up. */
  readonly bypass: SkipReason | undefined;
  /** Its content is too young to be stored; looking it up is harmless. */
  readonly isRacy: boolean;
  readonly #descriptor: Descriptor;
  readonly #stamp: FileStamp;

  constructor(fields: OriginFileFields) {
    this.path = fields.path;
    this.volume = fields.volume;
    this.inode = fields.inode;
    this.sizeBytes = fields.stamp.size;
    this.coherency =
      fields.mount === undefined ? Buffer.alloc(0) : encodeCoherency(fields.mount, fields.stamp);
    this.bypass = fields.bypass;
    this.isRacy = isRacy(fields.stamp, fields.openedAtNs);
    this.#descriptor = fields.descriptor;
    this.#stamp = fields.stamp;
  }

  /** How many blocks of 256 KiB the file has. */
  get blocks(): number {
    return Number((this.sizeBytes + BigInt(SLOT_BYTES) - 1n) / BigInt(SLOT_BYTES));
  }

  /**
   * Reads from the origin until `into` is full or the file ends.
   * @returns how many bytes were read.
   * @throws {CacheError} E_IO with the errno in the cause, or for an offset of 2^53 and more, which Node cannot ask for.
   */
  async read(offsetBytes: bigint, into: Uint8Array): Promise<number> {
    if (offsetBytes + BigInt(into.length) > Number.MAX_SAFE_INTEGER) {
      throw new CacheError(
        "E_IO",
        `Cannot read ${nameText(this.path)} at ${offsetBytes}: want an offset below 2^53`,
      );
    }
    let done = 0;
    try {
      while (done < into.length) {
        const bytesRead = await this.#descriptor.read(into, {
          offset: done,
          length: into.length - done,
          // Node takes a bigint here for "wherever the descriptor stands".
          position: Number(offsetBytes) + done,
        });
        if (bytesRead === 0) break;
        done += bytesRead;
      }
    } catch (error) {
      throw originError("read", this.path, error);
    }
    return done;
  }

  /**
   * Whether the file is another than at opening, by a fresh fstat. Bytes that were read before a call that answers
   * false are those the coherency data stands for.
   */
  async hasChanged(): Promise<boolean> {
    try {
      return !this.isSame(await this.#descriptor.stat());
    } catch (error) {
      throw originError("read", this.path, error);
    }
  }

  /** Whether a stat shows the very file, in the very state, that was opened. */
  isSame(now: FileStamp): boolean {
    const was = this.#stamp;
    return (
      now.ino === was.ino &&
      now.size === was.size &&
      now.mtimeNs === was.mtimeNs &&
      now.ctimeNs === was.ctimeNs
    );
  }

  async close(): Promise<void> {
    await this.#descriptor.close();
  }
}
