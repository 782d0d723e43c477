/** Finds places by the identity of the block there: 4 bytes a place, and 6 bytes for a table of open addresses. */
import { mixed } from "../policy.js";

/** Cells for each place. */
const CELLS_A_PLACE = 1.5;
/** In a cell: nothing. Others hold a place and one. */
const NOTHING = 0;
const TWO_32 = 2 ** 32;

/** What find() answers when there is none. */
export const NO_PLACE = -1;

/** Places are 0 to places - 1; an identity is in at most one of them. */
export class IdentityTable {
  readonly places: number;
  readonly #identities: Uint32Array;
  readonly #cells: Uint32Array;

  constructor(places: number) {
    this.places = places;
    this.#identities = new Uint32Array(places);
    this.#cells = new Uint32Array(Math.ceil(places * CELLS_A_PLACE) + 1);
  }

  /** What was set at this place last, found there still or not. */
  identityAt(place: number): number {
    return this.#identities[place] as number;
  }

  find(identity: number): number {
    return (this.#cells[this.#cellOf(identity)] as number) - 1;
  }

  /** Sets an identity that is nowhere, at a place that holds none. */
  set(place: number, identity: number): void {
    this.#identities[place] = identity;
    this.#cells[this.#cellOf(identity)] = place + 1;
  }

  /** Makes the identity at this place be found no more, and moves those behind it up (Knuth 6.4, algorithm R). */
  vacate(place: number): void {
    const cells = this.#cells.length;
    let hole = this.#cellOf(this.identityAt(place));
    for (let cell = hole; ;) {
      cell = cell + 1 === cells ? 0 : cell + 1;
      const held = this.#cells[cell] as number;
      if (held === NOTHING) break;
      const home = this.#home(this.identityAt(held - 1));
      if (hole <= cell ? hole < home && home <= cell : hole < home || home <= cell) continue;
      this.#cells[hole] = held;
      hole = cell;
    }
    this.#cells[hole] = NOTHING;
  }

  clear(): void {
    this.#cells.fill(NOTHING);
  }

  /** The cell that holds this identity, else the one where it would be. */
  #cellOf(identity: number): number {
    const cells = this.#cells.length;
    let cell = this.#home(identity);
    for (;;) {
      const held = this.#cells[cell] as number;
      if (held === NOTHING || this.#identities[held - 1] === identity) return cell;
      cell = cell + 1 === cells ? 0 : cell + 1;
    }
  }

  /** Mixed once more: whoever samples by identity brings a part of them only. */
  #home(identity: number): number {
    return Math.floor((mixed(identity) / TWO_32) * this.#cells.length);
  }
}
