/** Blocks of the model's files: bytes, and which pages of them are known. Written for plainness, not for speed. */
import { PAGE_BYTES, SLOT_BYTES } from "../../index/core/layout.js";
import type { ByteRange } from "../../engine/api.js";
import { checkFsName } from "../../index/core/names.js";
import type { InvalidateTarget } from "../../engine/api.js";
import { addRange, inodeKey, piecesOf, volumeKey } from "./memory-parts.js";

export class MemoryBlock {
  readonly bytes = Buffer.alloc(SLOT_BYTES);
  readonly known = new Set<number>();
  /** How much of the block belongs to the file, as far as was told. */
  validBytes = 0;

  /** Something was written to it: a block of known zeros takes no slot. */
  isStored = false;

  get isWhole(): boolean {
    return this.known.size === Math.ceil(this.validBytes / PAGE_BYTES);
  }

  static whole(bytes: Uint8Array): MemoryBlock {
    const block = new MemoryBlock();
    block.bytes.set(bytes);
    block.isStored = true;
    block.validBytes = bytes.length;
    for (let page = 0; page * PAGE_BYTES < bytes.length; page += 1) block.known.add(page);
    return block;
  }

  /** Whether a page is known up to its end, or to the end of the block if that comes first. */
  isKnown(page: number, endBytes: number): boolean {
    return this.known.has(page) && Math.min((page + 1) * PAGE_BYTES, endBytes) <= this.validBytes;
  }

  /** @returns what of the range was stored. */
  write(
    from: number,
    to: number,
    endBytes: number,
    bytes?: Uint8Array,
  ): { from: number; to: number } | undefined {
    const first = Math.floor(from / PAGE_BYTES);
    const last = Math.floor((to - 1) / PAGE_BYTES);
    const knownBefore = this.known.has(first) && from <= this.validBytes;
    const start = from % PAGE_BYTES === 0 || knownBefore ? from : (first + 1) * PAGE_BYTES;
    const lastEnd = Math.min((last + 1) * PAGE_BYTES, endBytes);
    const end = to >= lastEnd || this.isKnown(last, endBytes) ? to : last * PAGE_BYTES;
    if (start >= end) return undefined;
    if (end > this.validBytes) {
      // What lies behind the old end in its page is not known, unless this tells it.
      const page = Math.floor(this.validBytes / PAGE_BYTES);
      const told = start <= this.validBytes;
      if (this.validBytes % PAGE_BYTES !== 0 && !told && page < Math.floor(start / PAGE_BYTES))
        this.known.delete(page);
      this.bytes.fill(0, Math.max(this.validBytes, start));
      this.validBytes = end;
    }
    if (bytes === undefined) this.bytes.fill(0, start, end);
    else {
      this.bytes.set(bytes.subarray(start - from, end - from), start);
      this.isStored = true;
    }
    for (let page = Math.floor(start / PAGE_BYTES); page * PAGE_BYTES < end; page += 1) this.known.add(page);
    return { from: start, to: end };
  }

  cut(endBytes: number): void {
    if (this.validBytes <= endBytes) return;
    this.validBytes = endBytes;
    for (const page of this.known) if (page * PAGE_BYTES >= endBytes) this.known.delete(page);
  }
}

export interface BlockFile {
  sizeBytes: bigint;
  readonly blocks: Map<number, MemoryBlock>;
  readonly metadata: { clear(): void };
}

const BLOCK_BYTES = BigInt(SLOT_BYTES);

export function readFile(file: BlockFile, offsetBytes: bigint, lengthBytes: number) {
  const bytes = Buffer.alloc(cutLength(file, offsetBytes, lengthBytes));
  const missing: ByteRange[] = [];
  for (const { at, block, within, pieceBytes } of piecesOf(offsetBytes, bytes.length)) {
    const model = file.blocks.get(block);
    const endBytes = endOf(file, block);
    for (let done = 0; done < pieceBytes;) {
      const page = Math.floor((within + done) / PAGE_BYTES);
      const part = Math.min((page + 1) * PAGE_BYTES - within, pieceBytes) - done;
      if (model?.isKnown(page, endBytes) === true) {
        model.bytes.copy(bytes, at + done, within + done, within + done + part);
      } else addRange(missing, offsetBytes + BigInt(at + done), part);
      done += part;
    }
  }
  return { bytes, missing };
}

export function writeFile(
  file: BlockFile,
  offsetBytes: bigint,
  lengthBytes: number,
  bytes?: Uint8Array,
): ByteRange[] {
  const stored: ByteRange[] = [];
  for (const { at, block, within, pieceBytes } of piecesOf(
    offsetBytes,
    cutLength(file, offsetBytes, lengthBytes),
  )) {
    const model = file.blocks.get(block) ?? new MemoryBlock();
    const part = bytes?.subarray(at, at + pieceBytes);
    const done = model.write(within, within + pieceBytes, endOf(file, block), part);
    if (done === undefined) continue;
    file.blocks.set(block, model);
    addRange(stored, offsetBytes + BigInt(at + done.from - within), done.to - done.from);
  }
  return stored;
}

export function resizeFile(file: BlockFile, sizeBytes: bigint): void {
  file.sizeBytes = sizeBytes;
  for (const [block, model] of file.blocks) {
    const start = BigInt(block) * BLOCK_BYTES;
    if (start >= sizeBytes) file.blocks.delete(block);
    else if (sizeBytes - start < BLOCK_BYTES) model.cut(Number(sizeBytes - start));
  }
}

/** In whole pages; past the end of the file everything goes. */
export function forgetRange(file: BlockFile, offsetBytes: bigint, lengthBytes: bigint): void {
  if (lengthBytes === 0n) return;
  const end = offsetBytes + lengthBytes;
  for (const [block, model] of file.blocks) {
    for (const page of model.known) {
      const start = BigInt(block) * BLOCK_BYTES + BigInt(page * PAGE_BYTES);
      if (start + BigInt(PAGE_BYTES) > offsetBytes && start < end) model.known.delete(page);
    }
    if (model.known.size === 0) file.blocks.delete(block);
  }
}

/** @returns the files of which all is to go. */
export function invalidateIn<File extends BlockFile>(
  volumes: ReadonlyMap<string, { readonly files: ReadonlyMap<string, File> }>,
  { fs, volume, inode, range }: InvalidateTarget,
): File[] {
  const hit: File[] = [];
  const prefix = volume === undefined ? `${checkFsName(fs).toString("hex")}/` : volumeKey(fs, volume);
  for (const [key, { files }] of volumes) {
    if (volume === undefined ? !key.startsWith(prefix) : key !== prefix) continue;
    for (const [name, file] of files) {
      if (inode !== undefined && name !== inodeKey(inode)) continue;
      if (range !== undefined) forgetRange(file, range.offsetBytes, range.lengthBytes);
      else hit.push(file);
    }
  }
  return hit;
}

function cutLength(file: BlockFile, offsetBytes: bigint, lengthBytes: number): number {
  const left = file.sizeBytes - offsetBytes;
  if (left <= 0n) return 0;
  return left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
}

function endOf(file: BlockFile, block: number): number {
  const left = file.sizeBytes - BigInt(block) * BLOCK_BYTES;
  return left >= BLOCK_BYTES ? SLOT_BYTES : Math.max(0, Number(left));
}
