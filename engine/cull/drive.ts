/**
 * The drive under the cache: how much of it is free, and what that allows. Other programs fill it too, so it stands above
 * the cache's own budget. It is looked at in the background, never by a caller who waits: a sick drive may not answer.
 */
import { PAGE_BYTES } from "../../index/core/layout.js";
import type { DriveStatus } from "../api.js";
import type { DriveSpace } from "../drive-space.js";
import type { Thresholds } from "../limits.js";

import { driveSpace, lookAtDrive } from "../drive-space.js";

export { type DriveSpace, driveSpace, lookAtDrive } from "../drive-space.js";

/** After the drive said ENOSPC nothing new is allocated for this long. */
export const FULL_PAUSE_MS = 5000;
export const LOOK_EVERY_MS = 500;
/** Nothing new is allocated on a drive that has not told its space for so long. */
export const SILENT_MS_MAX = 10_000;

/** What the drive lacks to be above *run*; zeros when it is, or when it was never below *cull*. */
export interface Shortage {
  readonly pages: number;
  readonly inodes: number;
}

const ENOUGH: Shortage = { pages: 0, inodes: 0 };

export class Drive {
  readonly #look: () => Promise<DriveSpace>;
  readonly #thresholds: () => Thresholds;
  readonly #now: () => number;
  #space: DriveSpace;
  #lookedMs: number;
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /**
   * Allocated less given back since the last look. What was allocated before that may not show yet: what is allowed has to
   * be safe from that, what is culled has not.
   */
  #pages = 0;
  #inodes = 0;
  #pagesBefore = 0;
  #inodesBefore = 0;
  #fullUntilMs = Number.NEGATIVE_INFINITY;
  #cullingBytes = false;
  #cullingInodes = false;

  constructor(options: {
    readonly space: DriveSpace;
    readonly look: () => Promise<DriveSpace>;
    readonly thresholds: () => Thresholds;
    readonly now: () => number;
  }) {
    this.#look = options.look;
    this.#thresholds = options.thresholds;
    this.#now = options.now;
    this.#space = options.space;
    this.#lookedMs = options.now();
    this.#judge();
  }

  /** The drive that a directory lies on. */
  static under(
    directory: string,
    options: { readonly thresholds: () => Thresholds; readonly now: () => number },
  ): Drive {
    return new Drive({ ...options, space: driveSpace(directory), look: () => lookAtDrive(directory) });
  }

  /** Looks again and again until stop(); `onLook` is told after each time. */
  watch(onLook: () => void): void {
    const turn = (): void => void this.refresh().then(onLook); // refresh never rejects
    this.#timer ??= setInterval(turn, LOOK_EVERY_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Looks now; resolves when the drive has answered. One look at a time: a second caller shares the first one's. */
  refresh(): Promise<void> {
    this.#looking ??= this.#refresh().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** Whether `pages` more pages and `inodes` more files leave the drive at *stop* or above. */
  allows(pages: number, inodes: number): boolean {
    const now = this.#now();
    if (now < this.#fullUntilMs || now - this.#lookedMs > SILENT_MS_MAX) return false;
    const { bstop, fstop } = this.#thresholds();
    const { totalBytes, totalInodes } = this.#space;
    if (this.#bytesLeft(pages + this.#pagesBefore) < part(totalBytes, bstop)) return false;
    // A file system without a fixed number of inodes says 0 of 0.
    return totalInodes === 0 || this.#inodesLeft(inodes + this.#inodesBefore) >= part(totalInodes, fstop);
  }

  granted(pages: number, inodes: number): void {
    this.#pages += pages;
    this.#inodes += inodes;
  }

  /** Pages and files were given back to the drive. */
  released(pages: number, inodes: number): void {
    this.granted(-pages, -inodes);
    this.#judge();
  }

  /** The drive refused to allocate. */
  noteFull(): void {
    this.#fullUntilMs = this.#now() + FULL_PAUSE_MS;
  }

  /** What has to be given back so that culling for the drive's sake may end. */
  shortage(): Shortage {
    if (!this.#cullingBytes && !this.#cullingInodes) return ENOUGH;
    const { totalBytes, totalInodes } = this.#space;
    const { brun, frun } = this.#thresholds();
    const bytes = this.#cullingBytes ? part(totalBytes, brun) - this.#bytesLeft(0) : 0;
    const inodes = this.#cullingInodes ? part(totalInodes, frun) - this.#inodesLeft(0) : 0;
    return { pages: Math.max(0, Math.ceil(bytes / PAGE_BYTES)), inodes: Math.max(0, Math.ceil(inodes)) };
  }

  /** Thresholds have changed. */
  changed(): void {
    this.#judge();
  }

  status(): DriveStatus {
    const state = !this.allows(0, 0)
      ? "stopped"
      : this.#cullingBytes || this.#cullingInodes
        ? "culling"
        : "ok";
    return { state, ...this.#space };
  }

  async #refresh(): Promise<void> {
    const [pages, inodes] = [this.#pages, this.#inodes];
    try {
      this.#space = await this.#look();
      this.#lookedMs = this.#now();
    } catch {
      // A drive that does not even tell its space is given nothing more to hold once SILENT_MS_MAX has passed.
      return;
    }
    this.#pages -= pages;
    this.#inodes -= inodes;
    this.#pagesBefore = Math.max(0, pages);
    this.#inodesBefore = Math.max(0, inodes);
    this.#judge();
  }

  /** Culling begins below *cull* and ends at *run*. */
  #judge(): void {
    const { brun, bcull, frun, fcull } = this.#thresholds();
    const { totalBytes, totalInodes } = this.#space;
    const bytes = part(totalBytes, this.#cullingBytes ? brun : bcull);
    this.#cullingBytes = this.#bytesLeft(0) < bytes;
    const inodes = part(totalInodes, this.#cullingInodes ? frun : fcull);
    this.#cullingInodes = totalInodes > 0 && this.#inodesLeft(0) < inodes;
  }

  #bytesLeft(pages: number): number {
    return this.#space.availableBytes - (this.#pages + pages) * PAGE_BYTES;
  }

  #inodesLeft(inodes: number): number {
    return this.#space.availableInodes - this.#inodes - inodes;
  }
}

function part(total: number, percent: number): number {
  return (total * percent) / 100;
}
