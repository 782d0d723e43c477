/**
 * All blocks by their worth: a policy of its own for each share of the capacity, and one answer to who goes next. Blocks
 * that are kept from culling are in none of them, but still count in their share. Files may have a rank: blocks of the
 * first go before all others, blocks of the last get a second turn when theirs has come.
 */
import type { SlotTable } from "../slots/slot-table.js";
import type { CullRank } from "../open-api.js";
import type { PolicyName } from "../policy-names.js";
import { inOrderOfUse, oldestVictim } from "./order-of-use.js";
import { HELD, type KeepBudget, type KeptLimits, KeptSlots, PINNED } from "./kept-slots.js";
import { type CullPolicy, type MayLeave, VICTIM_LOOKS_MAX } from "./policy.js";
import { Ranks } from "./ranks.js";
import type { RecentUses } from "./recent-uses.js";
import { NO_SHARE, Shares } from "./shares.js";
import { SlotShares } from "./slot-shares.js";

/** What sets a block apart from others of its share. */
export interface Standing {
  /** It is to be kept from culling, if the budget of pins allows. */
  readonly pinned?: boolean;
  /** Somebody has its file open. */
  readonly held?: boolean;
  /** `normal` unless given. */
  readonly rank?: CullRank;
}

export class Ranking {
  readonly #table: SlotTable;
  readonly #newPolicy: () => CullPolicy;
  readonly #newQueue: () => CullPolicy;
  #shares: Shares;
  #policies: readonly CullPolicy[];
  /** The only policy while there are no shares. */
  #only: CullPolicy | undefined;
  /** Undefined while there are no shares. */
  #slotShares: SlotShares | undefined;
  /** By share: blocks of the first rank, which the policies do not have. */
  #early: readonly CullPolicy[];
  readonly #ranks = new Ranks();
  readonly #kept: KeptSlots;
  /** Told of every use, and of every hit, while somebody wants to know. */
  recentUses: RecentUses | undefined;
  onUse: ((slot: number) => void) | undefined;

  /**
   * @param newPolicy makes an empty policy; a slot is in one of them at a time.
   * @param newQueue makes the orders of what no policy has: kept blocks, and those of the first rank; as newPolicy unless given.
   */
  constructor(
    table: SlotTable,
    newPolicy: () => CullPolicy,
    budget?: () => KeepBudget,
    newQueue: () => CullPolicy = newPolicy,
  ) {
    this.#table = table;
    this.#newPolicy = newPolicy;
    this.#newQueue = newQueue;
    this.#kept = new KeptSlots(newQueue(), budget);
    this.#shares = new Shares([], () => 0);
    this.#only = newPolicy();
    this.#policies = [this.#only];
    this.#early = [newQueue()];
  }

  get name(): PolicyName {
    return (this.#policies[0] as CullPolicy).name;
  }

  get shares(): Shares {
    return this.#shares;
  }

  /** What is kept from culling altogether, and how much more may be. */
  get kept(): KeptLimits {
    return this.#kept;
  }

  /** Sorts all blocks into other shares, in the order they have. */
  regroup(shares: Shares, shareOf: (slot: number) => number): void {
    // Typed arrays: an object for each of a million slots would be 80 MB.
    const order = new Uint32Array(this.#table.numbers);
    const kept = new Uint8Array(this.#table.numbers);
    let count = 0;
    for (const slot of this.order()) {
      order[count] = slot;
      kept[count] = (this.isPinned(slot) ? PINNED : 0) | (this.isHeld(slot) ? HELD : 0);
      count += 1;
    }
    this.#kept.clear();
    this.#shares = shares;
    this.#policies = Array.from({ length: shares.count }, this.#newPolicy);
    this.#early = Array.from({ length: shares.count }, this.#newQueue);
    this.#only = shares.count === 1 ? this.#policies[0] : undefined;
    this.#slotShares = shares.count === 1 ? undefined : new SlotShares(shares, this.#table.numbers);
    for (let place = 0; place < count; place += 1) {
      const slot = order[place] as number;
      const reasons = kept[place] as number;
      const standing = {
        pinned: (reasons & PINNED) !== 0,
        held: (reasons & HELD) !== 0,
        rank: this.#ranks.of(slot),
      };
      this.insert(slot, shareOf(slot), standing);
    }
    for (const policy of this.#policies) policy.restored();
  }

  /** Takes over what was in the order() of a ranking before this one; into an empty ranking. */
  restore(order: Uint32Array): void {
    if (this.#only?.insertAll !== undefined) this.#only.insertAll(order);
    else for (const slot of order) this.insert(slot);
    for (const policy of this.#policies) policy.restored();
  }

  /** A block was stored in this slot. */
  insert(slot: number, share: number = NO_SHARE, { pinned, held, rank = "normal" }: Standing = {}): void {
    this.#slotShares?.insert(slot, share, this.#table.pagesOf(slot));
    this.recentUses?.note(slot);
    this.#ranks.set(slot, rank);
    this.#policyOf(slot).insert(slot);
    if (pinned === true) this.pin(slot);
    if (held === true) this.hold(slot, rank);
  }

  /** A block of before this session was found in this slot. */
  insertUnused(slot: number, share: number): void {
    this.insert(slot, share);
    this.recentUses?.forget(slot);
  }

  /** As if the block in this slot had just been stored. */
  renew(slot: number): void {
    if (this.isKept(slot)) return;
    this.#policyOf(slot).remove(slot);
    this.#insertAgain(slot);
  }

  /** Keeps the block in this slot from culling. @returns false if the budget of pins does not allow it. */
  pin(slot: number): boolean {
    if (this.isPinned(slot)) return true;
    const pages = this.#table.pagesOf(slot);
    if (!this.#kept.mayPin(1, pages)) {
      this.#kept.notePinRefused();
      return false;
    }
    if (!this.isKept(slot)) this.#policyOf(slot).remove(slot);
    this.#kept.add(slot, PINNED, pages);
    return true;
  }

  /** Lets the block in this slot be culled again, as if it had just been used; unless somebody has its file open. */
  unpin(slot: number): void {
    if (this.#kept.drop(slot, PINNED)) this.#insertAgain(slot);
  }

  /** Keeps the block in this slot from culling while somebody has its file open, whatever the budget. */
  hold(slot: number, rank: CullRank): void {
    if (!this.isKept(slot)) this.#policyOf(slot).remove(slot);
    this.#ranks.set(slot, rank);
    this.#kept.add(slot, HELD, this.#table.pagesOf(slot));
  }

  /** Nobody has the file any more: its block can be culled again, as if it had just been used; unless it is pinned. */
  letGo(slot: number): void {
    if (this.#kept.drop(slot, HELD)) this.#insertAgain(slot);
  }

  /** Sets the rank of the block in this slot. */
  rank(slot: number, rank: CullRank): void {
    if (this.#ranks.of(slot) === rank) return;
    const kept = this.isKept(slot);
    const before = this.#policyOf(slot);
    this.#ranks.set(slot, rank);
    const after = this.#policyOf(slot);
    if (kept || after === before) return;
    before.remove(slot);
    after.insert(slot);
  }

  /** Whether the block in this slot is in no policy: it is pinned, or its file is open. */
  isKept(slot: number): boolean {
    return this.#kept.has(slot);
  }

  isHeld(slot: number): boolean {
    return this.#kept.has(slot, HELD);
  }

  isPinned(slot: number): boolean {
    return this.#kept.has(slot, PINNED);
  }

  /** The share that the block in this slot counts in. */
  shareOf(slot: number): number {
    return this.#slotShares?.of(slot) ?? NO_SHARE;
  }

  /** The block in this slot was hit. */
  touch(slot: number): void {
    this.recentUses?.note(slot);
    this.onUse?.(slot);
    if (this.isKept(slot)) {
      this.#kept.touch(slot);
      return;
    }
    this.#slotShares?.use(slot);
    this.#policyOf(slot).touch(slot);
    this.#ranks.used(slot);
  }

  /** The block in this slot takes so many pages from now on. */
  resize(slot: number, pages: number): void {
    this.#slotShares?.charge(slot, pages - this.#table.pagesOf(slot));
    this.#table.setPages(slot, pages);
  }

  /** The block left this slot, or was moved to another. */
  remove(slot: number): void {
    this.#discharge(slot);
    if (!this.#kept.drop(slot)) this.#policyOf(slot).remove(slot);
  }

  /** The victim in this slot leaves. */
  evict(slot: number): void {
    this.#discharge(slot);
    this.#policyOf(slot).evict(slot);
  }

  /** Who goes next: of shares over their maximum first, of those at their minimum last. */
  victim(mayLeave: MayLeave): number | undefined {
    return this.#inTurn(() => {
      if (this.#only !== undefined)
        return this.#early[NO_SHARE]?.victim(mayLeave) ?? this.#only.victim(mayLeave);
      return (
        this.#over(mayLeave, NO_SHARE, 0) ??
        this.#oldest(mayLeave, (share) => !this.#shares.isKept(share)) ??
        this.#oldest(mayLeave, () => true)
      );
    });
  }

  /** Who has to go so that no share is over its maximum, with so many pages more in one of them. */
  overVictim(mayLeave: MayLeave, share = NO_SHARE, pages = 0): number | undefined {
    if (this.#only !== undefined) return undefined;
    return this.#inTurn(() => this.#over(mayLeave, share, pages));
  }

  #over(mayLeave: MayLeave, share: number, pages: number): number | undefined {
    for (const over of this.#shares.over(share, pages)) {
      const inside = (other: number): boolean => this.#shares.isWithin(other, over);
      const slot =
        this.#oldest(mayLeave, (other) => inside(other) && !this.#shares.isKept(other)) ??
        this.#oldest(mayLeave, inside);
      if (slot !== undefined) return slot;
    }
    return undefined;
  }

  /** From the least to the most valuable; what is kept from culling comes last. */
  *order(): Generator<number> {
    // Generators within generators would take a second for four million slots.
    for (const slots of [...this.#cullable(), this.#kept.order()]) for (const slot of slots) yield slot;
  }

  /** What may be culled, from the least to the most valuable. */
  *cullable(): Generator<number> {
    for (const slots of this.#cullable()) for (const slot of slots) yield slot;
  }

  #cullable(): Array<Iterable<number>> {
    return [this.#early, this.#policies].map(([only, ...others]) =>
      others.length === 0
        ? (only as CullPolicy).order()
        : inOrderOfUse([only as CullPolicy, ...others], this.#usedBefore),
    );
  }

  /** Of the candidates of all shares that `wanted` allows, the one whose last use is longest ago; the first rank before others. */
  #oldest(mayLeave: MayLeave, wanted: (share: number) => boolean): number | undefined {
    return (
      oldestVictim(this.#early, this.#usedBefore, mayLeave, wanted) ??
      oldestVictim(this.#policies, this.#usedBefore, mayLeave, wanted)
    );
  }

  /** The first time that its turn comes, a block of the last rank counts as stored anew instead: so any policy will do. */
  #inTurn(choose: () => number | undefined): number | undefined {
    for (let spared = 0; ; spared += 1) {
      const slot = choose();
      if (slot === undefined || spared === VICTIM_LOOKS_MAX || !this.#ranks.isToBeSpared(slot)) return slot;
      this.#slotShares?.use(slot);
      this.#policyOf(slot).evict(slot);
      this.#policyOf(slot).insert(slot);
      this.#ranks.spare(slot);
    }
  }

  #discharge(slot: number): void {
    this.#slotShares?.charge(slot, -this.#table.pagesOf(slot));
  }

  /** The policy that a block which is not kept is in, by its share and rank. */
  #policyOf(slot: number): CullPolicy {
    if (this.#only !== undefined && !this.#ranks.any) return this.#only;
    const policies = this.#ranks.isFirst(slot) ? this.#early : this.#policies;
    return policies[this.shareOf(slot)] as CullPolicy;
  }

  #insertAgain(slot: number): void {
    this.#slotShares?.use(slot);
    this.#ranks.used(slot);
    this.#policyOf(slot).insert(slot);
  }

  readonly #usedBefore = (slot: number, other: number): boolean =>
    this.#slotShares?.usedBefore(slot, other) ?? false;
}
