/** The free space of the drive under the cache: other programs fill it too, so it stands above the cache's own budget. */
import fs from "node:fs";
import { PAGE_BYTES } from "../../index/core/layout.js";

/** Nothing new is allocated while the drive has less than this share of its bytes or inodes available. */
export const DRIVE_FREE_SHARE_MIN = 0.03;
/** After the drive said ENOSPC nothing new is allocated for this long. */
export const FULL_PAUSE_MS = 5000;
const LOOK_EVERY_MS = 500;

export interface DriveSpace {
  readonly totalBytes: number;
  readonly availableBytes: number;
  readonly totalInodes: number;
  readonly availableInodes: number;
}

/** What statfs(2) says of the file system that holds `path`; available means available to an ordinary user. */
export function driveSpace(path: string): DriveSpace {
  const stats = fs.statfsSync(path);
  return {
    totalBytes: stats.blocks * stats.bsize,
    availableBytes: stats.bavail * stats.bsize,
    totalInodes: stats.files,
    availableInodes: stats.ffree,
  };
}

export class Drive {
  readonly #look: () => DriveSpace;
  readonly #now: () => number;
  #space: DriveSpace | undefined;
  #lookedMs = 0;
  /** Granted since the last look, at which the drive may not have counted it yet. */
  #grantedBytes = 0;
  #grantedInodes = 0;
  #fullUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: { look: () => DriveSpace; now: () => number }) {
    this.#look = options.look;
    this.#now = options.now;
  }

  /** Whether `pages` more pages and `inodes` more files leave the drive above its floor. */
  allows(pages: number, inodes: number): boolean {
    const now = this.#now();
    if (now < this.#fullUntilMs) return false;
    if (this.#space === undefined || now - this.#lookedMs >= LOOK_EVERY_MS) {
      this.#lookedMs = now;
      this.#space = this.#tryLook();
      this.#grantedBytes = 0;
      this.#grantedInodes = 0;
    }
    if (this.#space === undefined) return false;
    const { totalBytes, availableBytes, totalInodes, availableInodes } = this.#space;
    const bytesLeft = availableBytes - this.#grantedBytes - pages * PAGE_BYTES;
    if (bytesLeft < totalBytes * DRIVE_FREE_SHARE_MIN) return false;
    // A file system without a fixed number of inodes says 0 of 0.
    return (
      totalInodes === 0 ||
      availableInodes - this.#grantedInodes - inodes >= totalInodes * DRIVE_FREE_SHARE_MIN
    );
  }

  /** A drive that does not even tell its space is given nothing more to hold. */
  #tryLook(): DriveSpace | undefined {
    try {
      return this.#look();
    } catch {
      this.noteFull();
      return undefined;
    }
  }

  granted(pages: number, inodes: number): void {
    this.#grantedBytes += pages * PAGE_BYTES;
    this.#grantedInodes += inodes;
  }

  /** The drive refused to allocate. */
  noteFull(): void {
    this.#fullUntilMs = this.#now() + FULL_PAUSE_MS;
  }
}
