/**
 * Opening: who owns the directory, how the last owner ended, and what of its content counts. The mark goes durably from
 * clean to opening before the index is mapped, and to unclean before anything of the clean state is touched; so whoever
 * finds opening or unclean wipes, into a new epoch and a new environment, without mapping the old one.
 */
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import type { BlockIndex } from "../../index/block-index.js";
import { CacheError } from "../../index/core/errors.js";
import { CACHE_ID_BYTES, FORMAT_VERSION } from "../../index/core/layout.js";
import { shownPath } from "../../index/core/own-files.js";
import { Ledger, type StateMark } from "../../index/ledger.js";
import { bootId, createIndex, openIndex } from "./index-place.js";
import type { StartReport } from "../api.js";
import type { LogFunction } from "../log.js";
import type { ObjectCounters } from "../objects.js";
import { slotNumbersFound } from "../slots/slot-paths.js";
import { SlotTable } from "../slots/slot-table.js";
import { type Checkpoint, readCheckpoint } from "./checkpoint.js";
import {
  type CachePaths,
  cachePaths,
  checkSignature,
  openInner,
  prepareDirectory,
  stateLockIn,
} from "./directory.js";
import { retireLookup } from "../direct/lookup-file.js";
import { setGroup } from "./group-access.js";
import { openVerified } from "./open-verified.js";
import { OwnerLock } from "./owner-lock.js";
import { type Signature, writeSignature } from "./signature.js";
import { reached } from "../../index/core/steps.js";

/** What is done with what an unclean end left: all of it is forgotten, or kept and trusted as far as it is checked. */
export type OnUnclean = "wipe" | "verify";

/** A cache that is owned and open, with the mark at unclean. */
export interface OpenState {
  readonly paths: CachePaths;
  readonly ledger: Ledger;
  readonly cacheId: Buffer;
  readonly epoch: number;
  readonly index: BlockIndex;
  readonly table: SlotTable;
  /** Used slots, the least valuable first; whoever has taken them over may let go of this. */
  order: Uint32Array;
  readonly nextSequence: number;
  /** How index commits reach the drive in this session. */
  readonly regime: StateMark["regime"];
  readonly objectCounters: ObjectCounters;
  readonly start: Omit<StartReport, "ms">;
  /** Slot files may be there that the group may not read yet. */
  readonly filesToShare: boolean;
  /** Gives the ownership up; nothing of the cache may be open any more. */
  readonly releaseLocks: () => void;
}

export interface OpenStateOptions {
  readonly directory: string;
  readonly stateDirectory?: string;
  /** `wipe` unless given. */
  readonly onUnclean?: OnUnclean;
  /** Wipe whatever is there, for this reason. */
  readonly wipeReason?: string;
  /** The group that may read slot files and what is published; nobody but the owner unless given. */
  readonly groupId?: number;
  readonly log: LogFunction;
}

/** @throws {CacheError} E_PLATFORM, E_DIRECTORY, E_NOT_OURS, E_FORMAT_VERSION, E_BUSY, E_LEDGER_CORRUPT, E_IO. */
export async function openState(options: OpenStateOptions): Promise<OpenState> {
  checkPlatform();
  const { held, warnings } = prepareDirectory(path.resolve(options.directory));
  for (const warning of warnings) options.log("warn", warning);
  const paths = cachePaths(options.directory, options.stateDirectory, held.path);
  const locks: OwnerLock[] = [];
  const directories = [held];
  const releaseLocks = (): void => {
    for (const lock of locks) lock.release();
    for (const directory of directories) directory.close();
  };
  try {
    locks.push(OwnerLock.take(paths.lock, paths.directory));
    reached("open: owned");
    checkLedgerPlace(paths);
    const isNew = checkSignature(paths.root) === undefined;
    // The signature is the first thing in a new directory, so that others who look know whose it is.
    if (isNew && !Ledger.exists(paths.state))
      writeSignature(paths.root, paths.elsewhere, randomBytes(CACHE_ID_BYTES));
    reached("open: signed");
    const state = openInner(paths.state, false);
    directories.push(state);
    locks.push(OwnerLock.take(stateLockIn(state.path), shownPath(state.path)));
    const { signature, ledger, wasThere } = await openLedger({ ...paths, state: state.path }, isNew);
    reached("open: ledger there");
    if (isNew && wasThere) {
      const from =
        "the cache directory is empty; going on with the ledger that was named, as after the loss of the directory";
      options.log("warn", from, { ledger: shownPath(paths.state), cacheId: ledger.cacheId.toString("hex") });
    }
    try {
      const found = { signature, wasThere };
      const index = openInner(paths.index, true);
      directories.push(index);
      const slots = openInner(paths.slots, true);
      directories.push(slots);
      const walked = { ...paths, index: index.path, slots: slots.path };
      return { ...(await openContent(options, walked, ledger, found)), releaseLocks };
    } catch (error) {
      await ledger.close();
      throw error;
    }
  } catch (error) {
    releaseLocks();
    throw error;
  }
}

/** Closes index and ledger and gives the ownership up; the mark stays as it is. @param index the one that is open now. */
export async function releaseState(state: OpenState, index = state.index): Promise<void> {
  try {
    await index.close();
    reached("close: index closed");
  } finally {
    await state.ledger.close().finally(() => {
      reached("close: ledger closed");
      state.releaseLocks();
      reached("close: let go");
    });
  }
}

function checkPlatform(): void {
  if (process.platform === "linux" && (process.arch === "x64" || process.arch === "arm64")) return;
  const message = `Cannot run on ${process.platform} ${process.arch}: want Linux on x64 or arm64`;
  throw new CacheError("E_PLATFORM", message);
}

interface Found {
  readonly signature: Signature | undefined;
  /** A ledger was there. */
  readonly wasThere: boolean;
}

/** Signature and ledger carry the same id; a lost ledger means a new id, so that no generation is ever used again. */
async function openLedger(paths: CachePaths, isNew: boolean): Promise<Found & { ledger: Ledger }> {
  const early = checkSignature(paths.root);
  const signature = isNew ? undefined : early;
  const wasThere = Ledger.exists(paths.state);
  const known = wasThere ? signature : isNew ? early : undefined;
  const cacheId = known?.cacheId ?? randomBytes(CACHE_ID_BYTES);
  // Before the ledger is made: whoever dies between the two leaves a lost ledger, not a foreign one.
  if (!wasThere && known === undefined) writeSignature(paths.root, paths.elsewhere, cacheId);
  const ledger = await Ledger.open({ directory: paths.state, create: { cacheId } });
  if (signature !== undefined && wasThere && !ledger.cacheId.equals(signature.cacheId)) {
    await ledger.close();
    const message = `Cannot use ${paths.directory}: the ledger in ${shownPath(paths.state)} belongs to another cache, want its own`;
    throw new CacheError("E_DIRECTORY", message);
  }
  const now = checkSignature(paths.root);
  const fits = now !== undefined && now.cacheId.equals(ledger.cacheId) && now.ledger === paths.elsewhere;
  if (!fits || now.formatVersion < FORMAT_VERSION)
    writeSignature(paths.root, paths.elsewhere, ledger.cacheId);
  return { signature, ledger, wasThere };
}

/** A cache whose ledger lies elsewhere is not started without it by mistake: what is in it may not be lost. */
function checkLedgerPlace(paths: CachePaths): void {
  const recorded = checkSignature(paths.root)?.ledger;
  if (recorded === undefined || Ledger.exists(paths.state)) return;
  if (paths.elsewhere !== undefined) return; // named by its owner, who may have moved or lost it
  throw new CacheError(
    "E_CONFIG",
    `Cannot use ${paths.directory}: its ledger lies in ${recorded}, want that as state directory`,
  );
}

export type Content = Omit<OpenState, "releaseLocks" | "filesToShare">;

async function openContent(
  options: OpenStateOptions,
  paths: CachePaths,
  ledger: Ledger,
  found: Found,
): Promise<Omit<OpenState, "releaseLocks">> {
  const aside = retireLookup(paths.lookup);
  if (aside !== undefined)
    options.log("warn", "what stood in the place of the lookup file is none", { aside: shownPath(aside) });
  const filesToShare = setGroup(paths, options.groupId);
  const start = judge(options, ledger, found);
  const regime = options.onUnclean === "verify" ? "recoverable" : "volatile";
  let content: Content | string | undefined;
  if (start.action === "verify") content = await openVerified(paths, ledger);
  else if (start.reason === undefined && start.kind === "clean")
    content = await openClean(paths, ledger, regime);
  if (typeof content === "object") return { ...content, filesToShare };
  const why = content === undefined ? start : ({ kind: "unclean", action: "wipe", reason: content } as const);
  return { ...(await openWiped(paths, ledger, why, regime)), filesToShare };
}

function judge(options: OpenStateOptions, ledger: Ledger, found: Found): Omit<StartReport, "ms"> {
  const wipe = (kind: StartReport["kind"], reason: string) => ({ kind, action: "wipe", reason }) as const;
  if (found.signature === undefined) return { kind: "new", action: "none" };
  if (found.signature.formatVersion < FORMAT_VERSION) {
    const { formatVersion } = found.signature;
    return wipe(
      "upgrade",
      `the directory has format ${formatVersion}, this program writes format ${FORMAT_VERSION}`,
    );
  }
  if (!found.wasThere) return wipe("unclean", "the ledger was missing");
  const { state } = ledger.mark;
  if (options.wipeReason !== undefined)
    return wipe(state === "clean" ? "clean" : "unclean", options.wipeReason);
  if (state === "opening") return wipe("unclean", "the last owner died while it opened the cache");
  if (state === "unclean") {
    const ended = "the last owner did not stop clean";
    if (options.onUnclean !== "verify") return wipe("unclean", ended);
    if (ledger.mark.regime === "recoverable") return { kind: "unclean", action: "verify" };
    return wipe("unclean", `${ended}, and its index was not written to be verified`);
  }
  return { kind: "clean", action: "none" };
}

/** The content as it was left, or in words why it does not count. */
async function openClean(
  paths: CachePaths,
  ledger: Ledger,
  regime: StateMark["regime"],
): Promise<Content | string> {
  const { mark, epoch, cacheId } = ledger;
  const checkpoint = readCheckpoint(paths.checkpoint);
  if (typeof checkpoint === "string") return checkpoint;
  if (
    checkpoint.checkpointId !== mark.checkpointId ||
    checkpoint.epoch !== epoch ||
    !checkpoint.cacheId.equals(cacheId)
  ) {
    return "the checkpoint is not the one of the last stop";
  }
  reached("open: checkpoint read");
  await ledger.setMark({ ...mark, state: "opening", regime });
  reached("open: marked opening");
  const index = openIndex(paths, ledger, regime);
  if (typeof index === "string") return index;
  reached("open: index mapped");
  const { transactionId } = index.stats();
  if (transactionId !== checkpoint.transactionId || transactionId !== mark.transactionId) {
    await index.close();
    return `the index is at commit ${transactionId}, the last stop was at ${mark.transactionId}`;
  }
  const content = fromCheckpoint(checkpoint);
  // Before a number is used: in the recoverable regime none is ever used twice.
  const { nextObjectId: objectId, nextVolumeId: volumeId } = content.objectCounters;
  const next = { sequence: content.nextSequence, objectId, volumeId };
  if (regime === "recoverable") await index.speakFor(() => next);
  await ledger.setMark({ ...mark, state: "unclean", regime, bootId: bootId() });
  reached("open: marked unclean");
  fs.rmSync(paths.checkpoint, { recursive: true, force: true });
  reached("open: checkpoint gone");
  content.table.surveying = mark.surveying === true;
  const start = { kind: "clean", action: "none" } as const;
  return { paths, ledger, cacheId, epoch, index, regime, start, ...content };
}

function fromCheckpoint(checkpoint: Checkpoint) {
  const { nextObjectId, nextVolumeId, objects, nextSequence, order } = checkpoint;
  return {
    table: SlotTable.from(checkpoint.slots),
    order,
    nextSequence,
    objectCounters: { nextObjectId, nextVolumeId, objects },
  };
}

async function openWiped(
  paths: CachePaths,
  ledger: Ledger,
  start: Omit<StartReport, "ms">,
  regime: StateMark["regime"],
): Promise<Content> {
  const { mark: old, cacheId } = ledger;
  const epoch = ledger.epoch + 1;
  const { surveying: _, ...kept } = old; // there is nothing to tell slots from any more
  const mark = { ...kept, regime, bootId: bootId() };
  await ledger.setMark({ ...mark, state: "opening" }, { epoch });
  reached("wipe at start: epoch raised");
  const nextSequence = 1;
  const objectCounters = { nextObjectId: 1, nextVolumeId: 1, objects: 0 };
  const numbers = { sequence: nextSequence, objectId: 1, volumeId: 1 };
  const index = await createIndex(paths, { cacheId, epoch, regime }, numbers);
  reached("wipe at start: index made");
  await ledger.setMark({ ...mark, state: "unclean" });
  reached("wipe at start: marked unclean");
  fs.rmSync(paths.checkpoint, { recursive: true, force: true });
  const table = new SlotTable();
  table.appendUnknown(slotNumbersFound(paths.slots));
  return {
    paths,
    ledger,
    cacheId,
    epoch,
    index,
    table,
    order: new Uint32Array(0),
    nextSequence,
    regime,
    objectCounters,
    start,
  };
}
