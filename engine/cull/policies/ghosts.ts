/**
 * Identities of the blocks that left last, in a ring of 10 bytes a place. Whoever comes back leaves a gap in it. Identities
 * are 32-bit hashes, so that one in 4,000,000,000 is taken for another.
 */
import { IdentityTable, NO_PLACE } from "./identity-table.js";

const PLACES_MIN = 64;

export class Ghosts {
  #ring = new IdentityTable(0);
  /** Places ever taken; the next is this one, modulo the length of the ring. */
  #taken = 0;
  /** The oldest of them that may still hold a ghost. */
  #oldest = 0;

  /** Adds one; only the last `lastMax` that were added stay. */
  add(identity: number, lastMax: number): void {
    this.delete(identity);
    if (lastMax > this.#ring.places) this.#grow(lastMax);
    while (this.#taken > this.#oldest && this.#taken - this.#oldest >= lastMax) this.#dropOldest();
    if (lastMax < 1) return;
    this.#ring.set(this.#taken % this.#ring.places, identity);
    this.#taken += 1;
  }

  /** Takes one out. @returns whether it was there. */
  delete(identity: number): boolean {
    if (this.#taken === this.#oldest) return false;
    const place = this.#ring.find(identity);
    if (place === NO_PLACE) return false;
    this.#ring.vacate(place);
    return true;
  }

  clear(): void {
    this.#ring.clear();
    this.#oldest = this.#taken;
  }

  /** At a gap the ring does not find what stood there. */
  #dropOldest(): void {
    const place = this.#oldest % this.#ring.places;
    this.#oldest += 1;
    if (this.#ring.find(this.#ring.identityAt(place)) === place) this.#ring.vacate(place);
  }

  #grow(places: number): void {
    const ring = this.#ring;
    const larger = new IdentityTable(Math.max(places, PLACES_MIN, Math.floor(ring.places * 1.5)));
    for (let at = this.#oldest; at < this.#taken; at += 1) {
      const place = at % ring.places;
      const identity = ring.identityAt(place);
      if (ring.find(identity) === place) larger.set(at - this.#oldest, identity);
    }
    this.#ring = larger;
    this.#taken -= this.#oldest;
    this.#oldest = 0;
  }
}
