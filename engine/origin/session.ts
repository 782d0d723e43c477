/** A cache and an origin together: the handles through which files of the origin are stored and looked up. */
import type { BlockCache, CookieHandle, Tag, VolumeHandle } from "../api.js";
import { isCacheError } from "../../index/core/errors.js";
import type { OriginFile } from "./file.js";
import type { Origin } from "./origin.js";
import { ORIGIN_FS } from "./origin.js";

/** How many look-ups of one file are on their way at a time. */
const LOOKUPS_IN_FLIGHT_MAX = 64;

/** `present[i]` says whether block `first + i` is cached. */
export interface PresenceGroup {
  readonly first: number;
  readonly present: readonly boolean[];
}

/** Keeps one volume handle a volume; close() gives them back and leaves the cache open. */
export class OriginSession {
  readonly cache: BlockCache;
  readonly origin: Origin;
  readonly #volumes = new Map<string, Promise<VolumeHandle>>();

  constructor(cache: BlockCache, origin: Origin) {
    this.cache = cache;
    this.origin = origin;
  }

  /**
   * Runs `work` with a cookie on a file, by the file's coherency data, and gives the cookie up after it.
   * @param options.keep false drops the file's record again if this call made it, for callers that only look.
   * @throws {CacheError} what acquiring, `work` or relinquishing throws.
   */
  async withCookie<Result>(
    file: OriginFile,
    options: { readonly keep: boolean },
    work: (cookie: CookieHandle) => Promise<Result>,
  ): Promise<Result> {
    const cookie = await this.#acquire(file);
    const retire = !options.keep && cookie.outcome === "created";
    try {
      const result = await work(cookie);
      await cookie.relinquish({ retire });
      return result;
    } catch (error) {
      // The first failure is the one to report; giving up the handle of a dead connection fails again.
      await cookie.relinquish({ retire }).catch(() => undefined);
      throw error;
    }
  }

  /** For each block of a file whether it is cached, in groups of neighbours. */
  async *presence(file: OriginFile, cookie: CookieHandle): AsyncGenerator<PresenceGroup> {
    for (let first = 0; first < file.blocks; first += LOOKUPS_IN_FLIGHT_MAX) {
      const blocks = Array.from(
        { length: Math.min(LOOKUPS_IN_FLIGHT_MAX, file.blocks - first) },
        (_, i) => first + i,
      );
      const isNew = cookie.outcome !== "found";
      const present = isNew
        ? blocks.map(() => false)
        : await Promise.all(blocks.map((block) => this.cache.has(tagOf(file, block))));
      yield { first, present };
    }
  }

  async close(): Promise<void> {
    for (const [name, volume] of this.#volumes) {
      this.#volumes.delete(name);
      try {
        await (await volume).relinquish();
      } catch (error) {
        // A wiped cache or a dead daemon has given them up already.
        if (!isCacheError(error)) throw error;
      }
    }
  }

  /** A wipe ends all handles; one more try with a fresh one tells a wipe from other trouble. */
  async #acquire(file: OriginFile): Promise<CookieHandle> {
    const options = { coherency: file.coherency, sizeBytes: file.sizeBytes };
    try {
      return await (await this.#volume(file.volume)).acquireCookie(file.inode, options);
    } catch (error) {
      if (!isCacheError(error, "E_STALE") && !isCacheError(error, "E_NOT_FOUND")) throw error;
      this.#volumes.delete(keyOf(file.volume));
      return await (await this.#volume(file.volume)).acquireCookie(file.inode, options);
    }
  }

  #volume(name: Buffer): Promise<VolumeHandle> {
    const key = keyOf(name);
    const held = this.#volumes.get(key);
    if (held !== undefined) return held;
    const acquired = this.cache.acquireVolume(ORIGIN_FS, name);
    this.#volumes.set(key, acquired);
    // A failure is for those who wait for it now; the next file tries again.
    acquired.catch(() => this.#volumes.delete(key));
    return acquired;
  }
}

function keyOf(name: Buffer): string {
  return name.toString("latin1");
}

function tagOf(file: OriginFile, block: number): Tag {
  return { fs: ORIGIN_FS, volume: file.volume, inode: file.inode, block };
}
