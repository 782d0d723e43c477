/** Flush, list, explain and pins of the model: as simple as can be, no budget and no slots. */
import type {
  AdminCalls,
  Explanation,
  FlushReport,
  ListEntry,
  ListPage,
  PageOptions,
  PinOptions,
  PinPage,
  PinReport,
  Selector,
} from "../../engine/admin-api.js";
import { LIST_ENTRIES_MAX } from "../../engine/admin-api.js";
import type { NameBytes, ScrubOptions, Tag, TrustCalls } from "../../engine/api.js";
import { checkScrub } from "../../engine/handle-arguments.js";
import { CacheError } from "../../index/core/errors.js";
import { checkBlock, checkFsName, checkName } from "../../index/core/names.js";
import { type Selection, checkSelector } from "../../index/core/selector.js";
import type { FileModel, Life } from "./memory-handles.js";
import { inodeKey, volumeKey } from "./memory-parts.js";

interface Found {
  readonly fs: Buffer;
  readonly volume: Buffer;
  readonly inode: Buffer;
  readonly file: FileModel;
}

type Pin = { readonly id: number; readonly selection: Selection; whole: boolean };

export abstract class MemoryAdmin implements AdminCalls, TrustCalls {
  #pins: Pin[] = [];
  #nextPin = 1;

  abstract get life(): Life;
  abstract enter(operation: string): Promise<void>;

  get pinCount(): number {
    return this.#pins.length;
  }

  noteWipe(): void {
    for (const pin of this.#pins) pin.whole = false;
  }

  unpinnedFiles(): FileModel[] {
    return this.#select({})
      .filter((found) => !this.#isPinned(found))
      .map(({ file }) => file);
  }

  async flush(what: Selector, options: { readonly dryRun?: boolean } = {}): Promise<FlushReport> {
    await this.enter("flush");
    const dropped = { blocks: 0, bytes: 0 };
    const skipped = { inUse: 0, pinned: 0, unsent: 0 };
    for (const found of this.#select(checkSelector(what))) {
      const { blocks, bytes } = sumOf(found.file);
      if (this.#isPinned(found)) {
        skipped.pinned += blocks;
        continue;
      }
      dropped.blocks += blocks;
      dropped.bytes += bytes;
      if (options.dryRun !== true) found.file.blocks.clear();
    }
    return { dropped, skipped };
  }

  async list(what: Selector, { after, limit }: PageOptions<NameBytes> = {}): Promise<ListPage> {
    await this.enter("list");
    const selection = checkSelector(what);
    checkLimit(limit);
    const { fs, volume } = selection;
    const part = fs === undefined ? "fs" : volume === undefined ? "volume" : "inode";
    const past =
      after === undefined ? undefined : part === "fs" ? checkFsName(after) : checkName(part, after);
    const entries = new Map<string, ListEntry>();
    const volumes = new Map<string, Set<string>>();
    for (const found of this.#select(selection)) {
      const name = found[part];
      const key = name.toString("hex");
      const { blocks, bytes } = sumOf(found.file);
      if (part === "inode" && blocks === 0) continue;
      const before = entries.get(key) ?? { name, blocks: 0, bytes: 0 };
      const seen = (volumes.get(key) ?? new Set()).add(found.volume.toString("hex"));
      volumes.set(key, seen);
      entries.set(key, {
        name,
        blocks: before.blocks + blocks,
        bytes: before.bytes + bytes,
        ...(part === "fs" && { volumes: seen.size }),
        ...(part === "inode" && { sizeBytes: found.file.sizeBytes }),
        ...(part !== "fs" && {
          pinned: this.#isPinned(part === "inode" ? found : { ...found, inode: undefined }),
        }),
      });
    }
    const sorted = [...entries.values()]
      .toSorted((a, b) => Buffer.compare(a.name, b.name))
      .filter(({ name }) => past === undefined || Buffer.compare(name, past) > 0);
    const page = sorted.slice(0, limit ?? LIST_ENTRIES_MAX);
    return { entries: page, more: page.length < sorted.length };
  }

  async explain(tag: Tag): Promise<Explanation> {
    await this.enter("explain");
    checkBlock(tag.block);
    const selection = checkSelector({ fs: tag.fs, volume: tag.volume, inode: tag.inode });
    const [found] = this.#select(selection);
    const block = found?.file.blocks.get(tag.block);
    const pinned = found !== undefined && this.#isPinned(found);
    const cached = block !== undefined;
    return {
      state: cached ? "cached" : "absent",
      victim: cached && !pinned,
      why: cached ? "the model says so" : "nothing is cached under this tag",
      inUse: false,
      pin: pinned ? "pinned" : "none",
    };
  }

  async pin(what: Selector, { refetched = false }: PinOptions = {}): Promise<PinReport> {
    await this.enter("pin");
    const selection = checkPin(what);
    const standing = this.#pins.find((pin) => isSame(pin.selection, selection));
    if (standing === undefined) {
      this.#pins.push({ id: this.#nextPin, selection, whole: true });
      this.#nextPin += 1;
    } else standing.whole ||= refetched;
    const sums = this.#select(selection).map(({ file }) => sumOf(file));
    return {
      added: standing === undefined,
      blocks: sums.reduce((sum, { blocks }) => sum + blocks, 0),
      bytes: sums.reduce((sum, { bytes }) => sum + bytes, 0),
    };
  }

  async unpin(what: Selector): Promise<{ readonly removed: number }> {
    await this.enter("unpin");
    const selection = checkSelector(what);
    const before = this.#pins.length;
    this.#pins = this.#pins.filter((pin) => {
      if (selection.volume !== undefined) return !isSame(pin.selection, selection);
      return selection.fs !== undefined && !pin.selection.fs?.equals(selection.fs);
    });
    return { removed: before - this.#pins.length };
  }

  /** What is in memory is what was stored. */
  async scrub(options: ScrubOptions = {}): Promise<void> {
    await this.enter("scrub");
    checkScrub(options);
  }

  async pins({ after = 0, limit }: PageOptions<number> = {}): Promise<PinPage> {
    await this.enter("pins");
    checkLimit(limit);
    if (!Number.isSafeInteger(after) || after < 0) throw refused(`after ${after}`);
    const left = this.#pins.filter(({ id }) => id > after);
    const page = left.slice(0, limit ?? LIST_ENTRIES_MAX);
    const pins = page.map(({ id, selection, whole }) => {
      const { fs = Buffer.alloc(0), volume = Buffer.alloc(0), ...names } = selection;
      const files = this.#select(selection).map(({ file }) => ({ ...sumOf(file), file }));
      const sum = (part: "blocks" | "bytes") => files.reduce((total, file) => total + file[part], 0);
      const missing = files.some(({ bytes, file }) => BigInt(bytes) < file.sizeBytes);
      return {
        id,
        fs,
        volume,
        ...names,
        files: files.length,
        sizeBytes: files.reduce((total, { file }) => total + file.sizeBytes, 0n),
        blocks: sum("blocks"),
        bytes: sum("bytes"),
        protectedBytes: sum("bytes"),
        refetch: !whole || files.length === 0 || missing,
      };
    });
    return { pins, more: page.length < left.length };
  }

  #select(selection: Selection): Found[] {
    const found: Found[] = [];
    for (const [key, { files }] of this.life) {
      const [fs = Buffer.alloc(0), volume = Buffer.alloc(0)] = key
        .split("/")
        .map((part) => Buffer.from(part, "hex"));
      for (const [name, file] of files) found.push({ fs, volume, inode: Buffer.from(name, "hex"), file });
    }
    return found.filter((one) => covers(selection, one));
  }

  #isPinned(found: Pick<Found, "fs" | "volume"> & { readonly inode: Buffer | undefined }): boolean {
    return this.#pins.some(({ selection }) => covers(selection, found));
  }
}

/** Without an inode: whether it covers the whole volume. */
function covers(
  { fs, volume, inode, inodePrefix }: Selection,
  found: Pick<Found, "fs" | "volume"> & { readonly inode: Buffer | undefined },
): boolean {
  if (fs !== undefined && !fs.equals(found.fs)) return false;
  if (volume !== undefined && volumeKey("f", volume) !== volumeKey("f", found.volume)) return false;
  if (inode !== undefined) return found.inode !== undefined && inodeKey(inode) === inodeKey(found.inode);
  if (inodePrefix === undefined || inodePrefix.length === 0) return true;
  return found.inode?.subarray(0, inodePrefix.length).equals(inodePrefix) ?? false;
}

function sumOf({ blocks }: FileModel): { blocks: number; bytes: number } {
  return {
    blocks: blocks.size,
    bytes: [...blocks.values()].reduce((sum, block) => sum + block.validBytes, 0),
  };
}

function isSame(a: Selection, b: Selection): boolean {
  return (["fs", "volume", "inode", "inodePrefix"] as const).every(
    (part) => a[part]?.toString("hex") === b[part]?.toString("hex"),
  );
}

function checkPin(what: Selector): Selection {
  const selection = checkSelector(what);
  if (selection.volume === undefined) throw refused("less than a volume");
  return selection;
}

function checkLimit(limit: number | undefined): void {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit >= 1 && limit <= LIST_ENTRIES_MAX)) return;
  throw refused(`limit ${limit}`);
}

function refused(found: string): CacheError {
  return new CacheError("E_ARGUMENT", `Cannot use ${found}`);
}
