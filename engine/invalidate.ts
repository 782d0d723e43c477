/** Invalidation by name: stamps, never deletes, so that it costs the same for any amount of content. */
import { CacheError } from "../index/core/errors.js";
import { checkFsName, checkName } from "../index/core/names.js";
import type { InvalidateTarget } from "./api.js";
import { type ContentParts, forgetRange } from "./file-content.js";
import { checkFileRange } from "./handle-arguments.js";
import { reached } from "../index/core/steps.js";

/** Resolves when it is committed. @throws {CacheError} E_ARGUMENT. */
export async function invalidate(parts: ContentParts, target: InvalidateTarget): Promise<void> {
  check(target);
  const { objects, index } = parts.blocks.life;
  // What nobody knows any more may come back after a cut.
  const unknown = async (): Promise<void> => (index.hasUndone ? index.settled() : undefined);
  const { fs, volume, inode, range } = target;
  if (volume === undefined) {
    const system = objects.volumes.system(checkFsName(fs));
    system.stamp = parts.takeStamp({ kind: "all" });
    objects.volumes.recordSystem(system);
    parts.housekeeper.reclaimSystem(system.fs, system.stamp);
  } else if (inode === undefined) {
    const state = objects.volumes.find(fs, volume);
    if (state === undefined) return unknown();
    state.stamp = parts.takeStamp({ kind: "volume", id: state.id });
    if (state.recorded) objects.volumes.record(state);
    parts.housekeeper.reclaimVolume(state.id, state.stamp);
  } else {
    const state = objects.find(fs, volume, inode);
    if (state === undefined) return unknown();
    if (range === undefined) {
      state.stamp = parts.takeStamp({ kind: "object", id: state.id });
      parts.housekeeper.reclaimObject(state.id, state.stamp);
    } else await forgetRange(parts, state, range);
    if (state.recorded) objects.record(state);
  }
  parts.blocks.life.leases.invalidated();
  reached("invalidate: stamped");
  await index.settled();
  reached("invalidate: committed");
}

function check({ fs, volume, inode, range }: InvalidateTarget): void {
  checkFsName(fs);
  if (volume !== undefined) checkName("volume", volume);
  if (inode !== undefined) checkName("inode", inode);
  if (range !== undefined) checkFileRange(range.offsetBytes, range.lengthBytes);
  if ((inode !== undefined && volume === undefined) || (range !== undefined && inode === undefined)) {
    throw new CacheError(
      "E_ARGUMENT",
      "Cannot invalidate: want a volume with an inode, and an inode with a range",
    );
  }
}
