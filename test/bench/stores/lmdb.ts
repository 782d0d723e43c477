/** Blocks as values in LMDB, in the library that tagcache keeps its index in. */
import path from "node:path";
import { open } from "lmdb";
import type { Store } from "./store.js";

const MAP_BYTES = 8 * 1024 ** 3;

export function lmdbStore(directory: string): Store {
  const database = open<Buffer, number>({
    path: path.join(directory, "blocks.lmdb"),
    encoding: "binary",
    mapSize: MAP_BYTES,
    noSync: true,
  });
  /** Copies from the map to one buffer of the library, which the next call overwrites. */
  const read = (index: number): Buffer | undefined => database.getBinaryFast(index);
  return {
    name: "lmdb",
    put: async (index, bytes) => void (await database.put(index, bytes)),
    get: (index, into) => read(index)?.length === into.length,
    range: (index, offsetBytes, into) => {
      const value = read(index);
      if (value === undefined) return false;
      value.copy(into, 0, offsetBytes, offsetBytes + into.length);
      return true;
    },
    close: () => database.close(),
  };
}
