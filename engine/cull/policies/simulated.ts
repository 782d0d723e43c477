/** A cache without bytes: which blocks a policy would have kept. For replayed traces, and as a shadow of a real cache. */
import { SlotLinks } from "../linked-slots.js";
import { SlotBytes } from "../slot-bytes.js";
import type { CullPolicy, PolicyParts } from "../policy.js";
import { IdentityTable, NO_PLACE } from "./identity-table.js";

const anyMayLeave = (): boolean => true;

export class SimulatedCache {
  readonly #policy: CullPolicy;
  readonly #table: IdentityTable;
  /** Slots given back when it was made smaller. */
  readonly #vacant: number[] = [];
  #slotsUsed = 0;
  #capacity: number;
  #count = 0;
  culled = 0;

  /** @param slotsMax what capacityBlocks may be raised to later. */
  constructor(
    newPolicy: (parts: PolicyParts) => CullPolicy,
    capacityBlocks: number,
    slotsMax: number = capacityBlocks,
  ) {
    const table = new IdentityTable(slotsMax);
    const links = new SlotLinks();
    this.#table = table;
    this.#capacity = capacityBlocks;
    this.#policy = newPolicy({ links, notes: new SlotBytes(), identityOf: (slot) => table.identityAt(slot) });
  }

  get count(): number {
    return this.#count;
  }

  /** Blocks beyond it leave at the next miss. */
  set capacityBlocks(blocks: number) {
    this.#capacity = Math.max(1, Math.min(blocks, this.#table.places));
  }

  /** A use of a block; a miss admits it. @returns whether it was a hit. */
  access(identity: number): boolean {
    const slot = this.#table.find(identity);
    if (slot !== NO_PLACE) {
      this.#policy.touch(slot);
      return true;
    }
    while (this.#count >= this.#capacity) this.#cull();
    const vacant = this.#vacant.pop() ?? this.#slotsUsed++;
    this.#table.set(vacant, identity);
    this.#count += 1;
    this.#policy.insert(vacant);
    return false;
  }

  /** Forgets the blocks that `gone` names. */
  removeWhere(gone: (identity: number) => boolean): void {
    const slots: number[] = [];
    for (const slot of this.#policy.order()) if (gone(this.#table.identityAt(slot))) slots.push(slot);
    for (const slot of slots) {
      this.#policy.remove(slot);
      this.#free(slot);
    }
  }

  #cull(): void {
    const slot = this.#policy.victim(anyMayLeave) as number; // there are blocks, and each may leave
    this.#policy.evict(slot);
    this.#free(slot);
    this.culled += 1;
  }

  #free(slot: number): void {
    this.#table.vacate(slot);
    this.#vacant.push(slot);
    this.#count -= 1;
  }
}
