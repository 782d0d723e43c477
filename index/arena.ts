/**
 * The bytes of one commit's values, used again for the next. A buffer for each value would lie outside of V8's heap and count
 * toward its next full collection all the same: a shrink of 500,000 blocks would bring on a dozen of them.
 */

/** What one commit in a thousand needs is not kept: 1,024 full records are 600 KB. */
const KEPT_BYTES_MAX = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

export class Arena {
  #chunk = Buffer.alloc(0);
  #usedBytes = 0;
  /** Taken since the last reset, in all chunks. */
  #takenBytes = 0;

  /** So many bytes of any content, the taker's own until reset(). */
  take(lengthBytes: number): Buffer {
    this.#takenBytes += lengthBytes;
    if (this.#usedBytes + lengthBytes > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, lengthBytes));
      this.#usedBytes = 0;
    }
    const bytes = this.#chunk.subarray(this.#usedBytes, this.#usedBytes + lengthBytes);
    this.#usedBytes += lengthBytes;
    return bytes;
  }

  /** What was taken is given out again; nobody may look at it any more. */
  reset(): void {
    const wantedBytes = Math.min(this.#takenBytes, KEPT_BYTES_MAX);
    if (wantedBytes > this.#chunk.length) this.#chunk = Buffer.allocUnsafeSlow(wantedBytes);
    this.#usedBytes = 0;
    this.#takenBytes = 0;
  }
}
