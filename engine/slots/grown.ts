/** Typed arrays by slot number grow as slots are made. */
type NumberArray = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** Copies `from` to the start of the longer `to`. */
export function grown<T extends NumberArray>(from: T, to: T): T {
  to.set(from);
  return to;
}
