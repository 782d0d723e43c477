/**
 * Opening after an unclean end with everything kept: the index is as it was at its last flushed commit, and of the slots
 * nothing is known but that their bytes have to pass the checksums of their entries. A new epoch begins, so that no
 * generation is ever used twice; the index goes on in it under another name.
 */
import fs from "node:fs";
import { BlockIndex } from "../../index/block-index.js";
import { isCacheError } from "../../index/core/errors.js";
import { syncDirectory } from "../../index/core/sync-directory.js";
import type { Ledger } from "../../index/ledger.js";
import { checkPages } from "../../index/page-check.js";
import type { IndexProbe } from "../../index/probe-child.js";
import { slotNumbersFound } from "../slots/slot-paths.js";
import { SlotTable } from "../slots/slot-table.js";
import type { CachePaths } from "./directory.js";
import { INDEX_MAP_BYTES, bootId, indexDirectory } from "./index-place.js";
import { probeIndex } from "./index-probe.js";
import type { Content } from "./open-state.js";

/** A start looks at pages of the index for so long; what it takes then is left to the walk beside the service. */
const PAGES_MS = 40;
/** After an owner who died before it had read all of the index itself, all pages are looked at, and a child reads all records. */
const PROBE_MS = 10 * 60_000;

/** @returns the content, or in words why it does not count. @throws {CacheError} E_IO. */
export async function openVerified(paths: CachePaths, ledger: Ledger): Promise<Content | string> {
  const { mark, epoch, cacheId } = ledger;
  const place = { mapBytes: INDEX_MAP_BYTES, epoch };
  const wrong = await damageOf({ ...place, directory: indexDirectory(paths, epoch) }, ledger);
  if (wrong !== undefined) return wrong;
  // Whoever dies from here to the next mark leaves a cache that is wiped, so a start is never tried twice.
  await ledger.setMark({ ...mark, state: "opening" });
  const directory = indexDirectory(paths, epoch + 1);
  fs.rmSync(directory, { recursive: true, force: true });
  fs.renameSync(indexDirectory(paths, epoch), directory);
  syncDirectory(paths.index);
  const index = open({ ...place, directory, cacheId });
  if (typeof index === "string") return index;
  const spoken = index.spokenFor();
  if (spoken === undefined) {
    await index.close();
    return "the index says nothing of the numbers that were given";
  }
  index.moveTo(epoch + 1);
  await index.speakFor(() => spoken);
  const verified = { state: "unclean", regime: "recoverable", bootId: bootId(), surveying: true } as const;
  await ledger.setMark({ ...mark, ...verified }, { epoch: epoch + 1 });
  fs.rmSync(paths.checkpoint, { recursive: true, force: true });
  const table = new SlotTable();
  table.appendUnknown(slotNumbersFound(paths.slots));
  table.surveying = true;
  return {
    paths,
    ledger,
    cacheId,
    epoch: epoch + 1,
    index,
    table,
    order: new Uint32Array(0),
    nextSequence: spoken.sequence,
    regime: "recoverable",
    objectCounters: {
      nextObjectId: spoken.objectId,
      nextVolumeId: spoken.volumeId,
      objects: index.stats().objectCount,
    },
    start: { kind: "unclean", action: "verify" },
  };
}

/** Finds out, before the index is mapped, whether it may be. @returns what is wrong with it, as far as it was read. */
async function damageOf(
  place: Pick<IndexProbe, "directory" | "mapBytes" | "epoch">,
  { mark, cacheId }: Ledger,
): Promise<string | undefined> {
  const again = mark.surveying === true;
  try {
    checkPages(place.directory, { regime: "recoverable", ...(!again && { msMax: PAGES_MS }) });
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return error.message;
    throw error;
  }
  if (!again) return undefined;
  const wrong = await probeIndex({ ...place, cacheId: cacheId.toString("hex"), msMax: PROBE_MS });
  return wrong === undefined ? undefined : `the index is damaged: ${wrong}`;
}

function open(
  options: Pick<Parameters<typeof BlockIndex.open>[0], "directory" | "mapBytes" | "cacheId" | "epoch">,
): BlockIndex | string {
  try {
    return BlockIndex.open({ ...options, create: false, regime: "recoverable" });
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return error.message;
    throw error;
  }
}
