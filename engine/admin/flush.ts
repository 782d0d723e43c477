/** Flush: drops what is cached and clean, on request. */
import type { Selection } from "../../index/core/selector.js";
import type { AdminParts } from "./admin.js";
import { cachedBlocks, cachedBytesOf, selectedFiles } from "./selected.js";
import { reached } from "../../index/core/steps.js";

/** The report while it is being counted; unsent changes do not exist yet. */
export function newTally() {
  return { dropped: { blocks: 0, bytes: 0 }, skipped: { inUse: 0, pinned: 0, unsent: 0 } };
}

/** Drops the blocks of a selection, or counts them only, a step a block; each is looked at when its step comes. */
export function* flushSteps(
  parts: AdminParts,
  selection: Selection,
  dryRun: boolean,
  tally: ReturnType<typeof newTally>,
): Generator<void> {
  const { blocks, housekeeper, pins } = parts;
  const { room, objects } = blocks.life;
  for (const file of selectedFiles(blocks, selection)) {
    const { volume, object } = file;
    const isOpen = (): boolean => (objects.loadedIn(volume.id, object.inode)?.holds ?? 0) > 0;
    let left = false;
    for (const found of cachedBlocks(blocks, file)) {
      if (found === undefined) yield;
      if (found === undefined) continue;
      const { block, entry } = found;
      if (pins.coversNames(volume, object.inode)) tally.skipped.pinned += 1;
      else if (room.isRead(entry.slot) || isOpen()) tally.skipped.inUse += 1;
      else {
        tally.dropped.blocks += 1;
        tally.dropped.bytes += cachedBytesOf(entry);
        if (!dryRun) {
          blocks.drop(object.id, block, entry);
          reached("flush: name dropped");
        }
        left = !dryRun;
      }
      yield;
    }
    if (left) housekeeper.noteLeft(object.id);
    yield;
  }
}
