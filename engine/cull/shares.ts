/**
 * Shares of the capacity by file system and volume: which share a volume counts in, how much each one has, and which are
 * over their maximum or not above their minimum. A volume with a rule of its own counts in its file system's rule too.
 */
import { PAGE_BYTES } from "../../index/core/layout.js";
import { nameBuffer, nameText } from "../../index/core/names.js";
import type { Explanation, ShareStatus } from "../api.js";
import type { ShareRule } from "../limits.js";

/** What has to be known of a volume to tell its share. */
export interface VolumeNames {
  readonly fs: Buffer;
  readonly volume: Buffer;
}

/** The share of volumes without a rule. */
export const NO_SHARE = 0;

interface Share {
  readonly rule: ShareRule;
  /** Number of the file system's share if this is a volume's, else NO_SHARE. */
  readonly parent: number;
  /** Pages of its blocks, those of volumes with shares of their own included. */
  pages: number;
}

/** Shares are numbered from 1, in the order of their rules. */
export class Shares {
  readonly #shares: readonly Share[];
  readonly #byName = new Map<string, number>();
  readonly #capacityBytes: () => number;

  constructor(rules: readonly ShareRule[], capacityBytes: () => number) {
    this.#capacityBytes = capacityBytes;
    for (const [place, rule] of rules.entries()) this.#byName.set(keyOf(rule.fs, rule.volume), place + 1);
    this.#shares = rules.map((rule) => {
      const parent = rule.volume === undefined ? NO_SHARE : (this.#byName.get(keyOf(rule.fs)) ?? NO_SHARE);
      return { rule, parent, pages: 0 };
    });
  }

  /** How many numbers there are, NO_SHARE included. */
  get count(): number {
    return this.#shares.length + 1;
  }

  /** The most special share that has a rule for this volume. */
  of({ fs, volume }: VolumeNames): number {
    if (this.#shares.length === 0) return NO_SHARE;
    return this.#byName.get(keyOf(fs, volume)) ?? this.#byName.get(keyOf(fs)) ?? NO_SHARE;
  }

  /** A block came (or, with negative pages, went). */
  charge(share: number, pages: number): void {
    for (let at = share; at !== NO_SHARE; at = this.#at(at).parent) this.#at(at).pages += pages;
  }

  /** Whether this share, or the file system's above it, would be over its maximum with so many pages more. */
  isOver(share: number, pages = 0): boolean {
    for (let at = share; at !== NO_SHARE; at = this.#at(at).parent) {
      const { rule, pages: held } = this.#at(at);
      if ((held + pages) * PAGE_BYTES > this.#bytes(rule.maxPercent ?? 100)) return true;
    }
    return false;
  }

  /** Whether this share, or the file system's above it, has no more than its minimum. */
  isKept(share: number): boolean {
    for (let at = share; at !== NO_SHARE; at = this.#at(at).parent) {
      const { rule, pages } = this.#at(at);
      if (rule.minPercent !== undefined && pages * PAGE_BYTES <= this.#bytes(rule.minPercent)) return true;
    }
    return false;
  }

  /** The shares that are over, or would be if `share` got so many pages more. */
  *over(share = NO_SHARE, pages = 0): Generator<number> {
    const grown = new Set<number>();
    for (let at = share; at !== NO_SHARE; at = this.#at(at).parent) grown.add(at);
    for (const [place, { rule, pages: held }] of this.#shares.entries()) {
      if (rule.maxPercent === undefined) continue;
      const then = held + (grown.has(place + 1) ? pages : 0);
      if (then * PAGE_BYTES > this.#bytes(rule.maxPercent)) yield place + 1;
    }
  }

  /** Whether blocks of `share` count in `other`. */
  isWithin(share: number, other: number): boolean {
    for (let at = share; at !== NO_SHARE; at = this.#at(at).parent) if (at === other) return true;
    return false;
  }

  /** A share by the names of its rule, and where it stands; undefined for NO_SHARE. */
  describe(share: number): Explanation["share"] {
    if (share === NO_SHARE) return undefined;
    const { rule } = this.#at(share);
    return {
      fs: nameText(rule.fs),
      ...(rule.volume !== undefined && { volume: nameText(rule.volume) }),
      state: this.isOver(share) ? "over" : this.isKept(share) ? "kept" : "between",
    };
  }

  status(): ShareStatus[] {
    return this.#shares.map(({ rule, pages }) => ({
      fs: nameText(rule.fs),
      ...(rule.volume !== undefined && { volume: nameText(rule.volume) }),
      ...(rule.minPercent !== undefined && { minBytes: Math.floor(this.#bytes(rule.minPercent)) }),
      ...(rule.maxPercent !== undefined && { maxBytes: Math.floor(this.#bytes(rule.maxPercent)) }),
      usedBytes: pages * PAGE_BYTES,
    }));
  }

  #at(share: number): Share {
    return this.#shares[share - 1] as Share;
  }

  #bytes(percent: number): number {
    return (this.#capacityBytes() * percent) / 100;
  }
}

/** A file system's name ends where no name goes on: U+0100 is in no latin1 text. */
function keyOf(fs: ShareRule["fs"], volume?: ShareRule["fs"]): string {
  const own = nameBuffer(fs).toString("latin1");
  return volume === undefined ? own : `${own}\u0100${nameBuffer(volume).toString("latin1")}`;
}
