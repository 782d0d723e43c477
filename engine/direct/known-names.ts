/** What a direct reader knows of names, until the owner notes that they may mean something else. */
import { OBJECT_IDS_MAX, SEQUENCES_MAX } from "../../index/core/layout.js";
import type { Resolution, StampedRange } from "../direct-api.js";
import type { Noticed } from "./lookup-format.js";

/** A file, as long as it is `valid`. */
export class Known {
  readonly objectId: number;
  readonly volumeId: number;
  readonly #stamp: number;
  readonly #ranges: readonly StampedRange[];
  valid = true;

  constructor({ objectId, volumeId, stamp, ranges }: Resolution) {
    this.objectId = objectId;
    this.volumeId = volumeId;
    this.#stamp = stamp;
    this.#ranges = ranges;
  }

  /** Entries of this block with a lower sequence number do not exist. */
  stampOf(block: number): number {
    if (this.#ranges.length === 0) return this.#stamp;
    let stamp = this.#stamp;
    for (const range of this.#ranges) {
      if (block >= range.firstBlock && block < range.endBlock) stamp = Math.max(stamp, range.stamp);
    }
    return stamp;
  }
}

export class KnownNames {
  readonly #byObject = new Map<number, Set<Known>>();
  readonly #instance: bigint;
  /** Notices followed so far. */
  #notices: number;
  #closed = false;

  /** @param as the lookup file by which names are followed, and how many notices it had. */
  constructor({ instance, notices }: Pick<Resolution, "instance" | "notices">) {
    this.#instance = instance;
    this.#notices = notices;
  }

  /** Takes up what the owner said; undefined when something was noted since that may be about it. */
  adopt(resolution: Resolution): Known | undefined {
    const { instance, notices } = resolution;
    if (this.#closed || instance !== this.#instance || notices < this.#notices) return undefined;
    if (!isSound(resolution)) return undefined;
    const known = new Known(resolution);
    const others = this.#byObject.get(known.objectId);
    if (others === undefined) this.#byObject.set(known.objectId, new Set([known]));
    else others.add(known);
    return known;
  }

  forget(known: Known): void {
    known.valid = false;
    const others = this.#byObject.get(known.objectId);
    others?.delete(known);
    if (others?.size === 0) this.#byObject.delete(known.objectId);
  }

  /** Follows the notices up to number `notices`, of which `latest` are the last. */
  follow(notices: number, latest: readonly Noticed[]): void {
    const fresh = notices - this.#notices;
    this.#notices = notices;
    if (fresh > latest.length) this.#forgetAll();
    else for (const noticed of fresh > 0 ? latest.slice(-fresh) : []) this.#forgetNoticed(noticed);
  }

  /** Nothing is known any more, and nothing taken up. */
  close(): void {
    this.#closed = true;
    this.#forgetAll();
  }

  #forgetNoticed(noticed: Noticed): void {
    if (noticed.kind === "all") this.#forgetAll();
    else if (noticed.kind === "object") {
      for (const known of this.#byObject.get(noticed.id) ?? []) this.forget(known);
    } else {
      for (const others of this.#byObject.values()) {
        for (const known of others) if (known.volumeId === noticed.id) this.forget(known);
      }
    }
  }

  #forgetAll(): void {
    for (const others of this.#byObject.values()) for (const known of others) known.valid = false;
    this.#byObject.clear();
  }
}

function isSound({ objectId, volumeId, stamp }: Resolution): boolean {
  return objectId < OBJECT_IDS_MAX && volumeId < OBJECT_IDS_MAX && stamp < SEQUENCES_MAX;
}
