/** Which block is worth least: the one small interface that the engine and the simulator ask. */
import type { PolicyName } from "../policy-names.js";
import type { SlotLinks } from "./linked-slots.js";
import type { SlotBytes } from "./slot-bytes.js";

/**
 * Told of every insertion, hit and departure; asked for victims. All calls are synchronous and O(1), victim() over all
 * calls together: what it puts off or promotes was paid for by a hit.
 */
export interface CullPolicy {
  readonly name: PolicyName;
  /** A block was stored in this slot. One that left another slot just before, by remove(), goes on as it stood. */
  insert(slot: number): void;
  /** insert() of each in turn at a fraction of the cost, where a policy can do that. */
  insertAll?(slots: Uint32Array): void;
  /** The block in this slot was hit. */
  touch(slot: number): void;
  /** The block that victim() named leaves its slot; a policy may remember its identity. */
  evict(slot: number): void;
  /** The block left this slot for another reason, or was moved to another. */
  remove(slot: number): void;
  /** The least valuable slot that `mayLeave` allows; looks at most at VICTIM_LOOKS_MAX that it does not. */
  victim(mayLeave: MayLeave): number | undefined;
  /** Slots from the least to the most valuable, for the checkpoint. */
  order(): Iterable<number>;
  /** All that was inserted so far came in the order() of another: takes over what follows from that. */
  restored(): void;
  clear(): void;
}

export type MayLeave = (slot: number) => boolean;

/** What a policy is made over. */
export interface PolicyParts {
  /** Shared by all lists of slots: a slot is in one of them at a time. */
  readonly links: SlotLinks;
  readonly notes: SlotBytes;
  /** 32 bits that tell the block in this slot from others, as long as it is there. */
  readonly identityOf: (slot: number) => number;
}

/** Blocks that may not leave (being read just now) are passed over; more than this many in a row means: none. */
export const VICTIM_LOOKS_MAX = 4096;
/** Blocks that one call of victim() puts off or promotes; then the next in turn goes all the same. */
export const VICTIM_STEPS_MAX = 65_536;

/** A slot number that no slot has. */
export const NOBODY = -1;

/** 32 bits of an object's id and a block's number, well mixed. Numbers below 2^53. */
export function blockIdentity(objectId: number, block: number): number {
  const low = (objectId ^ Math.imul(block, 0x9e3779b1)) >>> 0;
  const high = Math.floor(objectId / 2 ** 32) ^ Math.imul(Math.floor(block / 2 ** 32), 0x85ebca6b);
  return mixed(low ^ mixed(high ^ 0x27d4eb2f));
}

/** Spreads the bits of a number over 32 of them: the finalizer of MurmurHash3. */
export function mixed(value: number): number {
  let hash = value >>> 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
