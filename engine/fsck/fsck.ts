/**
 * Checks a cache that nobody owns, and changes nothing unless it is to repair. An index that was not left clean is not mapped: it
 * may be broken, and the next start wipes it anyway.
 */
import fs from "node:fs";
import { BlockIndex } from "../../index/block-index.js";
import { CacheError, isCacheError } from "../../index/core/errors.js";
import { shownPath } from "../../index/core/own-files.js";
import { Ledger, type StateMark } from "../../index/ledger.js";
import { type Checkpoint, readCheckpoint } from "../coherency/checkpoint.js";
import { type CachePaths, checkSignature, holdPaths, stateLockIn } from "../coherency/directory.js";
import { INDEX_MAP_BYTES, indexDirectory } from "../coherency/index-place.js";
import { probeIndex } from "../coherency/index-probe.js";
import { OwnerLock } from "../coherency/owner-lock.js";
import type { FindingCode, FsckOptions, FsckProgress, FsckReport } from "../fsck-api.js";
import { Checksummer } from "../slots/checksums.js";
import { firstBadGroup } from "../slots/intact.js";
import { SlotFiles } from "../slots/slot-files.js";
import { SlotTable } from "../slots/slot-table.js";
import { Course, checkRate } from "./course.js";
import { FindingList } from "./findings.js";
import { type Counted, type Ground, noCounts } from "./ground.js";
import { readableEntry } from "./readable-entry.js";
import { repairDirectory } from "./repair.js";
import { walk } from "./walk.js";

export type { FsckFinding, FsckReport } from "../fsck-api.js";

export interface FsckDirectoryOptions extends FsckOptions {
  readonly directory: string;
  readonly stateDirectory?: string;
  /** Has a child read the index first: a damaged one may end whoever maps it. */
  readonly probe?: boolean;
  /** Called now and then. */
  readonly onProgress?: (progress: FsckProgress) => void;
  /** Ends the check. */
  readonly signal?: AbortSignal;
}

/** A child may read so long before it counts as caught. */
const PROBE_MS_MAX = 10 * 60_000;

/** One check under way. */
interface Run {
  readonly options: FsckDirectoryOptions;
  readonly paths: CachePaths;
  readonly ledger: Ledger;
  readonly findings: FindingList;
  readonly counts: Counted;
}

/**
 * @throws {CacheError} what keeps the check from being made: E_BUSY, E_NOT_OURS, E_DIRECTORY, E_FORMAT_VERSION,
 * E_LEDGER_CORRUPT, E_IO; E_NOT_FOUND where the ledger was lost. {CheckEnded} when it was told to end.
 */
export async function fsckDirectory(options: FsckDirectoryOptions): Promise<FsckReport> {
  checkRate(options.bytesPerSecond);
  const { report, mark } = await look(options);
  const { directory, stateDirectory, deep = false, repair } = options;
  if (repair !== true || report.clean || !mayRepair(report, mark)) return report;
  return repairDirectory({
    directory,
    ...(stateDirectory !== undefined && { stateDirectory }),
    deep,
    regime: mark.regime,
    course: courseOf(options),
    before: report.findings,
  });
}

/** A ledger that is another cache's is for its operator to see to, and an index that can be verified is for the next start. */
function mayRepair({ foundByCode }: FsckReport, { state, regime }: StateMark): boolean {
  if (foundByCode["ledger-foreign"] !== undefined) return false;
  return state !== "unclean" || regime !== "recoverable";
}

function courseOf({ bytesPerSecond, signal, onProgress }: FsckDirectoryOptions): Course {
  return new Course({
    bytesPerSecond: bytesPerSecond ?? Number.POSITIVE_INFINITY,
    over: () => (signal?.aborted === true ? "it was told to end" : undefined),
    onProgress,
  });
}

async function look(options: FsckDirectoryOptions): Promise<{ report: FsckReport; mark: StateMark }> {
  const { paths, close } = holdPaths(options.directory, options.stateDirectory);
  try {
    return await lookAt(options, paths);
  } finally {
    close();
  }
}

async function lookAt(
  options: FsckDirectoryOptions,
  paths: CachePaths,
): Promise<{ report: FsckReport; mark: StateMark }> {
  const signature = fs.existsSync(paths.root) ? checkSignature(paths.root) : undefined;
  if (signature === undefined) {
    throw new CacheError("E_NOT_OURS", `Cannot check ${paths.directory}: there is no cache in it`);
  }
  const lock = OwnerLock.take(paths.lock, paths.directory);
  try {
    const stateLock = Ledger.exists(paths.state)
      ? OwnerLock.take(stateLockIn(paths.state), shownPath(paths.state))
      : undefined;
    try {
      const ledger = await Ledger.open({ directory: paths.state });
      try {
        const run = { options, paths, ledger, findings: new FindingList(), counts: noCounts() };
        await check(run, signature.cacheId);
        return { report: run.findings.report(run.counts), mark: ledger.mark };
      } finally {
        await ledger.close();
      }
    } finally {
      stateLock?.release();
    }
  } finally {
    lock.release();
  }
}

async function check(run: Run, cacheId: Buffer): Promise<void> {
  const { paths, ledger } = run;
  const add = (code: FindingCode, message: string): void => run.findings.add({ code, message });
  if (!ledger.cacheId.equals(cacheId)) add("ledger-foreign", "the ledger belongs to another cache");
  const { mark, epoch } = ledger;
  if (mark.state !== "clean") {
    const mayVerify = mark.state === "unclean" && mark.regime === "recoverable";
    const after = mayVerify ? "wipes, or verifies if it is told to" : "wipes";
    add("unclean", `the last owner left the mark at "${mark.state}": the next start ${after}`);
    return;
  }
  const checkpoint = readCheckpoint(paths.checkpoint);
  if (typeof checkpoint === "string") {
    add("checkpoint-damaged", `${checkpoint}: the next start wipes`);
    return;
  }
  if (
    checkpoint.checkpointId !== mark.checkpointId ||
    checkpoint.epoch !== epoch ||
    !checkpoint.cacheId.equals(cacheId)
  ) {
    add("checkpoint-foreign", "the checkpoint is not the one of the last stop: the next start wipes");
  }
  await withIndex(run, cacheId, async (index) => {
    const { transactionId } = index.stats();
    if (transactionId !== mark.transactionId) {
      add(
        "index-other-commit",
        `the index is at commit ${transactionId}, the last stop was at ${mark.transactionId}`,
      );
    }
    await walkClosed(run, cacheId, { index, checkpoint });
  });
}

/** Opens the index as its owner would, for reading; what does not open is a finding. */
async function withIndex(
  { options, paths, ledger, findings }: Run,
  cacheId: Buffer,
  body: (index: BlockIndex) => Promise<void>,
): Promise<void> {
  const { epoch } = ledger;
  const place = { directory: indexDirectory(paths, epoch), mapBytes: INDEX_MAP_BYTES, epoch };
  const damaged = (message: string): void => findings.add({ code: "index-corrupt", message });
  if (options.probe === true) {
    const id = cacheId.toString("hex");
    const wrong = await probeIndex({ ...place, cacheId: id, msMax: PROBE_MS_MAX, readOnly: true });
    if (wrong !== undefined) return damaged(wrong);
  }
  try {
    const index = BlockIndex.open({ ...place, cacheId: ledger.cacheId, create: false });
    try {
      await body(index);
    } finally {
      await index.close();
    }
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    damaged(error.message);
  }
}

async function walkClosed(
  run: Run,
  cacheId: Buffer,
  { index, checkpoint }: { index: BlockIndex; checkpoint: Checkpoint },
): Promise<void> {
  const { options, paths, ledger, findings, counts } = run;
  const table = SlotTable.from(checkpoint.slots);
  table.surveying = ledger.mark.surveying === true;
  const files = new SlotFiles({ root: paths.slots, descriptorsMax: 1, readOnly: true });
  const checksummer = new Checksummer(cacheId);
  const { nextSequence: sequence, nextObjectId: objectId, nextVolumeId: volumeId } = checkpoint;
  const ground: Ground = {
    index,
    table,
    files,
    ledger,
    epoch: ledger.epoch,
    slotsRoot: paths.slots,
    next: () => ({ sequence, objectId, volumeId }),
    objectsCounted: () => checkpoint.objects,
    entryOf: (object, block) => readableEntry(index, object, block),
    badGroup: (named) => firstBadGroup(files, checksummer, named),
    orders: undefined,
    marked: "clean",
  };
  const course = courseOf(options);
  try {
    await walk({ ground, deep: options.deep === true, mender: undefined, course, findings, counts });
  } finally {
    files.close();
  }
}
