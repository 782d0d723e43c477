/** A cache whose calls stand between marks, so that whoever has the marks knows what was promised when. */
import {
  type OpenCacheOptions,
  type OwnedCache,
  SLOT_BYTES,
  type VolumeHandle,
  isCacheError,
  openCache,
} from "../../../engine/cache.js";
import { between, contentOf, seededRandom, someLength } from "../support.js";
import { BLOCKS, FILES, type Mark, type Operation, WORKERS, tagOf } from "./marks.js";

export const DROPS = ["remove", "invalidate", "coherency", "resize", "volume", "flush"] as const;
export type Drop = (typeof DROPS)[number];
type Cookie = Awaited<ReturnType<VolumeHandle["acquireCookie"]>>;

export const FILE_BYTES = BigInt(BLOCKS * SLOT_BYTES);
const PAGE_BYTES = 4096;

export interface MarkedCacheOptions {
  /** Must be made when it returns, whatever happens to the process. */
  readonly mark: (made: Mark) => void;
  readonly seed: number;
  /** Versions begin here, so that no two loads of a directory have the same. */
  readonly firstVersion: number;
  readonly cache: OpenCacheOptions;
}

export class MarkedCache {
  readonly mark: (made: Mark) => void;
  readonly random: () => number;
  readonly #options: OpenCacheOptions;
  /** Coherency data of each worker's files. */
  readonly #coherency: number[][];
  readonly #pinned = new Set<string>();
  #version: number;
  #open: OwnedCache | undefined;

  constructor({ mark, seed, firstVersion, cache }: MarkedCacheOptions) {
    this.mark = mark;
    this.random = seededRandom(seed);
    this.#options = cache;
    this.#version = firstVersion;
    const files = () => Array.from({ length: FILES }, () => firstVersion);
    this.#coherency = Array.from({ length: WORKERS }, files);
  }

  get cache(): OwnedCache {
    if (this.#open === undefined) throw new Error("The marked cache is not open");
    return this.#open;
  }

  /** @param tamper called once the coming start is marked. */
  async open(tamper?: () => Promise<void>): Promise<void> {
    this.mark({ kind: "opening" });
    await tamper?.();
    const cache = await openCache(this.#options);
    const { start, epoch } = await cache.status();
    const pins = (await cache.pins()).pins.map(({ inode }) => String(inode));
    this.#pinned.clear();
    for (const name of pins) this.#pinned.add(name);
    this.#open = cache;
    this.mark({ kind: "opened", start: start.kind, action: start.action, epoch, pins });
  }

  async close(): Promise<void> {
    this.mark({ kind: "closing" });
    await this.cache.close();
    this.mark({ kind: "closed" });
  }

  async wipe(): Promise<void> {
    this.mark({ kind: "wiping" });
    await this.cache.wipe();
    const { epoch } = await this.cache.status();
    this.mark({ kind: "wiped", epoch });
  }

  /** Files that another process knew by other coherency data are this one's from here on; to be called first. @returns false once the cache is closed. */
  async takeOver(worker: number): Promise<boolean> {
    for (let file = 0; file < FILES; file += 1) {
      if (!(await this.#changeCoherency(worker, file))) return false;
    }
    return true;
  }

  /** Puts some block. @returns false once the cache is closed. */
  put(worker: number, at: { readonly file?: number; readonly block?: number } = {}): Promise<boolean> {
    const { file = between(this.random, 0, FILES - 1), block = between(this.random, 0, BLOCKS - 1) } = at;
    const version = (this.#version += 1);
    const lengthBytes = someLength(this.random);
    const tag = tagOf({ worker, file, block });
    return this.#marked(worker, { what: "put", file, block, version, lengthBytes }, async () => {
      const answer = await this.cache.put(tag, contentOf(tag, version, lengthBytes));
      return answer.kind === "stored";
    });
  }

  /** Makes something stale, in one of all ways. @returns false once the cache is closed. */
  drop(worker: number, how: Drop): Promise<boolean> {
    const { random } = this;
    const [file, from] = [between(random, 0, FILES - 1), between(random, 0, BLOCKS - 1)];
    const { fs, volume, inode } = tagOf({ worker, file, block: from });
    const whole = { what: "drop", how, file, from: 0, end: BLOCKS, keptBytes: 0 } as const;
    const everything = { what: "drop", how, from: 0, end: BLOCKS, keptBytes: 0 } as const;
    switch (how) {
      case "remove":
        return this.#marked(worker, { ...whole, from, end: from + 1 }, () =>
          done(this.cache.remove({ fs, volume, inode, block: from })),
        );
      case "invalidate":
        return this.#marked(worker, whole, () => done(this.cache.invalidate({ fs, volume, inode })));
      case "volume":
        return this.#marked(worker, everything, () => done(this.cache.invalidate({ fs, volume })));
      case "flush":
        return this.#marked(worker, everything, () => done(this.cache.flush({ fs, volume })));
      case "coherency":
        (this.#coherency[worker] as number[])[file] = this.#version += 1;
        return this.#changeCoherency(worker, file);
      case "resize": {
        const keptBytes = between(random, 0, 1) * between(random, 1, 10) * PAGE_BYTES;
        return this.#marked(worker, { ...whole, from, keptBytes }, async () =>
          this.#withCookie(worker, file, async (cookie) => {
            await cookie.resize(BigInt(from * SLOT_BYTES + keptBytes));
            await cookie.resize(FILE_BYTES);
          }),
        );
      }
    }
  }

  /** Pins a name, or unpins it if it is pinned. @returns false once the cache is closed. */
  async togglePin(name: string): Promise<boolean> {
    const what = { fs: "cut", volume: "pins", inode: name };
    const stands = this.#pinned.has(name);
    this.mark({ kind: stands ? "unpinning" : "pinning", name });
    try {
      await (stands ? this.cache.unpin(what) : this.cache.pin(what));
    } catch (error) {
      if (isCacheError(error, "E_CLOSED")) return false; // it took effect or did not
      throw error;
    }
    this.mark({ kind: stands ? "unpinned" : "pinned", name });
    if (stands) this.#pinned.delete(name);
    else this.#pinned.add(name);
    return true;
  }

  #changeCoherency(worker: number, file: number): Promise<boolean> {
    const whole = { what: "drop", how: "coherency", file, from: 0, end: BLOCKS, keptBytes: 0 } as const;
    return this.#marked(worker, whole, () => this.#withCookie(worker, file, async () => undefined));
  }

  /** The file as its owner knows it. */
  async #withCookie(worker: number, file: number, body: (cookie: Cookie) => Promise<void>): Promise<boolean> {
    const { fs, volume, inode } = tagOf({ worker, file, block: 0 });
    const handle = await this.cache.acquireVolume(fs, volume);
    const coherency = Buffer.from(String(this.#coherency[worker]?.[file]));
    const cookie = await handle.acquireCookie(inode, { coherency, sizeBytes: FILE_BYTES });
    await body(cookie);
    await cookie.relinquish();
    await handle.relinquish();
    return true;
  }

  /** One call between its marks. @returns false once the cache is closed. */
  async #marked(worker: number, operation: Operation, call: () => Promise<boolean>): Promise<boolean> {
    this.mark({ kind: "begin", worker, operation });
    try {
      this.mark({ kind: "done", worker, worked: await call() });
      return true;
    } catch (error) {
      if (!isCacheError(error, "E_CLOSED")) throw error;
      this.mark({ kind: "done", worker, worked: false });
      return false;
    }
  }
}

async function done(call: Promise<unknown>): Promise<boolean> {
  await call;
  return true;
}
