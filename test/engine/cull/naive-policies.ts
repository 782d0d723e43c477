/** Each policy once more, as a search through arrays: what the real ones have to agree with. */
import type { PolicyName } from "../../../engine/cache.js";
import type { MayLeave } from "../../../engine/cull/policy.js";

/** Of one block. */
interface Resident {
  readonly slot: number;
  readonly identity: number;
  hits: number;
}

export interface NaivePolicy {
  insert(slot: number, identity: number): void;
  touch(slot: number): void;
  victim(mayLeave: MayLeave): number | undefined;
  evict(slot: number): void;
  remove(slot: number): void;
}

function placeOf(queue: readonly Resident[], slot: number): number {
  return queue.findIndex((one) => one.slot === slot);
}

function takeOut(queue: Resident[], slot: number): Resident | undefined {
  const place = placeOf(queue, slot);
  return place < 0 ? undefined : queue.splice(place, 1)[0];
}

/** Oldest first; `moves` says whether a use makes a block the newest. */
class NaiveQueue implements NaivePolicy {
  readonly #queue: Resident[] = [];
  readonly #moves: boolean;

  constructor(moves: boolean) {
    this.#moves = moves;
  }

  insert(slot: number, identity: number): void {
    this.#queue.push({ slot, identity, hits: 0 });
  }

  touch(slot: number): void {
    if (this.#moves) this.#queue.push(takeOut(this.#queue, slot) as Resident);
  }

  victim(mayLeave: MayLeave): number | undefined {
    return this.#queue.find(({ slot }) => mayLeave(slot))?.slot;
  }

  evict(slot: number): void {
    takeOut(this.#queue, slot);
  }

  remove(slot: number): void {
    takeOut(this.#queue, slot);
  }
}

class NaiveSieve implements NaivePolicy {
  readonly #queue: Resident[] = [];
  #hand = 0;
  #left: Resident | undefined;

  insert(slot: number, identity: number): void {
    this.#queue.push({ slot, identity, hits: this.#left?.identity === identity ? 1 : 0 });
    this.#left = undefined;
  }

  touch(slot: number): void {
    (this.#queue[placeOf(this.#queue, slot)] as Resident).hits = 1;
  }

  victim(mayLeave: MayLeave): number | undefined {
    let refusals = 0;
    for (let at = this.#hand; refusals < this.#queue.length; at += 1) {
      const place = at % this.#queue.length;
      const one = this.#queue[place] as Resident;
      if (one.hits > 0) {
        one.hits = 0;
      } else if (mayLeave(one.slot)) {
        this.#hand = place;
        return one.slot;
      } else {
        refusals += 1;
      }
    }
    return undefined;
  }

  evict(slot: number): void {
    const place = placeOf(this.#queue, slot);
    this.#queue.splice(place, 1);
    if (place < this.#hand) this.#hand -= 1;
    if (this.#hand === this.#queue.length) this.#hand = 0;
  }

  remove(slot: number): void {
    this.#left = this.#queue[placeOf(this.#queue, slot)];
    this.evict(slot);
  }
}

class NaiveS3Fifo implements NaivePolicy {
  readonly #small: Resident[] = [];
  readonly #main: Resident[] = [];
  /** The identities of all that left unproven, in their order; undefined: it came back, or left again. */
  readonly #ghosts: Array<number | undefined> = [];
  #left: { readonly one: Resident; readonly queue: Resident[] } | undefined;

  get #count(): number {
    return this.#small.length + this.#main.length;
  }

  #smallMax(count: number): number {
    return Math.max(1, Math.floor(count / 10));
  }

  insert(slot: number, identity: number): void {
    const left = this.#left;
    this.#left = undefined;
    if (left?.one.identity === identity) {
      left.queue.push({ slot, identity, hits: Math.min(3, left.one.hits + 1) });
      return;
    }
    const ghost = this.#exorcise(identity);
    (ghost ? this.#main : this.#small).push({ slot, identity, hits: 0 });
  }

  touch(slot: number): void {
    const one = this.#find(slot);
    one.hits = Math.min(3, one.hits + 1);
  }

  victim(mayLeave: MayLeave): number | undefined {
    for (;;) {
      const small = this.#main.length === 0 || this.#small.length >= this.#smallMax(this.#count);
      const head = small ? this.#small[0] : this.#main[0];
      if (head === undefined) return undefined;
      if (head.hits < (small ? 2 : 1)) {
        const order = small ? [...this.#small, ...this.#main] : [...this.#main, ...this.#small];
        return order.find(({ slot }) => mayLeave(slot))?.slot;
      }
      takeOut(small ? this.#small : this.#main, head.slot);
      this.#main.push({ ...head, hits: small ? 0 : head.hits - 1 });
    }
  }

  evict(slot: number): void {
    const ghostsMax = this.#count - this.#smallMax(this.#count);
    const one = takeOut(this.#small, slot);
    if (one === undefined) {
      takeOut(this.#main, slot);
      return;
    }
    this.#exorcise(one.identity);
    this.#ghosts.push(one.identity);
    while (this.#ghosts.length > ghostsMax) this.#ghosts.shift();
  }

  remove(slot: number): void {
    const queue = placeOf(this.#small, slot) >= 0 ? this.#small : this.#main;
    this.#left = { one: takeOut(queue, slot) as Resident, queue };
  }

  #exorcise(identity: number): boolean {
    const place = this.#ghosts.indexOf(identity);
    if (place >= 0) this.#ghosts[place] = undefined;
    return place >= 0;
  }

  #find(slot: number): Resident {
    return [...this.#small, ...this.#main].find((one) => one.slot === slot) as Resident;
  }
}

const MAKERS: Readonly<Partial<Record<PolicyName, () => NaivePolicy>>> = {
  lru: () => new NaiveQueue(true),
  fifo: () => new NaiveQueue(false),
  sieve: () => new NaiveSieve(),
  s3fifo: () => new NaiveS3Fifo(),
};

export function naivePolicy(name: PolicyName): NaivePolicy | undefined {
  return MAKERS[name]?.();
}
