/** How large the parts of a tree are, so that what is to be cached can be chosen by whole subtrees. */
import { lstat } from "node:fs/promises";
import { SLOT_BYTES, PAGE_BYTES } from "../../index/core/layout.js";
import { forEachConcurrent } from "./concurrent.js";
import type { Origin } from "./origin.js";
import { absolutePath, isWithin, pathBelow } from "./paths.js";
import { walkTree } from "./walk.js";

const LOOKUPS_IN_FLIGHT_MAX = 32;
const SLASH = 0x2f;

export interface TreeSize {
  files: number;
  bytes: number;
  blocks: number;
  /** What the blocks take in slots, which are filled by pages. */
  occupiedBytes: number;
}

/** A directory with all below it, or its own files only. */
export interface Subtree {
  readonly path: Buffer;
  readonly total: TreeSize;
  /** The files directly in it. Where children are not told apart, these are all. */
  readonly own: TreeSize;
  readonly children: readonly Subtree[];
}

interface Node {
  readonly path: Buffer;
  readonly total: TreeSize;
  readonly own: TreeSize;
  readonly children: Map<string, Node>;
}

/**
 * Adds up a tree.
 * @param root a directory or file.
 * @param depthMax how many levels below the root are told apart; memory grows with their directories.
 */
export async function measureTree(origin: Origin, root: Buffer, depthMax: number): Promise<Subtree> {
  const path = await absolutePath(root);
  const top = newNode(path);
  await forEachConcurrent(walkTree(origin, [path]), LOOKUPS_IN_FLIGHT_MAX, async (entry) => {
    if (entry.kind !== "file") return;
    // A file that has gone meanwhile has no size to add.
    const stats = await lstat(entry.path).catch(() => undefined);
    if (stats?.isFile() === true) addFile(top, entry.path, stats.size, depthMax);
  });
  return finished(top);
}

function addFile(top: Node, file: Buffer, bytes: number, depthMax: number): void {
  if (!isWithin(top.path, file)) return;
  let node = top;
  grow(node.total, bytes);
  const below = pathBelow(top.path, file);
  let from = 0;
  for (let depth = 0; depth < depthMax; depth += 1) {
    const slash = below.indexOf(SLASH, from);
    if (slash < 0) break;
    const name = below.toString("latin1", from, slash);
    let child = node.children.get(name);
    if (child === undefined) {
      child = newNode(file.subarray(0, file.length - below.length + slash));
      node.children.set(name, child);
    }
    node = child;
    grow(node.total, bytes);
    from = slash + 1;
  }
  grow(node.own, bytes);
}

function newNode(path: Buffer): Node {
  return { path, total: nothing(), own: nothing(), children: new Map() };
}

function nothing(): TreeSize {
  return { files: 0, bytes: 0, blocks: 0, occupiedBytes: 0 };
}

function grow(size: TreeSize, bytes: number): void {
  size.files += 1;
  size.bytes += bytes;
  size.blocks += Math.ceil(bytes / SLOT_BYTES);
  size.occupiedBytes += Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

function finished({ path, total, own, children }: Node): Subtree {
  return { path, total, own, children: [...children.values()].map(finished) };
}
