/** Loaded states that nobody uses: they stay in memory up to a bound, beyond which the longest unused go. */
export class IdleStates<State extends { users: number }> implements Iterable<State> {
  readonly #max: number;
  readonly #drop: (state: State) => void;
  readonly #states = new Set<State>();

  /** @param drop takes a state out of memory, and out of here by `delete`. */
  constructor(max: number, drop: (state: State) => void) {
    this.#max = max;
    this.#drop = drop;
  }

  get size(): number {
    return this.#states.size;
  }

  /** The longest unused first. */
  [Symbol.iterator](): Iterator<State> {
    return this.#states.values();
  }

  /** One that was just loaded. */
  add(state: State): void {
    this.#states.add(state);
    for (const oldest of this.#states) {
      if (this.#states.size <= this.#max) break;
      this.#drop(oldest);
    }
  }

  delete(state: State): void {
    this.#states.delete(state);
  }

  /** Somebody uses it: it stays until letGo. */
  hold(state: State): void {
    state.users += 1;
    if (state.users === 1) this.#states.delete(state);
  }

  letGo(state: State): void {
    state.users -= 1;
    if (state.users === 0) this.#states.add(state);
  }
}
