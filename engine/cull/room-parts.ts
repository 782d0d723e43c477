/** What a room is made over, and what it is told of the blocks that come into it. */
import type { Tenant, SlotTable } from "../slots/slot-table.js";
import type { SlotFiles } from "../slots/slot-files.js";
import type { WriteBack } from "../slots/write-back.js";
import type { CullRank } from "../open-api.js";
import type { RoomLimits } from "./budget.js";
import type { Drive } from "./drive.js";
import type { FreeLists } from "./free-lists.js";
import type { PinOwner, PinSet } from "./pin-set.js";
import type { Ranking } from "./ranking.js";
import type { VolumeNames } from "./shares.js";

export interface RoomParts {
  readonly table: SlotTable;
  readonly free: FreeLists;
  readonly ranking: Ranking;
  readonly pins: PinSet;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly drive: Drive;
  readonly limits: RoomLimits;
  readonly now: () => number;
  /** Queues the removal of the entry that names this slot's tenant. */
  readonly dropEntry: (slot: number) => void;
  /** Resolves when all that is queued is committed. */
  readonly committed: () => Promise<void>;
  /** The index has used so much of its share that blocks have to go. */
  readonly indexPressed: () => boolean;
  /**
   * Takes the records of files without blocks out of the index, and a part of those with metadata; resolves when that is
   * done and shows. @returns whether metadata made room or may do so yet.
   */
  readonly sweep: () => Promise<boolean>;
  /** A victim was chosen; its tenant can still be read from the table. */
  readonly onCulled: (slot: number) => void;
  /** A slice of culling, begun at `beganMs`, is committed. */
  readonly onSlice: (beganMs: number) => void;
  readonly onTrouble: (message: string, error: unknown) => void;
}

/** Whose blocks a writer brings. */
export interface Owner extends PinOwner {
  readonly id: number;
  readonly volume: VolumeNames & { readonly id: number };
  /** How many have the file open. */
  readonly holds: number;
  readonly rank: CullRank;
}

/** A slot that turned out to be a block's. */
export interface Claim {
  readonly slot: number;
  readonly pages: number;
  readonly tenant: Tenant;
  readonly share: number;
}
