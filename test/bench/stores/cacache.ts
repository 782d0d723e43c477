/** cacache: npm's own cache of content, which checks what it reads. */
import path from "node:path";
import { peerModule } from "./peer-modules.js";
import type { Store } from "./store.js";

interface Cacache {
  put(directory: string, key: string, bytes: Buffer): Promise<unknown>;
  get(directory: string, key: string): Promise<{ readonly data: Buffer }>;
}

/** @returns the store, or why there is none. */
export function cacacheStore(directory: string): Store | string {
  const found = peerModule<Cacache>("cacache");
  if (typeof found === "string") return found;
  const { module: cacache } = found;
  const place = path.join(directory, "cacache");
  const data = async (index: number): Promise<Buffer | undefined> => {
    try {
      return (await cacache.get(place, String(index))).data;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  };
  return {
    name: "cacache",
    put: async (index, bytes) => void (await cacache.put(place, String(index), bytes)),
    get: async (index, into) => (await data(index))?.length === into.length,
    /** It has no ranges: the whole content is read and checked. */
    range: async (index, offsetBytes, into) => {
      const bytes = await data(index);
      bytes?.copy(into, 0, offsetBytes, offsetBytes + into.length);
      return bytes !== undefined;
    },
    close: () => undefined,
  };
}
