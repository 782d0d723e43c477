/** The one sequence that generations and stamps share: 1, 2, 3 and so on, never twice in the life of a cache. */
import type { Noticed } from "./direct/lookup-format.js";

export class Sequence {
  /** The number that comes next. */
  next: number;
  /** The stamp of the latest invalidation: another number after every invalidation and every wipe of a session. */
  lastStamp = 0;
  readonly #onNotice: (noticed: Noticed) => void;

  /** @param onNotice told, before anybody else is, that names mean something else from now on. */
  constructor(next: number, onNotice: (noticed: Noticed) => void = () => undefined) {
    this.next = next;
    this.#onNotice = onNotice;
  }

  readonly take = (): number => {
    const number = this.next;
    this.next = number + 1;
    return number;
  };

  /** The next number, as the stamp of an invalidation of these names. */
  readonly takeStamp = (noticed: Noticed): number => {
    this.lastStamp = this.take();
    this.#onNotice(noticed);
    return this.lastStamp;
  };

  /** Nothing is invalidated, but what was known of these names holds no more: their size, who may read through a handle. */
  readonly note = (noticed: Noticed): void => this.#onNotice(noticed);
}
