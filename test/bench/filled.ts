/**
 * Makes a cache directory that looks as after a clean stop with any number of blocks, in seconds: index, slot table,
 * recency and checkpoint go through the engine's own functions, and only the slot files are left out. A block is one
 * page of zeros with the right checksum, so that a cache opened with zeroIo (zero-io.ts) serves every one of them.
 */
import fs from "node:fs";
import { silent } from "../../engine/log.js";
import { monotonicMs } from "../../engine/clock.js";
import type { LimitOptions, Tag } from "../../engine/cache.js";
import { markClean } from "../../engine/coherency/close-state.js";
import { type OpenState, openState, releaseState } from "../../engine/coherency/open-state.js";
import { Objects } from "../../engine/objects.js";
import type { ObjectState } from "../../engine/object-states.js";
import { Checksummer } from "../../engine/slots/checksums.js";
import { SlotFiles } from "../../engine/slots/slot-files.js";
import { SLOTS_PER_DIRECTORY, slotDirectory } from "../../engine/slots/slot-paths.js";
import { STATE } from "../../engine/slots/slot-table.js";
import { WriteBack } from "../../engine/slots/write-back.js";
import { PAGE_BYTES } from "../../index/core/layout.js";
import { CHECKSUM_CRC32 } from "../../index/entry.js";
import { seeded } from "./rounds.js";

export const BLOCKS_A_FILE = 100;
/** So that a million blocks are one volume. */
const FILES_A_VOLUME = 10_000;
const QUEUE_MAX = 2048;
/** The index of a cache full of one-page blocks needs more of the capacity than its usual share of 1/32. */
const CAPACITY_BYTES_A_SLOT = 16 * 1024;
const CAPACITY_BYTES_MIN = 64 * 1024 * 1024;

export interface FillOptions {
  /** Made; must not hold a cache yet. */
  readonly directory: string;
  readonly blocks: number;
  /** `stored`: the first block stored is the first to go. `random`: victims lie anywhere in the index. */
  readonly recency: "stored" | "random";
}

/** The tag of block `index`, 0-based, which is also its slot. */
export function filledTag(index: number): Tag {
  const file = Math.floor(index / BLOCKS_A_FILE);
  const volume = `volume-${Math.floor(file / FILES_A_VOLUME)}`;
  return { fs: "bench", volume, inode: `file-${file}`, block: index % BLOCKS_A_FILE };
}

/** Limits under which a cache of so many filled blocks is exactly full of slots, and of nothing else. */
export function fullLimits(blocks: number): Required<Pick<LimitOptions, "capacityBytes" | "slotsMax">> {
  const capacityBytes = Math.max(CAPACITY_BYTES_MIN, blocks * CAPACITY_BYTES_A_SLOT);
  return { capacityBytes, slotsMax: Math.max(16, blocks) };
}

/** Makes the directory; the next openCache finds a clean stop. */
export async function fillDirectory({ directory, blocks, recency }: FillOptions): Promise<void> {
  const state = await openState({ directory, log: silent });
  const { table, index, epoch } = state;
  const files = new SlotFiles({ root: state.paths.slots, descriptorsMax: 1 });
  const writeBack = new WriteBack({ files, now: monotonicMs, onError: () => {} }); // nothing is written
  try {
    const objectCounters = await fillIndex(state, blocks);
    for (let slot = 0; slot < blocks; slot += SLOTS_PER_DIRECTORY) {
      fs.mkdirSync(slotDirectory(state.paths.slots, slot), { mode: 0o700 });
    }
    const order = Uint32Array.from({ length: blocks }, (_, slot) => slot);
    if (recency === "random") shuffle(order);
    const nextSequence = blocks + 1;
    await markClean({ state, index, epoch, objectCounters, order, table, files, writeBack, nextSequence });
  } finally {
    await releaseState(state);
  }
}

async function fillIndex(state: OpenState, blocks: number): Promise<Objects["counters"]> {
  const { index, table, epoch } = state;
  const fail = (error: Error): never => {
    throw error;
  };
  const objects = new Objects(index, state.objectCounters, fail, () => 1);
  const checksummer = new Checksummer(state.cacheId);
  const page = Buffer.alloc(PAGE_BYTES);
  let object: ObjectState | undefined;
  for (let count = 0; count < blocks; count += 1) {
    const tag = filledTag(count);
    const { block } = tag;
    if (object === undefined || block === 0) {
      object = objects.obtain(tag.fs, tag.volume, tag.inode);
      objects.record(object);
    }
    const slot = table.append(STATE.filling);
    const sequence = count + 1;
    const sums = checksummer.sums({ objectId: object.id, block, epoch, sequence }, page);
    const maps = { presentLow: 1, presentHigh: 0, zeroLow: 0, zeroHigh: 0 };
    const checked = { checksumKind: CHECKSUM_CRC32, sums };
    const entry = { version: 1, slot, epoch, sequence, validBytes: PAGE_BYTES, ...maps, ...checked };
    index.putEntry(object.id, block, entry);
    table.setPages(slot, 1);
    table.move(slot, STATE.filling, STATE.used);
    table.setTenant(slot, { volumeId: object.volume.id, objectId: object.id, block }, PAGE_BYTES);
    if (index.queuedChanges >= QUEUE_MAX) await index.committed();
  }
  await index.committed();
  return objects.counters;
}

function shuffle(numbers: Uint32Array): void {
  const random = seeded(1);
  for (let at = numbers.length - 1; at > 0; at -= 1) {
    const other = random() % (at + 1);
    const kept = numbers[at] as number;
    numbers[at] = numbers[other] as number;
    numbers[other] = kept;
  }
}
