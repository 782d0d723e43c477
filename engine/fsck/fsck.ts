/**
 * Checks a cache that nobody owns: walks two truths, the entries of the index and the slot files, and wants each slot in
 * exactly one state. Reports only, changes nothing. An index that was not left clean is not mapped: it may be broken,
 * and the next start wipes it anyway.
 */
import fs from "node:fs";
import { BlockIndex } from "../../index/block-index.js";
import { CacheError, isCacheError } from "../../index/core/errors.js";
import { Ledger } from "../../index/ledger.js";
import { type Checkpoint, readCheckpoint } from "../coherency/checkpoint.js";
import { cachePaths, checkSignature, stateLockIn } from "../coherency/directory.js";
import { INDEX_MAP_BYTES, indexDirectory } from "../coherency/open-state.js";
import { probeIndex } from "../coherency/index-probe.js";
import { OwnerLock } from "../coherency/owner-lock.js";
import { Checksummer } from "../slots/checksums.js";
import { STATE } from "../slots/slot-table.js";
import { type EntryCounts, checkEntries } from "./entries.js";
import { checkFiles } from "./files.js";
import { type Findings, FindingList } from "./findings.js";
import { checkMetadata } from "./metadata.js";

export type { FsckFinding } from "./findings.js";

export interface FsckOptions {
  readonly directory: string;
  readonly stateDirectory?: string;
  /** Reads every byte and checks it against its checksum. */
  readonly deep: boolean;
  /** Has a child read the index first: a damaged one may end whoever maps it. */
  readonly probe?: boolean;
  /** Called now and then with entries done and their total. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** A child may read so long before it counts as caught. */
const PROBE_MS_MAX = 10 * 60_000;
const NOTHING_CHECKED: EntryCounts = {
  entries: 0,
  zeroBlocks: 0,
  unclaimed: 0,
  blocksChecked: 0,
  bytesChecked: 0,
};

export interface FsckReport {
  readonly findings: Findings;
  readonly counts: EntryCounts & {
    /** Slots whose file should exist: used + free + quarantined. */
    readonly slots: number;
    readonly used: number;
    readonly free: number;
    readonly quarantined: number;
  };
  readonly clean: boolean;
}

/**
 * @throws {CacheError} what keeps the check from being made: E_BUSY, E_NOT_OURS, E_DIRECTORY, E_FORMAT_VERSION,
 * E_LEDGER_CORRUPT, E_IO; E_NOT_FOUND where the ledger was lost.
 */
export async function fsckDirectory(options: FsckOptions): Promise<FsckReport> {
  const paths = cachePaths(options.directory, options.stateDirectory);
  const signature = fs.existsSync(paths.directory) ? checkSignature(paths.directory) : undefined;
  if (signature === undefined) {
    throw new CacheError("E_NOT_OURS", `Cannot check ${paths.directory}: there is no cache in it`);
  }
  const lock = OwnerLock.take(paths.lock, paths.directory);
  try {
    const stateLock = Ledger.exists(paths.state)
      ? OwnerLock.take(stateLockIn(paths.state), paths.state)
      : undefined;
    try {
      const ledger = await Ledger.open({ directory: paths.state });
      try {
        return await check(options, paths, ledger, signature.cacheId);
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

async function check(
  options: FsckOptions,
  paths: ReturnType<typeof cachePaths>,
  ledger: Ledger,
  cacheId: Buffer,
): Promise<FsckReport> {
  const findings = new FindingList();
  if (!ledger.cacheId.equals(cacheId)) findings.add("ledger-foreign", "the ledger belongs to another cache");
  const { mark, epoch } = ledger;
  if (mark.state !== "clean") {
    const mayVerify = mark.state === "unclean" && mark.regime === "recoverable";
    const after = mayVerify ? "wipes, or verifies if it is told to" : "wipes";
    findings.add("unclean", `the last owner left the mark at "${mark.state}": the next start ${after}`);
    return reportOf(findings, undefined, NOTHING_CHECKED);
  }
  const checkpoint = readCheckpoint(paths.checkpoint);
  if (typeof checkpoint === "string") {
    findings.add("checkpoint-damaged", `${checkpoint}: the next start wipes`);
    return reportOf(findings, undefined, NOTHING_CHECKED);
  }
  if (
    checkpoint.checkpointId !== mark.checkpointId ||
    checkpoint.epoch !== epoch ||
    !checkpoint.cacheId.equals(cacheId)
  ) {
    findings.add(
      "checkpoint-foreign",
      "the checkpoint is not the one of the last stop: the next start wipes",
    );
  }
  checkFiles(paths.slots, checkpoint.slots, findings);
  const place = { directory: indexDirectory(paths, epoch), mapBytes: INDEX_MAP_BYTES, epoch };
  const wrong =
    options.probe === true
      ? await probeIndex({ ...place, cacheId: cacheId.toString("hex"), msMax: PROBE_MS_MAX, readOnly: true })
      : undefined;
  if (wrong !== undefined) {
    findings.add("index-corrupt", wrong);
    return reportOf(findings, checkpoint, NOTHING_CHECKED);
  }
  const entries = await withIndex(place.directory, ledger, findings, async (index) => {
    const { transactionId } = index.stats();
    if (transactionId !== mark.transactionId) {
      findings.add(
        "index-other-commit",
        `the index is at commit ${transactionId}, the last stop was at ${mark.transactionId}`,
      );
    }
    await checkMetadata(index, checkpoint.nextSequence, findings);
    return checkEntries({
      index,
      checkpoint,
      surveying: mark.surveying === true,
      slotsRoot: paths.slots,
      checksummer: options.deep ? new Checksummer(cacheId) : undefined,
      findings,
      onProgress: options.onProgress,
    });
  });
  return reportOf(findings, checkpoint, entries ?? NOTHING_CHECKED);
}

/** Opens the index as its owner would, for reading; what does not open is a finding. */
async function withIndex<T>(
  directory: string,
  ledger: Ledger,
  findings: FindingList,
  body: (index: BlockIndex) => Promise<T>,
): Promise<T | undefined> {
  const { cacheId, epoch } = ledger;
  try {
    const index = BlockIndex.open({ directory, mapBytes: INDEX_MAP_BYTES, cacheId, epoch, create: false });
    try {
      return await body(index);
    } finally {
      await index.close();
    }
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    findings.add("index-corrupt", error.message);
    return undefined;
  }
}

function reportOf(
  findings: FindingList,
  checkpoint: Checkpoint | undefined,
  entries: EntryCounts,
): FsckReport {
  const count = (state: number) =>
    checkpoint?.slots.states.reduce((sum, one) => sum + (one === state ? 1 : 0), 0) ?? 0;
  const [used, free, quarantined] = [count(STATE.used), count(STATE.free), count(STATE.quarantined)];
  const counts = { slots: used + free + quarantined, used, free, quarantined, ...entries };
  return { findings: findings.all, counts, clean: findings.all.length === 0 };
}
