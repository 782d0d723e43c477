/** List: what is cached, by file system, volume and file, in pages. */
import { checkFsName, checkName } from "../../index/core/names.js";
import type { NameBytes } from "../../index/core/names.js";
import type { Selection } from "../../index/core/selector.js";
import type { VolumeRecord } from "../../index/records.js";
import { LIST_NAME_BYTES_MAX, type ListEntry, type ListPage } from "../admin-api.js";
import type { Blocks } from "../blocks.js";
import { STATE } from "../slots/slot-table.js";
import type { AdminParts } from "./admin.js";
import { cachedBlocks, cachedBytesOf } from "./selected.js";

/** Slots that count as one step. */
const SLOTS_A_STEP = 256;

/** A page while it is being filled. */
export class Page<Entry> {
  readonly entries: Entry[] = [];
  readonly #limit: number;
  #nameBytes = 0;
  /** An entry did not fit any more. */
  more = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Whether an entry with so many bytes of names has to wait for the next page. */
  refuses(nameBytes: number): boolean {
    const full =
      this.entries.length >= this.#limit ||
      (this.entries.length > 0 && this.#nameBytes + nameBytes > LIST_NAME_BYTES_MAX);
    this.more ||= full;
    return full;
  }

  add(entry: Entry, nameBytes: number): void {
    this.entries.push(entry);
    this.#nameBytes += nameBytes;
  }
}

type Sums = { volumes: number; blocks: number; bytes: number };

/** Fills a page with what a selection lists, a step a record, an entry, or some slots. */
export function* listSteps(
  parts: AdminParts,
  selection: Selection,
  after: NameBytes | undefined,
  page: Page<ListEntry>,
): Generator<void> {
  const { fs, volume } = selection;
  const part = { ...(after !== undefined && { after: Buffer.from(checkAfter(selection, after)) }) };
  if (fs === undefined) yield* listSystems(parts, part, page);
  else if (volume === undefined) yield* listVolumes(parts, { ...part, fs }, page);
  else yield* listFiles(parts, selection, part, page);
}

/** @throws {CacheError} E_ARGUMENT unless a name of what the selection lists. */
export function checkAfter({ fs, volume }: Selection, after: NameBytes): Buffer {
  return fs === undefined ? checkFsName(after) : checkName(volume === undefined ? "volume" : "inode", after);
}

export function pageOf(page: Page<ListEntry>): ListPage {
  return { entries: page.entries, more: page.more };
}

function* listSystems(
  parts: AdminParts,
  part: { readonly after?: Buffer },
  page: Page<ListEntry>,
): Generator<void> {
  const used = yield* usedByVolume(parts);
  let name: Buffer | undefined;
  let sums: Sums = { volumes: 0, blocks: 0, bytes: 0 };
  for (const record of parts.blocks.life.index.volumes(part)) {
    if (name === undefined || !record.fs.equals(name)) {
      if (name !== undefined) page.add({ name, ...sums }, name.length);
      if (page.refuses(record.fs.length)) return;
      name = record.fs;
      sums = { volumes: 0, blocks: 0, bytes: 0 };
    }
    const { blocks, bytes } = usedIn(used, record);
    sums = { volumes: sums.volumes + 1, blocks: sums.blocks + blocks, bytes: sums.bytes + bytes };
    yield;
  }
  if (name !== undefined) page.add({ name, ...sums }, name.length);
}

function* listVolumes(
  parts: AdminParts,
  part: { readonly fs: Buffer; readonly after?: Buffer },
  page: Page<ListEntry>,
): Generator<void> {
  const used = yield* usedByVolume(parts);
  for (const record of parts.blocks.life.index.volumes(part)) {
    const { volume: name } = record;
    if (page.refuses(name.length)) return;
    page.add({ name, ...usedIn(used, record), pinned: parts.pins.coversAll(record) }, name.length);
    yield;
  }
}

function* listFiles(
  { blocks, pins }: AdminParts,
  { fs, volume: volumeName, inode, inodePrefix }: Selection,
  part: { readonly after?: Buffer },
  page: Page<ListEntry>,
): Generator<void> {
  const { index } = blocks.life;
  const volume = fs && volumeName && index.names.findVolume(fs, volumeName);
  if (volume === undefined) return;
  const prefix = inode ?? inodePrefix;
  for (const object of index.objectsOf(volume.id, { ...part, ...(prefix !== undefined && { prefix }) })) {
    const { inode: name, sizeBytes } = object;
    if (inode !== undefined && !name.equals(inode)) return;
    const sums = yield* cachedOf(blocks, { volume, object });
    if (sums.blocks > 0) {
      if (page.refuses(name.length)) return;
      page.add({ name, ...sums, sizeBytes, pinned: pins.coversNames(volume, name) }, name.length);
    }
    yield;
  }
}

/** Blocks and bytes of a file that a read would find. */
export function* cachedOf(
  blocks: Blocks,
  file: Parameters<typeof cachedBlocks>[1],
): Generator<void, { blocks: number; bytes: number }> {
  const sums = { blocks: 0, bytes: 0 };
  for (const found of cachedBlocks(blocks, file)) {
    if (found !== undefined) {
      sums.blocks += 1;
      sums.bytes += cachedBytesOf(found.entry);
    }
    yield;
  }
  return sums;
}

/** By volume id. From the slots, so that it costs no walk of the index; what was just invalidated still counts. */
function* usedByVolume({
  table,
}: AdminParts): Generator<void, Map<number, { blocks: number; bytes: number }>> {
  const used = new Map<number, { blocks: number; bytes: number }>();
  for (let slot = 0; slot < table.numbers; slot += 1) {
    if (table.stateOf(slot) === STATE.used) {
      const id = table.volumeIdOf(slot);
      const sums = used.get(id) ?? { blocks: 0, bytes: 0 };
      used.set(id, sums);
      sums.blocks += 1;
      sums.bytes += table.validBytesOf(slot);
    }
    if (slot % SLOTS_A_STEP === 0) yield;
  }
  return used;
}

function usedIn(
  used: ReadonlyMap<number, { blocks: number; bytes: number }>,
  { id }: VolumeRecord,
): { blocks: number; bytes: number } {
  return used.get(id) ?? { blocks: 0, bytes: 0 };
}
