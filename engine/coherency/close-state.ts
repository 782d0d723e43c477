/**
 * Closing clean, step by step, each awaited: slots synced, directories synced, index committed and flushed, checkpoint
 * in place, and only then the mark. A power cut at any moment after that finds a whole cache; any error before leaves
 * the mark at unclean, and the next start wipes.
 */
import assert from "node:assert/strict";
import { CacheError } from "../../index/core/errors.js";
import type { BlockIndex } from "../../index/block-index.js";
import type { ObjectCounters } from "../objects.js";
import type { SlotFiles } from "../slots/slot-files.js";
import { STATE, type SlotTable } from "../slots/slot-table.js";
import type { WriteBack } from "../slots/write-back.js";
import { writeCheckpoint } from "./checkpoint.js";
import { syncDirectory } from "../../index/core/sync-directory.js";
import { bootId, indexDirectory } from "./index-place.js";
import type { OpenState } from "./open-state.js";
import { reached } from "../../index/core/steps.js";

export interface CloseParts {
  readonly state: OpenState;
  readonly index: BlockIndex;
  readonly epoch: number;
  readonly objectCounters: ObjectCounters;
  /** Used slots, the least valuable first. */
  readonly order: Iterable<number>;
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly nextSequence: number;
}

/** Nothing may be under way any more. @throws {CacheError} E_IO, and the mark stays unclean. */
export async function markClean(parts: CloseParts): Promise<void> {
  const { state, index, epoch, table, files, writeBack } = parts;
  const { paths, ledger } = state;
  await writeBack.drain();
  if (writeBack.failed) throw new CacheError("E_IO", "Cannot stop clean: the drive failed to keep a slot");
  reached("close: slots synced");
  // A flush of the index that failed was noted there.
  if (ledger.mark.regime !== state.regime)
    throw new CacheError("E_IO", "Cannot stop clean: the drive failed to keep the index");
  for (const directory of files.madeIn) syncDirectory(directory);
  reached("close: directories synced");
  await index.sync();
  reached("close: index synced");
  for (const directory of [indexDirectory(paths, epoch), paths.index, paths.root]) syncDirectory(directory);
  table.endWipe();
  for (const transient of [STATE.filling, STATE.leaving]) {
    if (table.countOf(transient) > 0)
      throw new CacheError("E_IO", "Cannot stop clean: slots are still being written");
  }
  const { transactionId } = index.stats();
  const checkpointId = ledger.mark.checkpointId + 1;
  writeCheckpoint(paths.checkpoint, {
    cacheId: state.cacheId,
    epoch,
    transactionId,
    checkpointId,
    nextSequence: parts.nextSequence,
    ...parts.objectCounters,
    slots: table.arrays(),
    order: orderOf(parts.order, table.countOf(STATE.used)),
  });
  reached("close: checkpoint written");
  const surveying = table.surveying ? { surveying: true } : {};
  const mark = { regime: state.regime, bootId: bootId(), transactionId, checkpointId, ...surveying };
  await ledger.setMark({ ...mark, state: "clean" });
  reached("close: marked clean");
}

/** Straight into its array: a list in between would take 16 bytes a slot more. */
function orderOf(slots: Iterable<number>, count: number): Uint32Array {
  const order = new Uint32Array(count);
  let place = 0;
  for (const slot of slots) {
    order[place] = slot;
    place += 1;
  }
  assert.equal(place, count);
  return order;
}
