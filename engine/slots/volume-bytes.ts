/**
 * Valid bytes of each volume, kept as slots change tenants. After a start they are counted in slices, so that a start
 * costs the same whatever the number of slots: until then changes of slots not yet counted are left out.
 */

/** Volume ids are given out one by one, so an array holds the sums, up to 8 MiB; of later ids a map does, which is slower. */
const DENSE_IDS_MAX = 2 ** 20;

export class VolumeBytes {
  #dense = new Float64Array(64);
  readonly #sparse = new Map<number, number>();
  /** Slots below it are counted. */
  #counted: number;

  /** @param counted how many slots from the first one on are in the sums already: all, Infinity, in an empty table. */
  constructor(counted: number) {
    this.#counted = counted;
  }

  /** Undefined until all slots are counted. */
  of(volumeId: number): number | undefined {
    if (!this.complete) return undefined;
    return (volumeId < DENSE_IDS_MAX ? this.#dense[volumeId] : this.#sparse.get(volumeId)) ?? 0;
  }

  get complete(): boolean {
    return this.#counted === Number.POSITIVE_INFINITY;
  }

  /** A slot gained, or lost, so many bytes of a volume. */
  change(slot: number, volumeId: number, bytes: number): void {
    if (slot < this.#counted && bytes !== 0) this.#add(volumeId, bytes);
  }

  /** No slot has a tenant any more. */
  clear(): void {
    this.#dense = new Float64Array(64);
    this.#sparse.clear();
    this.#counted = Number.POSITIVE_INFINITY;
  }

  /** Counts the next slots, `slotsMax` at most, of `numbers` that there are. @returns whether that was all. */
  countSome(
    numbers: number,
    slotsMax: number,
    volumeIdOf: (slot: number) => number,
    bytesOf: (slot: number) => number,
  ): boolean {
    const end = Math.min(numbers, this.#counted + slotsMax);
    // Neighbours are often of one volume.
    let volumeId = 0;
    let sum = 0;
    for (let slot = this.#counted; slot < end; slot += 1) {
      const bytes = bytesOf(slot);
      if (bytes === 0) continue;
      const id = volumeIdOf(slot);
      if (id !== volumeId) {
        this.#add(volumeId, sum);
        volumeId = id;
        sum = 0;
      }
      sum += bytes;
    }
    this.#add(volumeId, sum);
    this.#counted = end === numbers ? Number.POSITIVE_INFINITY : end;
    return this.complete;
  }

  #add(volumeId: number, bytes: number): void {
    if (bytes === 0) return;
    if (volumeId >= DENSE_IDS_MAX) {
      const sum = (this.#sparse.get(volumeId) ?? 0) + bytes;
      if (sum === 0) this.#sparse.delete(volumeId);
      else this.#sparse.set(volumeId, sum);
      return;
    }
    if (volumeId >= this.#dense.length)
      this.#dense = grown(this.#dense, new Float64Array(Math.min(DENSE_IDS_MAX, 2 * volumeId)));
    this.#dense[volumeId] = (this.#dense[volumeId] as number) + bytes;
  }
}

function grown(from: Float64Array, to: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> {
  to.set(from);
  return to;
}
