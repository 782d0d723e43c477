/**
 * Descriptors of slot files that are open: a bounded number of them, the ones used lately. Clock replacement: a hand goes round
 * and closes the first that is idle and was not used since it last came by.
 */

export interface OpenSlot {
  readonly slot: number;
  readonly fd: number;
  /** Calls under way on the descriptor; it is not closed before they end. */
  users: number;
  /** Used since the clock hand last passed. */
  referenced: boolean;
  /** To be closed by its last user. */
  doomed: boolean;
}

export class DescriptorTable {
  readonly #max: number;
  readonly #close: (fd: number) => void;
  readonly #open = new Map<number, OpenSlot>();
  #ring: OpenSlot[] = [];
  #hand = 0;

  /** @param max how many are open at a time, unless more are in use. @param close must not throw. */
  constructor(max: number, close: (fd: number) => void) {
    this.#max = max;
    this.#close = close;
  }

  get size(): number {
    return this.#open.size;
  }

  get(slot: number): OpenSlot | undefined {
    return this.#open.get(slot);
  }

  /** Takes in the descriptor of a slot that has none here, and closes another one for it if need be. */
  admit(slot: number, fd: number): OpenSlot {
    const kept: OpenSlot = { slot, fd, users: 0, referenced: true, doomed: false };
    this.#open.set(slot, kept);
    // Reads on the spot may have gone past the bound while everything else was in use.
    if (this.#ring.length > this.#max) {
      for (const extra of this.#ring.filter((old) => old.users === 0)) this.#drop(extra);
    }
    if (this.#ring.length < this.#max || !this.#replaceOne(kept)) this.#ring.push(kept);
    return kept;
  }

  /** @returns false if everything is in use: over the bound for as long as that lasts. */
  #replaceOne(kept: OpenSlot): boolean {
    for (let looks = 0; looks < 2 * this.#ring.length; looks += 1) {
      this.#hand = (this.#hand + 1) % this.#ring.length;
      const old = this.#ring[this.#hand] as OpenSlot;
      if (old.users === 0 && !old.referenced) {
        this.#open.delete(old.slot);
        this.#ring[this.#hand] = kept;
        this.#close(old.fd);
        return true;
      }
      old.referenced = false;
    }
    return false;
  }

  /** Runs a call on a descriptor, which stays open meanwhile. */
  async use<T>(found: OpenSlot, body: (fd: number) => Promise<T>): Promise<T> {
    found.users += 1;
    found.referenced = true;
    try {
      return await body(found.fd);
    } finally {
      found.users -= 1;
      if (found.doomed && found.users === 0 && this.#open.get(found.slot) === found) this.#drop(found);
    }
  }

  /** Closes the slot's descriptor, once nobody uses it. */
  forget(slot: number): void {
    const found = this.#open.get(slot);
    if (found === undefined) return;
    if (found.users === 0) this.#drop(found);
    else found.doomed = true;
  }

  /** Closes every descriptor; nothing may be under way. */
  closeAll(): void {
    const open = [...this.#open.values()];
    this.#open.clear();
    this.#ring = [];
    for (const { fd } of open) this.#close(fd);
  }

  #drop(found: OpenSlot): void {
    this.#open.delete(found.slot);
    const place = this.#ring.indexOf(found);
    const last = this.#ring.pop();
    if (last !== undefined && last !== found) this.#ring[place] = last;
    this.#close(found.fd);
  }
}
