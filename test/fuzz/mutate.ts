/** Makes bytes that are almost right: what was right is changed in a place or two, or put together anew. */

/** Numbers at which lengths and counts go wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] as const;
const CHANGES_MAX = 4;
const BYTES_MAX = 4096;

type Random = () => number;

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** One of the samples with some changes; now and then bytes that were never right. */
export function almost(random: Random, samples: readonly Buffer[]): Buffer {
  if (random() < 0.05) return noise(random, below(random, 64));
  let bytes = Buffer.from(samples[below(random, samples.length)] as Buffer);
  for (let left = 1 + below(random, CHANGES_MAX); left > 0; left -= 1)
    bytes = changed(random, bytes, samples);
  return bytes.subarray(0, BYTES_MAX);
}

function changed(
  random: Random,
  bytes: Buffer<ArrayBuffer>,
  samples: readonly Buffer[],
): Buffer<ArrayBuffer> {
  const at = below(random, bytes.length + 1);
  switch (below(random, 7)) {
    case 0: // a bit
      if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << below(random, 8));
      return bytes;
    case 1: // a byte
      if (at < bytes.length) bytes[at] = below(random, 256);
      return bytes;
    case 2: {
      // a number at its edges, in either order of bytes
      const edge = EDGES[below(random, EDGES.length)] as number;
      if (at + 4 > bytes.length) return bytes;
      if (random() < 0.5) bytes.writeUInt32LE(edge, at);
      else bytes.writeUInt32BE(edge, at);
      return bytes;
    }
    case 3: // an end too early
      return Buffer.from(bytes.subarray(0, at));
    case 4: // something that does not belong there
      return Buffer.concat([bytes.subarray(0, at), noise(random, 1 + below(random, 16)), bytes.subarray(at)]);
    case 5: {
      // the same once more
      const end = at + below(random, 16);
      return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
    }
    default: {
      // the head of one and the tail of another
      const other = samples[below(random, samples.length)] as Buffer;
      return Buffer.concat([bytes.subarray(0, at), other.subarray(below(random, other.length + 1))]);
    }
  }
}

function noise(random: Random, lengthBytes: number): Buffer<ArrayBuffer> {
  return Buffer.from(Array.from({ length: lengthBytes }, () => below(random, 256)));
}
