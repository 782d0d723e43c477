/** Reads a whole block from its slot and checks it, apart from what callers read. */
import { SLOT_GROUPS } from "../../index/core/layout.js";
import type { Entry } from "../../index/entry.js";
import { endOf, startOf } from "../pages.js";
import type { Checksummer } from "./checksums.js";
import type { SlotFiles } from "./slot-files.js";

/** A block as its entry has it. */
export interface NamedEntry {
  readonly objectId: number;
  readonly block: number;
  readonly entry: Entry;
}

/** Bytes that a check of this entry reads. */
export function checkedBytes({ validBytes, presentLow, presentHigh }: Entry): number {
  return Math.min(validBytes, startOf(endOf({ low: presentLow, high: presentHigh })));
}

/** The first group whose bytes are not what was stored, or undefined. @throws {CacheError} E_IO. */
export async function firstBadGroup(
  files: SlotFiles,
  checksummer: Checksummer,
  { objectId, block, entry }: NamedEntry,
): Promise<number | undefined> {
  const bytes = Buffer.allocUnsafe(checkedBytes(entry));
  if (bytes.length === 0) return undefined;
  await files.read(entry.slot, bytes, 0);
  return firstBadGroupIn(checksummer, { objectId, block, entry }, bytes);
}

/** What is needed to keep a slot from other tenants while it is read. */
export interface Reading {
  readonly files: SlotFiles;
  readonly checksummer: Checksummer;
  /** Told of what a stop has to wait for. */
  readonly blocks: { began(): void; ended(): void };
  readonly room: { startReading(slot: number): void; endReading(slot: number): void };
}

/** The same beside those who use the slots. @throws {CacheError} E_IO. */
export async function heldBadGroup(
  { files, checksummer, blocks, room }: Reading,
  named: NamedEntry,
): Promise<number | undefined> {
  room.startReading(named.entry.slot);
  blocks.began();
  try {
    return await firstBadGroup(files, checksummer, named);
  } finally {
    room.endReading(named.entry.slot);
    blocks.ended();
  }
}

/** The same of bytes that are read already, from the start of the slot. */
export function firstBadGroupIn(
  checksummer: Checksummer,
  { objectId, block, entry }: NamedEntry,
  bytes: Buffer,
): number | undefined {
  const { epoch, sequence, validBytes, presentLow, presentHigh } = entry;
  const seed = checksummer.seed({ objectId, block, epoch, sequence });
  const present = { low: presentLow, high: presentHigh };
  for (let group = 0; group < SLOT_GROUPS; group += 1) {
    const sum = checksummer.groupSum(seed, group, present, validBytes, bytes, 0);
    if (sum !== entry.sums[group]) return group;
  }
  return undefined;
}

/** A bit for each group that has a present page. */
export function presentGroups({ presentLow, presentHigh }: Entry): number {
  let groups = 0;
  for (let group = 0; group < SLOT_GROUPS; group += 1) {
    const half = group < 4 ? presentLow : presentHigh;
    if (((half >>> (8 * (group % 4))) & 0xff) !== 0) groups |= 1 << group;
  }
  return groups;
}
