/**
 * The walk of a check, over all that a cache consists of: the ledger, the records of the index, and the slots with their
 * files. The same walk for an open cache and for one that nobody owns; each slot has to be in exactly one state.
 */
import { isCacheError } from "../../index/core/errors.js";
import { decodeVolumeKey } from "../../index/keys.js";
import type { DamagedKey } from "../../index/changes.js";
import type { FindingCode } from "../fsck-api.js";
import { checkEntries } from "./entries.js";
import { type Check, found } from "./ground.js";
import { checkLedger } from "./ledger.js";
import { checkMetadata } from "./metadata.js";
import { checkNames } from "./names.js";
import { checkSlots } from "./slots.js";
import { checkStrays } from "./strays.js";

const DAMAGE_CODES: Readonly<Record<DamagedKey["table"], FindingCode>> = {
  volumes: "volume-corrupt",
  objects: "object-corrupt",
  blocks: "entry-corrupt",
  metadata: "metadata-corrupt",
};
/** How often counts are tried to be compared at a moment at which nothing waits for its commit. */
const COUNT_TRIES_MAX = 20;

/** @throws {CheckEnded}; {CacheError} E_INDEX_CORRUPT where the index can't be walked, E_IO, E_CLOSED. */
export async function walk(check: Check): Promise<void> {
  const { index } = check.ground;
  const seen = new Set<string>();
  const before = index.watchDamage((where, error) => {
    const name = `${where.table} ${where.key.toString("hex")}`;
    if (seen.has(name)) return;
    seen.add(name);
    const fs = systemOf(where);
    found(check, DAMAGE_CODES[where.table], error.message, undefined, (mender) =>
      fs === undefined ? mender.dropDamaged(where) : mender.renewSystem(fs),
    );
    // Whoever has the cache open drops what he meets; a file system's record says what of it does not count any more.
    if (fs === undefined) before(where, error);
  });
  try {
    check.course.begin("ledger");
    checkLedger(check);
    const names = await checkNames(check);
    await checkMetadata(check, names);
    await checkEntries(check, names);
    await checkSlots(check);
    await checkStrays(check);
    await checkCounts(check, seen.size > 0);
    if (check.mender !== undefined) await index.settled();
  } finally {
    index.watchDamage(before);
  }
}

/** The file system whose own record this is. */
function systemOf({ table, key }: DamagedKey): Buffer | undefined {
  if (table !== "volumes") return undefined;
  try {
    const parts = decodeVolumeKey(key);
    return parts.kind === "fs" ? parts.fs : undefined;
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return undefined;
    throw error;
  }
}

async function checkCounts(check: Check, isDamaged: boolean): Promise<void> {
  const { index, objectsCounted } = check.ground;
  check.course.begin("counts");
  const { mender } = check;
  if (isDamaged && mender === undefined) return; // they follow

  for (let tries = 0; tries < COUNT_TRIES_MAX; tries += 1) {
    if (index.queuedChanges === 0) {
      const { objectCount } = index.stats();
      if (isDamaged) mender?.countObjects(objectCount);
      else if (objectCount !== objectsCounted())
        found(
          check,
          "object-count",
          `there are ${objectCount} files, ${objectsCounted()} are counted`,
          undefined,
          (mender) => mender.countObjects(objectCount),
        );
      return;
    }
    await index.committed();
    await check.course.rest();
  }
}
