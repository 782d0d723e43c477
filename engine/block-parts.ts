/** What blocks of files are read, stored and dropped with: what lasts for a session, and what ends with a wipe. */
import type { BlockIndex } from "../index/block-index.js";
import type { Counters } from "./counters.js";
import type { Drive } from "./cull/drive.js";
import type { PinSet } from "./cull/pin-set.js";
import type { WriteBudget } from "./cull/write-budget.js";
import type { Ranking } from "./cull/ranking.js";
import type { Room } from "./cull/room.js";
import type { DriveHealth } from "./drive-health.js";
import type { Leases } from "./leases.js";
import type { Latencies } from "./latencies.js";
import type { LogFunction } from "./log.js";
import type { Objects } from "./objects.js";
import type { ObjectState, VolumeState } from "./object-states.js";
import type { Checksummer } from "./slots/checksums.js";
import type { NamedEntry } from "./slots/intact.js";
import type { HotSlots } from "./slots/hot.js";
import type { SlotFiles } from "./slots/slot-files.js";
import type { SlotTable } from "./slots/slot-table.js";
import type { WriteBack } from "./slots/write-back.js";
import type { Tracing } from "./trace/tracing.js";
import type { Advice } from "./tune/advice.js";

/** One life of the index: what ends with a wipe. */
export interface Life {
  readonly index: BlockIndex;
  readonly objects: Objects;
  readonly room: Room;
  readonly ranking: Ranking;
  /** Watches a sample of the traffic, unless nobody is to. */
  readonly advice: Advice | undefined;
  readonly leases: Leases<ObjectState>;
  readonly epoch: number;
}

export interface BlockParts {
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly hot: HotSlots;
  readonly drive: Drive;
  readonly health: DriveHealth;
  readonly checksummer: Checksummer;
  readonly counters: Counters;
  readonly latencies: Latencies;
  readonly tracing: Tracing;
  readonly pins: PinSet;
  readonly budget: WriteBudget;
  readonly log: LogFunction;
  readonly now: () => number;
  /** The next number of the one sequence that generations and stamps share. */
  readonly takeSequence: () => number;
  /** The index has no room left for more entries. */
  readonly indexFull: () => boolean;
  /** A record of so many bytes is about to be written to the index. */
  readonly noteRecord: (bytes: number) => void;
  /** As Recovery.claim. */
  readonly claim: (named: NamedEntry, volume: VolumeState) => boolean;
}
