/**
 * One lookup file, on its owner's side: made, changed in place, and closed for ever. What was taken out, and a closed
 * file, is seen by every reader who looks after the call, in whichever process. Nothing here leaves the event loop: a
 * change is a read and a write of one bucket, some 3 us.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { shownPath } from "../../index/core/own-files.js";
import type { Entry } from "../../index/entry.js";
import {
  BUCKET_BYTES,
  Bucket,
  HEADER_BYTES,
  NOTICES,
  type Noticed,
  bucketAt,
  bucketOf,
  encodeHeader,
  isLookup,
  setWithdrawals,
} from "./lookup-format.js";

const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = fs.constants;

export interface LookupFileOptions {
  /** Must not exist. */
  readonly path: string;
  readonly cacheId: Buffer;
  readonly epoch: number;
  readonly buckets: number;
  readonly mode: number;
}

export class LookupFile {
  readonly buckets: number;
  readonly device: bigint;
  readonly inode: bigint;
  readonly #fd: number;
  readonly #cacheId: Buffer;
  readonly #epoch: number;
  /** Below 2^63, so that every reader can name it. */
  readonly instance = randomBytes(8).readBigUInt64LE() >> 1n;
  readonly #bucket = new Bucket();
  /** The first word, its checksum, of each bucket as it was written last; 0 of one that was not. */
  readonly #sums: Uint32Array;
  #damaged = false;
  /** The header as it was written last. */
  #headerBytes: Buffer = Buffer.alloc(0);
  #latest: Noticed[] = [];
  #withdrawals = 0;
  #notices = 0;
  #open = true;
  #over = false;

  private constructor(fd: number, { cacheId, epoch, buckets }: LookupFileOptions) {
    this.#fd = fd;
    this.#cacheId = cacheId;
    this.#epoch = epoch;
    this.buckets = buckets;
    this.#sums = new Uint32Array(buckets);
    const facts = fs.fstatSync(fd, { bigint: true });
    this.device = facts.dev;
    this.inode = facts.ino;
  }

  /** Makes an empty, open file; its buckets take room on the drive when they are written. Errors are those of node:fs. */
  static create(options: LookupFileOptions): LookupFile {
    const fd = fs.openSync(options.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, options.mode);
    try {
      fs.fchmodSync(fd, options.mode);
      fs.ftruncateSync(fd, HEADER_BYTES + options.buckets * BUCKET_BYTES);
      const file = new LookupFile(fd, options);
      file.#writeHeader();
      return file;
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  get fileBytes(): number {
    return HEADER_BYTES + this.buckets * BUCKET_BYTES;
  }

  /** How many notices there were: what is said of a file's names holds as of this number. */
  get notices(): number {
    return this.#notices;
  }

  /** Whether readers may use it. */
  get open(): boolean {
    return this.#open && !this.#over;
  }

  /** Somebody else has changed it: what was taken out may have been out already, and readers were not told. */
  get damaged(): boolean {
    return this.#damaged;
  }

  /**
   * Whether what readers find under this name is still what was made and written here. Somebody else may have taken the
   * file away, cut it or overwritten it.
   */
  standsAt(path: string): boolean {
    try {
      const { dev, ino, size } = fs.lstatSync(path, { bigint: true });
      if (dev !== this.device || ino !== this.inode || size !== BigInt(this.fileBytes)) return false;
      const bytes = Buffer.alloc(HEADER_BYTES);
      return (
        fs.readSync(this.#fd, bytes, 0, HEADER_BYTES, 0) === HEADER_BYTES && bytes.equals(this.#header())
      );
    } catch {
      return false; // it is gone, or the drive failed on it
    }
  }

  /**
   * Shows where a block lies, in place of what was shown of it before. Errors are those of node:fs.
   * @throws {CacheError} E_IO, as remove and has, when it is `damaged`.
   */
  put(objectId: number, block: number, entry: Entry): void {
    const bucket = this.#read(objectId, block);
    const tookPlace = this.#bucket.put(objectId, block, entry);
    this.#write(bucket);
    if (tookPlace) this.#countWithdrawal();
  }

  /** Shows nothing of a block. Errors are those of node:fs. */
  remove(objectId: number, block: number): void {
    const bucket = this.#read(objectId, block);
    if (!this.#bucket.remove(objectId, block)) return;
    this.#write(bucket);
    this.#countWithdrawal();
  }

  has(objectId: number, block: number): boolean {
    this.#read(objectId, block);
    return this.#bucket.has(objectId, block);
  }

  /** Also for what others pushed out: it may change later, and is not found here then. */
  #countWithdrawal(): void {
    this.#withdrawals += 1;
    setWithdrawals(this.#headerBytes, this.#withdrawals);
    writeWhole(this.#fd, this.#headerBytes, 0);
  }

  /** Tells readers that what they know of these names may hold no more. Errors are those of node:fs. */
  note(noticed: Noticed): void {
    this.#notices += 1;
    this.#latest.push(noticed);
    if (this.#latest.length > NOTICES) this.#latest.shift();
    this.#writeHeader();
  }

  /** Keeps readers away for a while, or lets them in again. Errors are those of node:fs. */
  setOpen(open: boolean): void {
    if (this.#open === open) return;
    this.#open = open;
    this.#writeHeader();
  }

  /**
   * From here on no reader uses what is in it. Idempotent.
   * @throws {CacheError} E_IO when neither a word in its header nor cutting it short could be written: then slots that it
   * may still show must not get other tenants.
   */
  close(): void {
    if (this.#over) return;
    this.#open = false;
    try {
      this.#writeHeader();
    } catch {
      this.#cut();
    }
    this.#over = true;
    fs.closeSync(this.#fd);
  }

  #cut(): void {
    try {
      fs.ftruncateSync(this.#fd, 0);
    } catch (error) {
      const reason = errnoOf(error) ?? messageOf(error);
      throw new CacheError("E_IO", `Cannot close the lookup file: ${reason}`, { cause: error });
    }
  }

  /** @returns the number of its bucket. */
  #read(objectId: number, block: number): number {
    const bucket = bucketOf(objectId, block, this.buckets);
    const { bytes } = this.#bucket;
    const got = fs.readSync(this.#fd, bytes, 0, BUCKET_BYTES, bucketAt(bucket));
    if (got < BUCKET_BYTES) bytes.fill(0, got);
    if (!this.#bucket.isAsWritten(this.#sums[bucket] as number)) {
      this.#damaged = true;
      throw new CacheError(
        "E_IO",
        `Cannot use bucket ${bucket} of the lookup file: somebody else changed it`,
      );
    }
    return bucket;
  }

  #write(bucket: number): void {
    writeWhole(this.#fd, this.#bucket.bytes, bucketAt(bucket));
    this.#sums[bucket] = this.#bucket.sum;
  }

  #writeHeader(): void {
    this.#headerBytes = this.#header();
    writeWhole(this.#fd, this.#headerBytes, 0);
  }

  #header(): Buffer {
    return encodeHeader({
      cacheId: this.#cacheId,
      epoch: this.#epoch,
      instance: this.instance,
      buckets: this.buckets,
      open: this.#open,
      withdrawals: this.#withdrawals,
      notices: this.#notices,
      latest: this.#latest,
    });
  }
}

/**
 * Closes what an earlier owner left under this name, for readers who still have it open, and removes the name. What is no
 * lookup file gets another name beside it, and stays whole.
 * @returns that name. @throws {CacheError} E_IO.
 */
export function retireLookup(path: string): string | undefined {
  try {
    const aside = setForeignAside(path);
    if (aside !== undefined || !fs.existsSync(path)) return aside;
    const fd = fs.openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
    try {
      if (!isOurs(fd)) return setAside(path);
      writeWhole(fd, Buffer.alloc(HEADER_BYTES), 0);
    } finally {
      fs.closeSync(fd);
    }
    fs.unlinkSync(path);
    return undefined;
  } catch (error) {
    const reason = errnoOf(error) ?? messageOf(error);
    throw new CacheError("E_IO", `Cannot close ${shownPath(path)} of the last owner: ${reason}`, {
      cause: error,
    });
  }
}

/** Gives a directory, a link or whatever else is no plain file another name. @returns that. Errors are those of node:fs. */
export function setForeignAside(path: string): string | undefined {
  const stats = fs.lstatSync(path, { throwIfNoEntry: false });
  return stats === undefined || stats.isFile() ? undefined : setAside(path);
}

function setAside(path: string): string {
  const aside = `${path}.foreign-${randomBytes(4).toString("hex")}`;
  fs.renameSync(path, aside);
  return aside;
}

/** One that was cut, or overwritten already by an owner who died before it removed the name, is ours too. */
function isOurs(fd: number): boolean {
  const head = Buffer.alloc(HEADER_BYTES);
  fs.readSync(fd, head, 0, HEADER_BYTES, 0);
  return isLookup(head) || head.every((byte) => byte === 0);
}

function writeWhole(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length;) {
    const put = fs.writeSync(fd, bytes, done, bytes.length - done, at + done);
    if (put === 0) throw new CacheError("E_IO", "Cannot write the lookup file: the drive took no bytes");
    done += put;
  }
}
