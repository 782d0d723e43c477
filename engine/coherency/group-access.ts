/**
 * Lets a group read slot files and the lookup file, or lets it no more. Index and ledger stay their owner's alone. What
 * stands already is changed in the background; a reader who comes too early is refused by the kernel and asks the owner.
 */
import fs from "node:fs";
import path from "node:path";
import { CacheError, errnoOf, messageOf } from "../../index/core/errors.js";
import { isOwnFile, shownPath } from "../../index/core/own-files.js";
import { GROUP_READS, OWNER_ONLY } from "../modes.js";
import type { CachePaths } from "./directory.js";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const PERMISSIONS = 0o7777;

/**
 * Sets group and mode of the directories that lead to slot files. @param groupId the group that may read; its owner alone
 * if undefined. @returns whether slot files may be there that were made for somebody else.
 * @throws {CacheError} E_DIRECTORY when the owner may not give files to that group.
 */
export function setGroup(paths: CachePaths, groupId: number | undefined): boolean {
  const before = fs.statSync(paths.slots);
  for (const directory of [paths.slots, paths.root]) {
    try {
      if (groupId !== undefined) share(directory, groupId);
      // Another mode was set by somebody else, and stays.
      else if (modeOf(directory) === GROUP_READS.directory) fs.chmodSync(directory, OWNER_ONLY.directory);
    } catch (error) {
      const reason = errnoOf(error) ?? messageOf(error);
      const message = `Cannot set who may read ${shownPath(directory)}: ${reason}, want to be its owner and in group ${groupId}`;
      throw new CacheError("E_DIRECTORY", message, { cause: error });
    }
  }
  return (
    groupId !== undefined && (before.gid !== groupId || (before.mode & PERMISSIONS) !== GROUP_READS.directory)
  );
}

function share(directory: string, groupId: number): void {
  fs.chownSync(directory, -1, groupId);
  fs.chmodSync(directory, GROUP_READS.directory);
}

function modeOf(name: string): number {
  return fs.statSync(name).mode & PERMISSIONS;
}

/** Gives every slot file that is there to the group; `over` ends it early. Errors are those of node:fs. */
export async function shareSlotFiles(root: string, groupId: number, over: () => boolean): Promise<void> {
  for (const entry of await fs.promises.readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const directory = path.join(root, entry.name);
    await shareFile(directory, groupId, GROUP_READS.directory);
    for (const file of await fs.promises.readdir(directory, { withFileTypes: true })) {
      if (over()) return;
      if (file.isFile()) await shareFile(path.join(directory, file.name), groupId, GROUP_READS.file);
    }
  }
}

async function shareFile(name: string, groupId: number, mode: number): Promise<void> {
  let handle: fs.promises.FileHandle;
  try {
    handle = await fs.promises.open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return; // a shrink takes files away meanwhile
    throw error;
  }
  try {
    const stats = await handle.stat();
    // A second name may be that of a file which is nobody's to read.
    if (stats.isFile() && !isOwnFile(stats)) return;
    await handle.chown(-1, groupId);
    await handle.chmod(mode);
  } finally {
    await handle.close();
  }
}
