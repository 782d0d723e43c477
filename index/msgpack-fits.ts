/**
 * Whether msgpack can have as many elements as it says. msgpackr makes room for all of an array before it reads the first
 * element, so a damaged count in a record of 40 bytes took 64 MiB, and a fifth of a second. Format: the msgpack specification.
 */
const LENGTH_BYTES = [1, 2, 4] as const;

/** Bytes behind the first one, of the types from 0xc0 on that have a fixed size; those with a length or a count are elsewhere. */
const FIXED_BYTES: ReadonlyMap<number, number> = new Map([
  [0xc0, 0], // nil, false, true
  [0xc2, 0],
  [0xc3, 0],
  [0xca, 4], // floating point
  [0xcb, 8],
  [0xcc, 1], // integers
  [0xcd, 2],
  [0xce, 4],
  [0xcf, 8],
  [0xd0, 1],
  [0xd1, 2],
  [0xd2, 4],
  [0xd3, 8],
  [0xd4, 2], // extensions, with their type
  [0xd5, 3],
  [0xd6, 5],
  [0xd7, 9],
  [0xd8, 17],
]);

/** @param bytes one value. @returns false where it would have to be longer, or has a byte that begins no value. */
export function fitsMsgpack(bytes: Buffer): boolean {
  let at = 0;
  for (let wanted = 1; wanted > 0; wanted -= 1) {
    if (wanted > bytes.length - at) return false; // each takes a byte at least
    const type = bytes[at] as number;
    at += 1;
    if (type < 0x80 || type >= 0xe0) continue;
    if (type < 0x90) wanted += 2 * (type & 0x0f);
    else if (type < 0xa0) wanted += type & 0x0f;
    else if (type < 0xc0) at += type & 0x1f;
    else if (FIXED_BYTES.has(type)) at += FIXED_BYTES.get(type) ?? 0;
    else {
      const lengthBytes = lengthBytesOf(type);
      if (lengthBytes === undefined || at + lengthBytes > bytes.length) return false;
      const length = bytes.readUIntBE(at, lengthBytes);
      at += lengthBytes;
      if (type >= 0xde) wanted += 2 * length;
      else if (type >= 0xdc) wanted += length;
      else at += type >= 0xc7 && type <= 0xc9 ? length + 1 : length;
    }
  }
  return at <= bytes.length;
}

/** Of binary, of an extension, of text, of an array and of a map. */
function lengthBytesOf(type: number): 1 | 2 | 4 | undefined {
  if (type >= 0xc4 && type <= 0xc9) return LENGTH_BYTES[(type - 0xc4) % 3];
  if (type >= 0xd9 && type <= 0xdb) return LENGTH_BYTES[type - 0xd9];
  if (type >= 0xdc) return LENGTH_BYTES[1 + ((type - 0xdc) % 2)];
  return undefined;
}
