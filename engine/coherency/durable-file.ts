/** Files that must be whole or absent after a power cut. */
import fs from "node:fs";
import path from "node:path";
import { makeOwnFile } from "../../index/core/own-files.js";
import { syncDirectory } from "../../index/core/sync-directory.js";

/** Replaces a small file: temporary file, fsync, rename, fsync of the directory. */
export function replaceFile(target: string, parts: readonly Uint8Array[], mode = 0o600): void {
  const temporary = `${target}.tmp`;
  const fd = makeOwnFile(temporary, mode);
  try {
    for (const part of parts) {
      for (let done = 0; done < part.length;) done += fs.writeSync(fd, part, done);
    }
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
  fs.renameSync(temporary, target);
  syncDirectory(path.dirname(target));
}
