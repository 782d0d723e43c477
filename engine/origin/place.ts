/** What a path stands for in the cache, whether there still is something under it or not. */
import { lstat, realpath } from "node:fs/promises";
import { errnoOf } from "../../index/core/errors.js";
import type { Selector } from "../../index/core/selector.js";
import { ORIGIN_FS, type Origin } from "./origin.js";
import { absolutePath, joinPath } from "./paths.js";
import type { SkipReason } from "./trouble.js";
import { originError } from "./trouble.js";

export interface Place {
  /** Absolute, links among its parents resolved as far as these exist. */
  readonly path: Buffer;
  /** What is there now: `gone` when nothing is, `other` for links, devices and the like. */
  readonly kind: "file" | "directory" | "other" | "gone";
  readonly volume: Buffer;
  /** Of a file of this path; empty for the root of a volume. */
  readonly inode: Buffer;
  /** Why files there are not cached. */
  readonly bypass?: SkipReason;
}

const SLASH = Buffer.from("/");
const HERE = Buffer.from(".");
const PARENT = Buffer.from("..");
/** Parents of a path that may be gone. */
const DEPTH_MAX = 4096;

/**
 * Finds the volume and the inode of a path. Of a path that is gone, the nearest directory above that exists decides on
 * which mount, or in which named origin, it was.
 * @throws {CacheError} E_IO when the origin refuses, with the errno in the cause.
 */
export async function placeOf(origin: Origin, given: Buffer): Promise<Place> {
  try {
    const { path, parent } = await nearest(given);
    const kind = await kindOf(path);
    const directory = kind === "directory" ? path : parent;
    return { path, kind, ...(await origin.namesOf(path, directory)) };
  } catch (error) {
    throw originError("find", given, error);
  }
}

/**
 * What may be cached under a path: a file of this name, and files below a directory of this name, since what is there now
 * need not be what was there before. The root of a volume stands for all of it.
 */
export function selectorsOf({ volume, inode }: Place): Selector[] {
  const whole = { fs: ORIGIN_FS, volume };
  if (inode.length === 0) return [whole];
  return [
    { ...whole, inode },
    { ...whole, inodePrefix: Buffer.concat([inode, SLASH]) },
  ];
}

/** The path with what exists of its parents resolved, and the nearest directory above it that exists. */
async function nearest(given: Buffer): Promise<{ path: Buffer; parent: Buffer }> {
  try {
    const path = await absolutePath(given);
    const parent = path.subarray(0, Math.max(1, path.lastIndexOf(SLASH)));
    if ((await kindOf(parent)) === "directory") return { path, parent };
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
  const gone: Buffer[] = [];
  let head = given;
  for (let depth = 0; depth < DEPTH_MAX; depth += 1) {
    const { parent, name } = split(head);
    if (name.equals(PARENT)) break; // of nothing
    if (name.length > 0 && !name.equals(HERE)) gone.push(name);
    head = parent;
    try {
      const found = await realpath(head, "buffer");
      if ((await kindOf(found)) === "directory") {
        return { path: gone.reduceRight((path, below) => joinPath(path, below), found), parent: found };
      }
    } catch (error) {
      if (!isAbsent(error)) throw error;
    }
  }
  throw Object.assign(new Error("no directory above it exists"), { code: "ENOENT" });
}

/** The last name of a path, and what is before it. */
function split(path: Buffer): { parent: Buffer; name: Buffer } {
  let end = path.length;
  while (end > 1 && path[end - 1] === SLASH[0]) end -= 1;
  const slash = path.subarray(0, end).lastIndexOf(SLASH);
  const parent = slash < 0 ? HERE : path.subarray(0, Math.max(1, slash));
  return { parent, name: path.subarray(slash + 1, end) };
}

function isAbsent(error: unknown): boolean {
  return ["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "");
}

async function kindOf(path: Buffer): Promise<Place["kind"]> {
  try {
    const stats = await lstat(path);
    return stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other";
  } catch (error) {
    if (isAbsent(error)) return "gone";
    throw error;
  }
}
