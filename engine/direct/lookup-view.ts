/** A lookup file on a reader's side: looks at buckets and at the header, each a plain read of the page cache. */
import fs from "node:fs";
import type { Place } from "../direct-api.js";
import type { KnownNames } from "./known-names.js";
import {
  BUCKET_BYTES,
  HEADER_BYTES,
  HEADER_TAIL_AT,
  HEADER_TAIL_BYTES,
  type LookupHeader,
  decodeHeader,
} from "./lookup-format.js";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = fs.constants;
/** A header that was being written each time it was read so often: the owner writes without a pause, and can be asked. */
const LOOKS_MAX = 4;

/**
 * Opens a file or directory and makes sure that it is the one that is meant; undefined where that is missing, another, not
 * ours to read, or cannot be opened just now, for want of descriptors say: the owner can be asked. Never waits, for the
 * other end of a pipe that has the name here.
 */
export function openPlace(place: Place, kind: "file" | "directory"): number | undefined {
  let fd: number;
  try {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | (kind === "directory" ? O_DIRECTORY : 0);
    fd = fs.openSync(place.path, flags);
  } catch {
    return undefined;
  }
  if (isPlace(fd, place)) return fd;
  fs.closeSync(fd);
  return undefined;
}

function isPlace(fd: number, { device, inode }: Place): boolean {
  try {
    const { dev, ino } = fs.fstatSync(fd, { bigint: true });
    return dev === device && ino === inode;
  } catch {
    return false; // the drive failed on it
  }
}

export class LookupView {
  readonly buckets: number;
  readonly #fd: number;
  readonly instance: bigint;
  readonly epoch: number;
  /** The end of the header as it was when all of it was read last: its checksum, which no change leaves as it was. */
  readonly #seen = new Uint32Array(HEADER_TAIL_BYTES / 4);
  readonly #looked = Buffer.alloc(HEADER_BYTES);
  readonly #tail = new Uint32Array(HEADER_TAIL_BYTES / 4);
  readonly #tailBytes = Buffer.from(this.#tail.buffer);
  /** Told of what is noted; set before the first look. */
  names: KnownNames | undefined;
  /** Items taken out so far, as the last look at the header had it. */
  withdrawals: number;
  #over = false;
  #closed = false;

  private constructor(fd: number, header: LookupHeader, bytes: Buffer) {
    this.#fd = fd;
    this.withdrawals = header.withdrawals;
    this.#see(bytes);
    this.buckets = header.buckets;
    this.instance = header.instance;
    this.epoch = header.epoch;
  }

  /** Undefined when the file behind the descriptor is none of this cache, or closed; the descriptor is the view's then too. */
  static open(fd: number, cacheId: Buffer): { view: LookupView; notices: number } | undefined {
    const bytes = Buffer.alloc(HEADER_BYTES);
    const header = readHeader(fd, bytes);
    if (header !== undefined && header.open && header.buckets > 0 && header.cacheId.equals(cacheId)) {
      return { view: new LookupView(fd, header, bytes), notices: header.notices };
    }
    fs.closeSync(fd);
    return undefined;
  }

  /** What stands in it is of no more use; another one may have taken its place. */
  get over(): boolean {
    return this.#over;
  }

  /** @returns whether the bucket is there; whether its bytes are intact is for the caller to see. */
  readBucket(into: Buffer, at: number): boolean {
    if (this.#over) return false;
    try {
      if (fs.readSync(this.#fd, into, 0, BUCKET_BYTES, at) === BUCKET_BYTES) return true;
    } catch {
      // The drive failed on it: the owner can be asked, and a next view may do better.
    }
    this.#over = true;
    return false;
  }

  /** Looks at the header. @returns whether the file is still in use; what was noted, `names` has followed. */
  look(): boolean {
    if (this.#over) return false;
    try {
      const got = fs.readSync(this.#fd, this.#tailBytes, 0, HEADER_TAIL_BYTES, HEADER_TAIL_AT);
      if (got === HEADER_TAIL_BYTES && this.#isAsSeen()) return true;
    } catch {
      this.#over = true; // as above
      return false;
    }
    const bytes = this.#looked;
    const header = readHeader(this.#fd, bytes);
    if (header === undefined || !header.open || header.instance !== this.instance) {
      this.#over = true;
      return false;
    }
    this.withdrawals = header.withdrawals;
    this.names?.follow(header.notices, header.latest);
    this.#see(bytes);
    return true;
  }

  #see(header: Buffer): void {
    header.copy(Buffer.from(this.#seen.buffer), 0, HEADER_TAIL_AT);
  }

  #isAsSeen(): boolean {
    const seen = this.#seen;
    const tail = this.#tail;
    for (let word = 0; word < tail.length; word += 1) if (tail[word] !== seen[word]) return false;
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#over = true;
    fs.closeSync(this.#fd);
  }
}

function readHeader(fd: number, bytes: Buffer): LookupHeader | undefined {
  for (let looks = 0; looks < LOOKS_MAX; looks += 1) {
    try {
      if (fs.readSync(fd, bytes, 0, HEADER_BYTES, 0) < HEADER_BYTES) return undefined;
    } catch {
      return undefined; // the drive failed on it
    }
    const header = decodeHeader(bytes);
    if (header !== undefined) return header;
  }
  return undefined;
}
