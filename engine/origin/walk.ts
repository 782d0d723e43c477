/**
 * Lists the regular files of trees, one mount each, without following links and without holding more in memory than
 * one open directory a level.
 */
import type { Dir, Dirent } from "node:fs";
import { opendirSync } from "node:fs";
import { lstat, opendir } from "node:fs/promises";
import type { CacheError } from "../../index/core/errors.js";
import { isCacheError } from "../../index/core/errors.js";
import type { Origin } from "./origin.js";
import { absolutePath, joinPath } from "./paths.js";
import type { SkipReason } from "./trouble.js";
import { originError } from "./trouble.js";

/** A path on Linux has at most 4096 bytes; this bounds the directories held open. */
const DEPTH_MAX = 256;
const DIRECTORY_ENTRIES_BUFFERED = 256;

export type WalkEntry =
  | { readonly kind: "file"; readonly path: Buffer }
  | { readonly kind: "skipped"; readonly path: Buffer; readonly reason: SkipReason }
  | { readonly kind: "failed"; readonly path: Buffer; readonly error: CacheError };

export interface WalkOptions {
  /** Leaves out a directory with all below it. */
  readonly skipDirectory?: (path: Buffer) => boolean;
  /** Leaves out the files that lie directly in a directory. */
  readonly skipFilesOf?: (directory: Buffer) => boolean;
}

interface OpenLevel {
  readonly path: Buffer;
  readonly directory: Dir;
  readonly skipFiles: boolean;
}

/**
 * Yields every regular file at or below the given paths, with absolute paths; what is passed over or cannot be read
 * is yielded too and never stops the walk.
 */
export async function* walkTree(
  origin: Origin,
  paths: Iterable<Buffer> | AsyncIterable<Buffer>,
  options: WalkOptions = {},
): AsyncGenerator<WalkEntry> {
  for await (const given of paths) {
    try {
      const path = await absolutePath(given);
      const stats = await lstat(path);
      if (stats.isDirectory()) yield* walkDirectory(origin, path, options);
      else if (stats.isFile()) yield { kind: "file", path };
      else yield { kind: "skipped", path, reason: stats.isSymbolicLink() ? "link" : "not-regular" };
    } catch (error) {
      yield { kind: "failed", path: given, error: originError("open", given, error) };
    }
  }
}

async function* walkDirectory(origin: Origin, root: Buffer, options: WalkOptions): AsyncGenerator<WalkEntry> {
  const levels: OpenLevel[] = [];
  let mountId: number | undefined;
  const enter = async (path: Buffer): Promise<WalkEntry | undefined> => {
    if (options.skipDirectory?.(path) === true) return undefined;
    if (levels.length >= DEPTH_MAX) return { kind: "skipped", path, reason: "depth" };
    const opened = await openLevel(origin, path, mountId);
    if ("kind" in opened) return opened;
    mountId ??= opened.mountId;
    levels.push({ path, directory: opened.directory, skipFiles: options.skipFilesOf?.(path) === true });
    return undefined;
  };
  try {
    const trouble = await enter(root);
    if (trouble !== undefined) yield trouble;
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const entry = await nextEntry(level);
      if (entry === undefined || "kind" in entry) {
        levels.pop();
        await level.directory.close();
        if (entry !== undefined) yield entry;
      } else if (entry.isDirectory()) {
        const refused = await enter(joinPath(level.path, entry.name));
        if (refused !== undefined) yield refused;
      } else if (!level.skipFiles) {
        yield classify(joinPath(level.path, entry.name), entry);
      }
    }
  } finally {
    for (const level of levels) await level.directory.close();
  }
}

function classify(path: Buffer, entry: Dirent<Buffer>): WalkEntry {
  if (entry.isFile()) return { kind: "file", path };
  return { kind: "skipped", path, reason: entry.isSymbolicLink() ? "link" : "not-regular" };
}

/** The next entry; undefined at the end; a failure ends the directory. */
async function nextEntry(level: OpenLevel): Promise<Dirent<Buffer> | WalkEntry | undefined> {
  try {
    // The types know no names as bytes here, though opendir gives them with encoding "buffer".
    const entry = (await level.directory.read()) as unknown as Dirent<Buffer> | null;
    return entry ?? undefined;
  } catch (error) {
    return { kind: "failed", path: level.path, error: originError("list", level.path, error) };
  }
}

async function openLevel(
  origin: Origin,
  path: Buffer,
  mountId: number | undefined,
): Promise<{ directory: Dir; mountId: number } | WalkEntry> {
  try {
    const opened = await origin.openDirectory(path, mountId);
    if (opened.kind === "skipped") return { ...opened, path };
    try {
      // Through the descriptor, so that what is listed is what was checked.
      const listed = `/proc/self/fd/${opened.descriptor.number}`;
      const options = { encoding: "buffer" as BufferEncoding, bufferSize: DIRECTORY_ENTRIES_BUFFERED };
      // Its inode is in memory by now (see Descriptor).
      const isLocal = opened.descriptor.isLocal;
      const directory = isLocal ? opendirSync(listed, options) : await opendir(listed, options);
      return { directory, mountId: opened.mountId };
    } finally {
      await opened.descriptor.close();
    }
  } catch (error) {
    if (isCacheError(error)) return { kind: "failed", path, error };
    return { kind: "failed", path, error: originError("open", path, error) };
  }
}
