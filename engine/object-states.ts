/** Files, volumes and file systems as the engine holds them in memory: one mutable state for each name that is in use. */
import type { ObjectSets } from "./metadata-set.js";
import type { CullRank } from "./open-api.js";
import { VolumeTally } from "./volume-tally.js";

/** Floors of a file that are kept before those that no fill under way can pass are dropped. */
const FLOORS_MAX = 1024;
/** Ranges of a file that were invalidated by themselves; beyond that the two that lie closest become one. */
export const RANGE_STAMPS_MAX = 16;
/** What LMDB adds to a record, its pages being partly full: a bound, not a measure. */
const RECORD_OVERHEAD_BYTES = 256;
const RANGE_BYTES = 24;

const EMPTY = Buffer.alloc(0);

export class FsState {
  readonly fs: Buffer;
  /** Content with a lower sequence number does not exist. */
  stamp = 0;
  /** Loaded volumes. */
  users = 0;

  constructor(fs: Buffer) {
    this.fs = fs;
  }
}

export class VolumeState {
  readonly id: number;
  readonly system: FsState;
  readonly volume: Buffer;
  coherency: Buffer = EMPTY;
  /** Content with a lower sequence number does not exist. */
  stamp = 0;
  /** Raised when other coherency data takes the place of what handles were acquired with. */
  revision = 0;
  /** The index has a record of it. */
  recorded = false;
  /** Handles and loaded objects. */
  users = 0;
  readonly tally = new VolumeTally();
  readonly objects = new Map<string, ObjectState>();

  constructor(id: number, system: FsState, volume: Buffer) {
    this.id = id;
    this.system = system;
    this.volume = volume;
  }

  get fs(): Buffer {
    return this.system.fs;
  }

  /** Content with a lower sequence number does not exist. */
  get stampMax(): number {
    return Math.max(this.stamp, this.system.stamp);
  }
}

/** Blocks `firstBlock` to `endBlock` - 1 with a lower sequence number than `stamp` do not exist. */
export interface RangeStamp {
  readonly firstBlock: number;
  readonly endBlock: number;
  readonly stamp: number;
}

/** What came later than a fill: it was replaced or removed as calls on one block go, or what it holds is stale. */
interface Floor {
  readonly sequence: number;
  readonly stale: boolean;
}

export class ObjectState {
  readonly id: number;
  readonly volume: VolumeState;
  readonly inode: Buffer;
  coherency: Buffer = EMPTY;
  sizeBytes = 0n;
  stamp = 0;
  ranges: readonly RangeStamp[] = [];
  /** Parts of the file that were taken away since it was loaded. */
  invalidations = 0;
  /** Raised when other coherency data takes the place of what handles were acquired with. */
  revision = 0;
  recorded = false;
  /** Handles and fills under way. */
  users = 0;
  /** Whether a pin covers it, as of this version of the set of pins. */
  pinsVersion = -1;
  pinned = false;
  /** How many have it open, which keeps its blocks from culling and flush. */
  holds = 0;
  rank: CullRank = "normal";
  /** It is being stored and has no name yet: nobody finds it, and the index gets no record of it. */
  staged = false;
  /** Sequence numbers of the fills under way, in order. */
  readonly fills = new Set<number>();
  /** Blocks that were stored or removed while fills were under way: older fills come too late. */
  floors: Map<number, Floor> | undefined;
  /** Its extended attributes and directory entries, as far as they were asked for. */
  readonly sets: ObjectSets = {};
  /** Its number in recordings of accesses; see TracedFile. */
  traceNumber = -1;
  /** Writes under way, by block: a write of a part waits for those before it. */
  writes: Map<number, Set<Promise<void>>> | undefined;

  constructor(id: number, volume: VolumeState, inode: Buffer) {
    this.id = id;
    this.volume = volume;
    this.inode = inode;
  }

  /** What was called before `sequence` comes too late for this block. */
  raiseFloor(block: number, sequence: number, stale = false): void {
    this.floors ??= new Map();
    this.floors.set(block, { sequence, stale });
    if (this.floors.size <= FLOORS_MAX) return;
    const [oldest = Number.POSITIVE_INFINITY] = this.fills;
    for (const [place, floor] of this.floors) if (floor.sequence <= oldest) this.floors.delete(place);
  }

  /** Content of any block with a lower sequence number does not exist. */
  get stampMax(): number {
    return Math.max(this.stamp, this.volume.stampMax);
  }

  /** Content of this block with a lower sequence number does not exist. */
  stampOf(block: number): number {
    let stamp = this.stampMax;
    for (const range of this.ranges) {
      if (block >= range.firstBlock && block < range.endBlock && range.stamp > stamp) stamp = range.stamp;
    }
    return stamp;
  }

  /** Blocks of the range stored so far do not exist any more. */
  stampRange(range: RangeStamp): void {
    const { firstBlock, endBlock } = range;
    // One that lies within the new range says nothing more.
    const others = this.ranges.filter((old) => old.firstBlock < firstBlock || old.endBlock > endBlock);
    this.ranges = bounded([...others, range]);
  }

  /** Nothing that the range forbids is left. */
  forgetRange(range: RangeStamp): void {
    this.ranges = this.ranges.filter((old) => old !== range);
  }
}

/** The two neighbours with the smallest gap become one: what lies between them is forgotten as well. */
function bounded(ranges: readonly RangeStamp[]): readonly RangeStamp[] {
  if (ranges.length <= RANGE_STAMPS_MAX) return ranges;
  const sorted = ranges.toSorted((a, b) => a.firstBlock - b.firstBlock);
  let at = 0;
  for (let place = 1; place < sorted.length - 1; place += 1)
    if (gap(sorted, place) < gap(sorted, at)) at = place;
  const [one, two] = sorted.slice(at, at + 2) as [RangeStamp, RangeStamp];
  sorted.splice(at, 2, {
    firstBlock: one.firstBlock,
    endBlock: Math.max(one.endBlock, two.endBlock),
    stamp: Math.max(one.stamp, two.stamp),
  });
  return sorted;
}

function gap(sorted: readonly RangeStamp[], place: number): number {
  return (sorted[place + 1] as RangeStamp).firstBlock - (sorted[place] as RangeStamp).endBlock;
}

/** What the record of a file may take in the index, its volume's included: more than it will. */
export function recordBytes(object: ObjectState): number {
  const { volume } = object;
  const names = object.inode.length + object.coherency.length;
  const volumeNames = volume.recorded ? 0 : volume.fs.length + volume.volume.length + volume.coherency.length;
  return 2 * (names + volumeNames) + RECORD_OVERHEAD_BYTES + RANGE_BYTES * object.ranges.length;
}
