/**
 * Repairs a cache that nobody owns: takes it over as its next owner would, which wipes what that one would wipe, walks it once more,
 * mends what the walk finds, and leaves it clean.
 */
import { monotonicMs } from "../clock.js";
import { markClean } from "../coherency/close-state.js";
import { removeOldIndexes } from "../coherency/index-place.js";
import { type OpenState, openState, releaseState } from "../coherency/open-state.js";
import type { FsckFinding, FsckReport } from "../fsck-api.js";
import { silent } from "../log.js";
import { Checksummer } from "../slots/checksums.js";
import { firstBadGroup } from "../slots/intact.js";
import { SlotFiles } from "../slots/slot-files.js";
import { STATE } from "../slots/slot-table.js";
import { WriteBack } from "../slots/write-back.js";
import type { Course } from "./course.js";
import { FindingList } from "./findings.js";
import { type Ground, noCounts } from "./ground.js";
import { ClosedMender } from "./mend-closed.js";
import { readableEntry } from "./readable-entry.js";
import { walk } from "./walk.js";

export interface RepairOptions {
  readonly directory: string;
  readonly stateDirectory?: string;
  readonly deep: boolean;
  /** How the index was written: it goes on like that. */
  readonly regime: OpenState["regime"];
  readonly course: Course;
  /** What the look before this has found. */
  readonly before: readonly FsckFinding[];
}

/** @throws {CacheError} as openCache; {CheckEnded}: then the next start wipes, or verifies. */
export async function repairDirectory(options: RepairOptions): Promise<FsckReport> {
  const { directory, stateDirectory, regime, before, deep, course } = options;
  const state = await openState({
    directory,
    ...(stateDirectory !== undefined && { stateDirectory }),
    onUnclean: regime === "recoverable" ? "verify" : "wipe",
    log: silent,
  });
  const files = new SlotFiles({ root: state.paths.slots, descriptorsMax: 1, readOnly: true });
  try {
    const findings = new FindingList();
    if (state.start.action === "wipe") {
      const repaired = "everything cached is forgotten";
      for (const finding of before) findings.add({ ...finding, repaired });
    }
    const counts = noCounts();
    let { nextSequence } = state;
    const takeSequence = (): number => {
      nextSequence += 1;
      return nextSequence - 1;
    };
    const { index, table, objectCounters: counters } = state;
    const mender = new ClosedMender({ index, table, counters, takeSequence });
    await walk({ ground: groundOf(state, files), deep, mender, course, findings, counts });
    await leaveClean(state, files, nextSequence);
    return findings.report(counts);
  } finally {
    files.close();
    await releaseState(state);
  }
}

function groundOf(state: OpenState, files: SlotFiles): Ground {
  const { index, table, ledger, epoch, paths, objectCounters, nextSequence, cacheId } = state;
  const checksummer = new Checksummer(cacheId);
  const { nextObjectId: objectId, nextVolumeId: volumeId } = objectCounters;
  return {
    index,
    table,
    files,
    ledger,
    epoch,
    slotsRoot: paths.slots,
    next: () => ({ sequence: nextSequence, objectId, volumeId }),
    objectsCounted: () => objectCounters.objects,
    entryOf: (object, block) => readableEntry(index, object, block),
    badGroup: (named) => firstBadGroup(files, checksummer, named),
    orders: undefined,
    marked: "unclean",
  };
}

async function leaveClean(state: OpenState, files: SlotFiles, nextSequence: number): Promise<void> {
  const { index, epoch, table, objectCounters, order, paths } = state;
  const writeBack = new WriteBack({ files, now: monotonicMs, onError: () => {} }); // nothing was written
  await removeOldIndexes(paths, epoch, silent);
  await markClean({
    state,
    index,
    epoch,
    objectCounters,
    order: order.filter((slot) => table.stateOf(slot) === STATE.used),
    table,
    files,
    writeBack,
    nextSequence,
  });
}
