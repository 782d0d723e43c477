/** Pins: intentions in the ledger, and the blocks that they keep from culling as far as the share of pins goes. */
import { CacheError } from "../../index/core/errors.js";
import { PAGE_BYTES, SLOT_PAGES } from "../../index/core/layout.js";
import type { Selection } from "../../index/core/selector.js";
import { formatBytes } from "../../index/core/units.js";
import type { PinRecord } from "../../index/ledger-pins.js";
import {
  PINS_MAX,
  PIN_NAME_BYTES_MAX,
  type PinOptions,
  type PinReport,
  type PinStatus,
} from "../admin-api.js";
import { nameBytesOf } from "../cull/pin-set.js";
import type { AdminParts } from "./admin.js";
import type { Page } from "./listing.js";
import { type SelectedFile, cachedBlocks, cachedBytesOf, selectedFiles } from "./selected.js";

const EMPTY = Buffer.alloc(0);

/** What is cached of a pin, and how much of it nobody keeps from culling yet. */
interface Found {
  blocks: number;
  bytes: number;
  slots: number;
  pages: number;
}

type PinNames = Pick<PinRecord, "fs" | "volume" | "scope" | "name">;

/** One change of pins at a time. */
export class PinKeeper {
  readonly #parts: AdminParts;
  #last: Promise<unknown> = Promise.resolve();

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  /** As AdminCalls.pin; undefined when a wipe or a close came in between. */
  pin(selection: Selection, options: PinOptions): Promise<PinReport | undefined> {
    const names = namesOf(selection);
    return this.#alone(() => this.#pin(names, options));
  }

  /** As AdminCalls.unpin; undefined when a wipe or a close came in between. */
  unpin(selection: Selection): Promise<{ readonly removed: number } | undefined> {
    return this.#alone(() => this.#unpin(selection));
  }

  /** Keeps from culling what pins cover and nobody keeps yet, as far as the share of pins goes: what was used last first. */
  refit(): Promise<boolean> {
    return this.#alone(() => this.#refit());
  }

  async #alone<T>(body: () => Promise<T>): Promise<T> {
    const done = this.#last.then(body);
    this.#last = done.catch(() => undefined); // its caller is told
    return done;
  }

  async #pin(names: PinNames, { refetched = false }: PinOptions): Promise<PinReport | undefined> {
    const { pins, walks, blocks } = this.#parts;
    const standing = pins.find(names);
    const { epoch } = blocks.life;
    const found = { blocks: 0, bytes: 0, slots: 0, pages: 0 };
    if (!(await walks.run(this.#count(names, found)))) return undefined;
    const report = { added: standing === undefined, blocks: found.blocks, bytes: found.bytes };
    if (standing !== undefined) {
      if (refetched && standing.epoch !== epoch) await this.#put({ ...standing, epoch });
      return report;
    }
    this.#check(names, found);
    const record = { id: pins.nextId, ...names, epoch };
    await this.#put(record);
    await walks.run(this.#protect(names)); // after a wipe there is nothing to protect
    return report;
  }

  async #put(record: PinRecord): Promise<void> {
    const { pins, ledger } = this.#parts;
    await ledger.pins.put(record);
    pins.add(record);
  }

  async #unpin(selection: Selection): Promise<{ readonly removed: number } | undefined> {
    const { pins, ledger, walks, blocks } = this.#parts;
    const gone = this.#named(selection);
    await ledger.pins.remove(gone.map(({ id }) => id));
    for (const pin of gone) pins.remove(pin);
    for (const pin of gone) if (!(await walks.run(this.#release(pin)))) return { removed: gone.length };
    if (gone.length > 0 && blocks.life.ranking.kept.takePinRefused()) await this.#refit();
    return { removed: gone.length };
  }

  /** The pins that an unpin means. */
  #named(selection: Selection): PinRecord[] {
    const { pins } = this.#parts;
    const { fs, volume } = selection;
    if (fs === undefined) return pins.all();
    if (volume === undefined) return pins.all().filter((pin) => pin.fs.equals(fs));
    const pin = pins.find(namesOf(selection));
    return pin === undefined ? [] : [pin];
  }

  /** @throws {CacheError} E_LIMIT, E_NO_SPACE. */
  #check(names: PinNames, found: Found): void {
    const { pins, blocks, limits } = this.#parts;
    if (pins.count >= PINS_MAX) {
      throw new CacheError("E_LIMIT", `Cannot pin: there are ${pins.count} pins, want at most ${PINS_MAX}`);
    }
    const nameBytes = pins.nameBytes + nameBytesOf(names);
    if (nameBytes > PIN_NAME_BYTES_MAX) {
      const wanted = `want at most ${PIN_NAME_BYTES_MAX}`;
      throw new CacheError(
        "E_LIMIT",
        `Cannot pin: names of all pins would have ${nameBytes} bytes, ${wanted}`,
      );
    }
    const { ranking } = blocks.life;
    if (found.slots === 0 && found.blocks > 0) return; // other pins keep all of it
    // What is not cached yet wants room for one block at least.
    const wanted = found.slots > 0 ? found : { slots: 1, pages: SLOT_PAGES };
    if (ranking.kept.mayPin(wanted.slots, wanted.pages)) return;
    const { pinnedBytes, pinnedSlots } = ranking.kept.pinned;
    const { pinBytesMax, pinSlotsMax } = limits();
    throw new CacheError(
      "E_NO_SPACE",
      `Cannot pin ${formatBytes(wanted.pages * PAGE_BYTES)} in ${wanted.slots} slots: ${formatBytes(pinnedBytes)} in ` +
        `${pinnedSlots} are pinned, want at most ${formatBytes(pinBytesMax)} in ${pinSlotsMax}; unpin, or raise the share`,
    );
  }

  *#count(names: PinNames, found: Found): Generator<void> {
    const { table, blocks } = this.#parts;
    for (const { file, block, entry } of this.#blocksOf(names)) {
      if (entry !== undefined) {
        found.blocks += 1;
        found.bytes += cachedBytesOf(entry);
        const { slot } = entry;
        if (table.isTenant(slot, file.object.id, block) && !blocks.life.ranking.isPinned(slot)) {
          found.slots += 1;
          found.pages += table.pagesOf(slot);
        }
      }
      yield;
    }
  }

  *#protect(names: PinNames): Generator<void> {
    const { table, blocks } = this.#parts;
    for (const { file, block, entry } of this.#blocksOf(names)) {
      if (entry !== undefined && table.isTenant(entry.slot, file.object.id, block)) {
        blocks.life.ranking.pin(entry.slot);
      }
      yield;
    }
  }

  /** What no other pin covers can be culled again. */
  *#release(names: PinNames): Generator<void> {
    const { table, blocks, pins } = this.#parts;
    for (const { file, block, entry } of this.#blocksOf(names)) {
      const { slot } = entry ?? {};
      const covered = pins.coversNames(file.volume, file.object.inode);
      if (slot !== undefined && !covered && table.isTenant(slot, file.object.id, block)) {
        blocks.life.ranking.unpin(slot);
      }
      yield;
    }
  }

  *#blocksOf(names: PinNames): Generator<{
    readonly file: SelectedFile;
    readonly block: number;
    readonly entry: ReturnType<AdminParts["blocks"]["entryOf"]>;
  }> {
    const { blocks } = this.#parts;
    for (const file of selectedFiles(blocks, selectionOf(names))) {
      for (const found of cachedBlocks(blocks, file)) yield { file, block: 0, entry: undefined, ...found };
    }
  }

  async #refit(): Promise<boolean> {
    const { pins, walks, blocks, table } = this.#parts;
    const { ranking } = blocks.life;
    if (pins.count === 0) return true;
    const covered = new CoveredSlots(this.#parts);
    if (!(await walks.run(covered.collect()))) return false;
    const slots = covered.unprotected();
    let first = slots.length;
    let pages = 0;
    for (; first > 0; first -= 1) {
      const more = table.pagesOf(slots[first - 1] as number);
      if (!ranking.kept.mayPin(slots.length - first + 1, pages + more)) break;
      pages += more;
    }
    for (const slot of slots.slice(first)) ranking.pin(slot);
    if (first > 0) ranking.kept.notePinRefused();
    return true;
  }
}

/** Tells by the ids of its tenant whether pins cover a slot. */
class CoveredSlots {
  readonly #parts: AdminParts;
  readonly #volumes = new Set<number>();
  readonly #files = new Set<number>();

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  *collect(): Generator<void> {
    const { pins, blocks } = this.#parts;
    for (const pin of pins.all()) {
      if (pin.scope === "volume") {
        const record = blocks.life.index.names.findVolume(pin.fs, pin.volume);
        if (record !== undefined) this.#volumes.add(record.id);
      } else {
        for (const { object } of selectedFiles(blocks, selectionOf(pin))) {
          this.#files.add(object.id);
          yield;
        }
      }
      yield;
    }
  }

  /** Covered, but not kept from culling; the least recently used first. One walk over the order, in one turn. */
  unprotected(): number[] {
    const { table, blocks } = this.#parts;
    const slots: number[] = [];
    for (const slot of blocks.life.ranking.cullable()) {
      if (this.#volumes.has(table.volumeIdOf(slot)) || this.#files.has(table.objectIdOf(slot))) {
        slots.push(slot);
      }
    }
    return slots;
  }
}

/** Fills a page with pins behind `after` and what is cached of each. */
export function* pinSteps(
  { pins, blocks, table }: AdminParts,
  after: number,
  page: Page<PinStatus>,
): Generator<void> {
  const { epoch, ranking } = blocks.life;
  for (const pin of pins.all()) {
    if (pin.id <= after) continue;
    if (page.refuses(nameBytesOf(pin))) return;
    const sums = { files: 0, sizeBytes: 0n, blocks: 0, bytes: 0, protectedBytes: 0 };
    let whole = true;
    for (const file of selectedFiles(blocks, selectionOf(pin))) {
      let bytes = 0;
      for (const found of cachedBlocks(blocks, file)) {
        yield;
        if (found === undefined) continue;
        bytes += cachedBytesOf(found.entry);
        sums.blocks += 1;
        const { slot } = found.entry;
        if (!table.isTenant(slot, file.object.id, found.block) || !ranking.isPinned(slot)) continue;
        sums.protectedBytes += table.pagesOf(slot) * PAGE_BYTES;
      }
      sums.files += 1;
      sums.bytes += bytes;
      sums.sizeBytes += file.object.sizeBytes;
      whole &&= BigInt(bytes) >= file.object.sizeBytes;
      yield;
    }
    const refetch = !whole || sums.files === 0 || pin.epoch !== epoch;
    const { inode, inodePrefix } = selectionOf(pin);
    const { id, fs, volume } = pin;
    const names = {
      ...(inode !== undefined && { inode }),
      ...(inodePrefix !== undefined && { inodePrefix }),
    };
    page.add({ id, fs, volume, ...names, ...sums, refetch }, nameBytesOf(pin));
    yield;
  }
}

/** @throws {CacheError} E_ARGUMENT unless the selection names a volume at least. */
export function namesOf({ fs, volume, inode, inodePrefix }: Selection): PinNames {
  if (fs === undefined || volume === undefined) {
    const found = fs === undefined ? "everything" : "a whole file system";
    throw new CacheError("E_ARGUMENT", `Cannot pin ${found}: want a volume, a file or a tree of files`);
  }
  if (inode !== undefined) return { fs, volume, scope: "file", name: inode };
  if (inodePrefix !== undefined) return { fs, volume, scope: "tree", name: inodePrefix };
  return { fs, volume, scope: "volume", name: EMPTY };
}

export function selectionOf({ fs, volume, scope, name }: PinNames): Selection {
  if (scope === "file") return { fs, volume, inode: name };
  return scope === "tree" ? { fs, volume, inodePrefix: name } : { fs, volume };
}
