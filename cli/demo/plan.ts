/** What of a tree the demo warms: as much as fits into the cache, by whole subtrees. */
import type { CacheStatus } from "../../engine/cache.js";
import type { Subtree, TreeSize } from "../../engine/origin/measure.js";
import type { WalkOptions } from "../../engine/origin/walk.js";

/**
 * The part of the capacity that is filled. The rest is the culler's headroom: a cache filled to the brim would cull
 * what the second pass wants to read.
 */
const FILL_SHARE = 0.8;

export interface Plan {
  readonly taken: TreeSize;
  readonly left: readonly {
    readonly path: Buffer;
    readonly size: TreeSize;
    readonly ownFilesOnly: boolean;
  }[];
  /** Keeps a walk to what was taken. */
  readonly walk: WalkOptions;
}

type Room = Pick<TreeSize, "blocks" | "occupiedBytes">;

/** Chooses from the largest subtree to the smallest; one that does not fit is looked into where its parts are known. */
export function planWarming(tree: Subtree, status: CacheStatus): Plan {
  const room: Room = {
    blocks: Math.floor(status.slotsMax * FILL_SHARE),
    occupiedBytes: Math.floor((status.capacityBytes - status.indexBytesMax) * FILL_SHARE),
  };
  const taken: TreeSize = { files: 0, bytes: 0, blocks: 0, occupiedBytes: 0 };
  const left: Plan["left"][number][] = [];
  choose(tree, room, taken, left);
  const skippedTrees = new Set(left.filter((part) => !part.ownFilesOnly).map((part) => keyOf(part.path)));
  const skippedFiles = new Set(left.filter((part) => part.ownFilesOnly).map((part) => keyOf(part.path)));
  return {
    taken,
    left,
    walk: {
      skipDirectory: (path) => skippedTrees.has(keyOf(path)),
      skipFilesOf: (path) => skippedFiles.has(keyOf(path)),
    },
  };
}

function choose(tree: Subtree, room: Room, taken: TreeSize, left: Plan["left"][number][]): void {
  if (fits(tree.total, room)) return take(tree.total, room, taken);
  if (tree.children.length === 0) {
    left.push({ path: tree.path, size: tree.total, ownFilesOnly: false });
    return;
  }
  if (fits(tree.own, room)) take(tree.own, room, taken);
  else left.push({ path: tree.path, size: tree.own, ownFilesOnly: true });
  const largestFirst = tree.children.toSorted((a, b) => b.total.occupiedBytes - a.total.occupiedBytes);
  for (const child of largestFirst) choose(child, room, taken, left);
}

function fits(size: TreeSize, room: Room): boolean {
  return size.blocks <= room.blocks && size.occupiedBytes <= room.occupiedBytes;
}

function take(size: TreeSize, room: Room, taken: TreeSize): void {
  room.blocks -= size.blocks;
  room.occupiedBytes -= size.occupiedBytes;
  taken.files += size.files;
  taken.bytes += size.bytes;
  taken.blocks += size.blocks;
  taken.occupiedBytes += size.occupiedBytes;
}

function keyOf(path: Buffer): string {
  return path.toString("latin1");
}
