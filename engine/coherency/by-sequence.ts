/** Slots in the order of their tenancies' numbers: the older, the less valuable. */

const BUCKETS = 65_536;

/**
 * Slots with a number, in ascending order of it as far as 65,536 buckets tell: two passes, where an exact sort of a million
 * would hold everybody up for a tenth of a second.
 * @param sequences by slot, 0 for none.
 */
export function bySequence(sequences: Float64Array): Uint32Array {
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  let count = 0;
  for (let slot = 0; slot < sequences.length; slot += 1) {
    const sequence = sequences[slot] as number;
    if (sequence === 0) continue;
    count += 1;
    if (sequence < least) least = sequence;
    if (sequence > most) most = sequence;
  }
  const scale = most > least ? (BUCKETS - 1) / (most - least) : 0;
  const bucketOf = (sequence: number): number => Math.floor((sequence - least) * scale);
  const starts = new Uint32Array(BUCKETS + 1);
  for (let slot = 0; slot < sequences.length; slot += 1) {
    const sequence = sequences[slot] as number;
    if (sequence !== 0) starts[bucketOf(sequence) + 1] = (starts[bucketOf(sequence) + 1] as number) + 1;
  }
  for (let bucket = 0; bucket < BUCKETS; bucket += 1)
    starts[bucket + 1] = (starts[bucket + 1] as number) + (starts[bucket] as number);
  const order = new Uint32Array(count);
  for (let slot = 0; slot < sequences.length; slot += 1) {
    const sequence = sequences[slot] as number;
    if (sequence === 0) continue;
    const bucket = bucketOf(sequence);
    const place = starts[bucket] as number;
    order[place] = slot;
    starts[bucket] = place + 1;
  }
  return order;
}
