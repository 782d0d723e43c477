/**
 * The order of use and the free lists of an open cache, against the states of its slots. Lists are linked through one array,
 * so each slot's neighbours can be looked at by themselves, however large the cache is; a small one is walked whole, in one turn.
 */
import type { FreeLists } from "../cull/free-lists.js";
import type { SlotLinks } from "../cull/linked-slots.js";
import type { Ranking } from "../cull/ranking.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";

/** Slots that are walked in one turn: a millisecond or two. */
const WALKED_SLOTS_MAX = 32_768;

export interface OrdersParts {
  readonly table: SlotTable;
  readonly links: SlotLinks;
  readonly free: FreeLists;
  readonly ranking: Ranking;
}

/** What is wrong with a slot, in words. */
export interface Misplaced {
  readonly slot: number;
  readonly what: string;
}

export class Orders {
  readonly #parts: OrdersParts;

  constructor(parts: OrdersParts) {
    this.#parts = parts;
  }

  /** What is wrong with the place of this slot, whose state is used or free, in its list. */
  misplaced(slot: number): string | undefined {
    const { table, links } = this.#parts;
    const state = table.stateOf(slot);
    for (const neighbour of links.neighboursOf(slot)) {
      if (neighbour === undefined) continue;
      if (neighbour >= table.numbers || table.stateOf(neighbour) !== state)
        return `its neighbour ${neighbour} is of another state`;
      if (!links.neighboursOf(neighbour).includes(slot)) return `its neighbour ${neighbour} does not know it`;
    }
    return undefined;
  }

  /** Slots that are used and not in the order of use, twice there, or there and not used; none where there are too many to walk. */
  *unranked(): Generator<Misplaced> {
    const { ranking } = this.#parts;
    yield* this.#walk(() => ranking.order(), STATE.used);
  }

  /** The same of free slots and the free lists. */
  *unlisted(): Generator<Misplaced> {
    const { free } = this.#parts;
    yield* this.#walk(() => free.all(), STATE.free);
  }

  *#walk(listed: () => Iterable<number>, state: number): Generator<Misplaced> {
    const { table } = this.#parts;
    if (table.numbers > WALKED_SLOTS_MAX) return;
    const seen = new Uint8Array(table.numbers);
    for (const slot of listed()) {
      if (seen[slot] === 1) {
        yield { slot, what: "is there twice" };
        return; // a list that runs in a circle has no end
      }
      seen[slot] = 1;
      if (table.stateOf(slot) !== state) yield { slot, what: "is there and should not be" };
    }
    for (let slot = 0; slot < table.numbers; slot += 1) {
      if (table.stateOf(slot) === state && seen[slot] === 0) yield { slot, what: "is not there" };
    }
  }
}
