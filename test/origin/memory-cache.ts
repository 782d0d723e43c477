/** A cache in memory, with the interface of the real one: as much of it as the directory origin uses. */
import type {
  AcquireCookieOptions,
  AcquireOutcome,
  BlockCache,
  ByteRange,
  BypassReason,
  CacheStatus,
  CookieHandle,
  CullReport,
  GetResult,
  PutResult,
  Tag,
  VolumeHandle,
} from "../../engine/api.js";
import type { NameBytes } from "../../index/core/names.js";
import { CacheError } from "../../index/core/errors.js";
import { SLOT_BYTES } from "../../index/core/layout.js";
import { nameText } from "../../index/core/names.js";

interface Content {
  coherency: string;
  sizeBytes: bigint;
  readonly blocks: Map<number, Buffer>;
}

export class MemoryCache implements BlockCache {
  readonly files = new Map<string, Content>();
  /** Every call by name, for tests that count round trips. */
  readonly calls: string[] = [];
  /** Set to make every write answer with a bypass, or every call fail. */
  bypass: BypassReason | undefined;
  failure: CacheError | undefined;
  epoch = 1;
  openCookies = 0;

  note(call: string): void {
    this.calls.push(call);
    if (this.failure !== undefined) throw this.failure;
  }

  async acquireVolume(fs: NameBytes, volume: NameBytes): Promise<VolumeHandle> {
    this.note("acquireVolume");
    const prefix = `${nameText(fs)}|${nameText(volume)}`;
    const { epoch } = this;
    return {
      outcome: "found",
      acquireCookie: async (inode, options = {}) => {
        if (epoch !== this.epoch) throw new CacheError("E_STALE", "Cannot acquire: the cache was wiped");
        return this.#acquire(`${prefix}|${nameText(inode)}`, options);
      },
      invalidate: async () => undefined,
      relinquish: async () => undefined,
    };
  }

  #acquire(key: string, options: AcquireCookieOptions): CookieHandle {
    this.note("acquireCookie");
    const coherency = nameText(options.coherency ?? "");
    const known = this.files.get(key);
    const outcome: AcquireOutcome =
      known === undefined ? "created" : known.coherency === coherency ? "found" : "invalidated";
    const sizeBytes = options.sizeBytes ?? 0n;
    const content =
      outcome === "found" && known !== undefined ? known : { coherency, sizeBytes, blocks: new Map() };
    this.files.set(key, content);
    this.openCookies += 1;
    return {
      outcome,
      sizeBytes,
      read: async (offsetBytes, lengthBytes) => this.#read(content, offsetBytes, lengthBytes),
      write: async (offsetBytes, bytes) => this.#write(content, offsetBytes, bytes),
      invalidate: async () => content.blocks.clear(),
      relinquish: async ({ retire = false } = {}) => {
        this.openCookies -= 1;
        if (retire) this.files.delete(key);
      },
    };
  }

  #read(content: Content, offsetBytes: bigint, lengthBytes: number) {
    this.note("read");
    const length = Math.min(lengthBytes, Number(content.sizeBytes - offsetBytes));
    const bytes = Buffer.alloc(length);
    const missing: ByteRange[] = [];
    for (let at = 0; at < length; at += SLOT_BYTES) {
      const block = content.blocks.get(Number(offsetBytes) / SLOT_BYTES + at / SLOT_BYTES);
      const wanted = Math.min(SLOT_BYTES, length - at);
      const last = missing.at(-1);
      if (block !== undefined) block.copy(bytes, at, 0, wanted);
      else if (
        last !== undefined &&
        last.offsetBytes + BigInt(last.lengthBytes) === offsetBytes + BigInt(at)
      ) {
        missing[missing.length - 1] = { ...last, lengthBytes: last.lengthBytes + wanted };
      } else missing.push({ offsetBytes: offsetBytes + BigInt(at), lengthBytes: wanted });
    }
    return { bytes, missing };
  }

  #write(content: Content, offsetBytes: bigint, bytes: Uint8Array) {
    this.note("write");
    if (this.bypass !== undefined) return { stored: [], bypass: this.bypass };
    for (let at = 0; at < bytes.length; at += SLOT_BYTES) {
      content.blocks.set(
        (Number(offsetBytes) + at) / SLOT_BYTES,
        Buffer.from(bytes.subarray(at, at + SLOT_BYTES)),
      );
    }
    return { stored: [{ offsetBytes, lengthBytes: bytes.length }] };
  }

  async has(tag: Tag): Promise<boolean> {
    this.note("has");
    const content = this.files.get(`${nameText(tag.fs)}|${nameText(tag.volume)}|${nameText(tag.inode)}`);
    return content?.blocks.has(tag.block) === true;
  }

  async get(): Promise<GetResult> {
    return { kind: "miss" };
  }

  async put(): Promise<PutResult> {
    return { kind: "bypass", reason: "no-space" };
  }

  async remove(): Promise<boolean> {
    return false;
  }

  async status(): Promise<CacheStatus> {
    throw new CacheError("E_OPERATION", "Cannot tell: this cache keeps no counts");
  }

  async cull(): Promise<CullReport> {
    return this.#refuse("cull");
  }

  readonly flush = async () => this.#refuse("flush");
  readonly list = async () => this.#refuse("list");
  readonly explain = async () => this.#refuse("explain");
  readonly pin = async () => this.#refuse("pin");
  readonly unpin = async () => this.#refuse("unpin");
  readonly pins = async () => this.#refuse("pins");

  #refuse(call: string): never {
    throw new CacheError("E_OPERATION", `Cannot ${call}: this cache keeps no counts`);
  }

  async wipe(): Promise<void> {
    this.epoch += 1;
    this.files.clear();
  }

  async close(): Promise<void> {}
}
