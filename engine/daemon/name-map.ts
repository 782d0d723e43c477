/** Something for each file, by the names of a tag; of a bounded size, and quick for callers who name the same volume again. */
import type { Tag } from "../api.js";
import { nameKey, volumeNameKey } from "../../index/core/names.js";

/** Beyond so many everything is forgotten and begins anew: what is used comes back first. */
export const NAMES_MAX = 32_768;

export class NameMap<Value extends { readonly valid: boolean }> {
  readonly #volumes = new Map<string, Map<string, Value>>();
  #count = 0;
  #lastFs: string | undefined;
  #lastVolume: string | undefined;
  #last: Map<string, Value> | undefined;

  /** What was set for these names and is still valid. */
  get({ fs, volume, inode }: Tag): Value | undefined {
    const files =
      fs === this.#lastFs && volume === this.#lastVolume
        ? this.#last
        : this.#volumes.get(volumeNameKey(fs, volume));
    if (files === undefined) return undefined;
    // Only text stays what it was.
    if (typeof fs === "string" && typeof volume === "string") {
      this.#lastFs = fs;
      this.#lastVolume = volume;
      this.#last = files;
    }
    const value = files.get(nameKey(inode));
    return value?.valid === true ? value : undefined;
  }

  /** @param onDrop told of every value that goes. */
  set({ fs, volume, inode }: Tag, value: Value, onDrop: (value: Value) => void): void {
    if (this.#count >= NAMES_MAX) {
      for (const files of this.#volumes.values()) for (const old of files.values()) onDrop(old);
      this.clear();
    }
    const key = volumeNameKey(fs, volume);
    let files = this.#volumes.get(key);
    if (files === undefined) this.#volumes.set(key, (files = new Map()));
    const name = nameKey(inode);
    const old = files.get(name);
    if (old === undefined) this.#count += 1;
    else onDrop(old);
    files.set(name, value);
  }

  clear(): void {
    this.#volumes.clear();
    this.#count = 0;
    this.#lastFs = undefined;
    this.#lastVolume = undefined;
    this.#last = undefined;
  }
}
