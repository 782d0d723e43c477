/** A life of the index put together: the room and the ranking over it, and the leases of its files. */
import { PAGE_BYTES, SLOT_BYTES } from "../index/core/layout.js";
import type { BlockIndex } from "../index/block-index.js";
import type { Blocks } from "./blocks.js";
import type { Life } from "./block-parts.js";
import { watchCommits } from "./commit-watch.js";
import type { Counters } from "./counters.js";
import type { Drive } from "./cull/drive.js";
import { FreeLists } from "./cull/free-lists.js";
import type { SlotLinks } from "./cull/linked-slots.js";
import type { PinSet } from "./cull/pin-set.js";
import { type CullPolicy, blockIdentity } from "./cull/policy.js";
import { makePolicy } from "./cull/policies/make.js";
import { Ranking } from "./cull/ranking.js";
import { Room } from "./cull/room.js";
import { SlotBytes } from "./cull/slot-bytes.js";
import type { Housekeeper } from "./housekeeper.js";
import type { IndexGauge } from "./index-gauge.js";
import type { Latencies } from "./latencies.js";
import { Leases } from "./leases.js";
import type { Limits } from "./limits.js";
import type { ObjectState } from "./object-states.js";
import type { Objects } from "./objects.js";
import type { SessionOptions } from "./session-options.js";
import type { SlotFiles } from "./slots/slot-files.js";
import type { SlotTable } from "./slots/slot-table.js";
import type { WriteBack } from "./slots/write-back.js";
import { Advice } from "./tune/advice.js";

/** What outlives a wipe; what is asked for by a call is made later than the first life. */
export interface LifeParts {
  readonly table: SlotTable;
  readonly links: SlotLinks;
  readonly options: Pick<SessionOptions, "policy" | "advice">;
  readonly pins: PinSet;
  readonly files: SlotFiles;
  readonly writeBack: WriteBack;
  readonly drive: Drive;
  readonly gauge: IndexGauge;
  readonly counters: Counters;
  readonly latencies: Latencies;
  readonly now: () => number;
  readonly limits: () => Limits;
  readonly blocks: () => Blocks;
  readonly housekeeper: () => Housekeeper;
  readonly onTrouble: (message: string, error: unknown) => void;
}

export function newLife(
  parts: LifeParts,
  own: { readonly index: BlockIndex; readonly objects: Objects; readonly epoch: number },
): Life {
  const { table, links, pins, files, writeBack, drive, gauge, counters, latencies, now, limits } = parts;
  const { index, objects } = own;
  const identityOf = (slot: number): number => blockIdentity(table.objectIdOf(slot), table.blockOf(slot));
  const notes = new SlotBytes();
  const newPolicy = (): CullPolicy => makePolicy(parts.options.policy, { links, notes, identityOf });
  const ranking = new Ranking(table, newPolicy, limits, () =>
    makePolicy("lru", { links, notes, identityOf }),
  );
  const advice = parts.options.advice
    ? new Advice({ policy: parts.options.policy, identityOf, capacity: () => capacityOf(table, limits()) })
    : undefined;
  ranking.onUse = advice && ((slot) => advice.hit(slot));
  links.reserve(table.numbers);
  watchCommits(index, { counters, latencies, now });
  const room = new Room({
    table,
    ranking,
    pins,
    files,
    writeBack,
    drive,
    now,
    free: new FreeLists(links),
    limits: {
      get slotsMax(): number {
        return limits().slotsMax;
      },
      // The index may outgrow its share for a moment; the promise is about both together.
      get slotBytesMax(): number {
        const { slotBytesMax, capacityBytes } = limits();
        return Math.min(slotBytesMax, capacityBytes - gauge.fileBytesSeen());
      },
    },
    dropEntry: (slot) => parts.blocks().dropTenant(slot),
    committed: () => index.committed(),
    indexPressed: () => gauge.pressed(),
    sweep: async () => {
      const metadataGives = await parts.housekeeper().sweepNow();
      gauge.reset();
      return metadataGives;
    },
    onCulled: (slot) => {
      advice?.culled(slot);
      counters.culled += 1;
      counters.culledBytes += table.validBytesOf(slot);
      parts.housekeeper().noteLeft(table.objectIdOf(slot));
    },
    onSlice: (beganMs) => latencies.since("cullSlice", beganMs),
    onTrouble: parts.onTrouble,
  });
  const leases = new Leases<ObjectState>({
    now,
    hold: (file) => objects.hold(file),
    letGo: (file) => objects.letGo(file),
  });
  return { ...own, room, ranking, advice, leases };
}

/** Blocks that have room, going by what the slots that exist take. */
function capacityOf(table: SlotTable, limits: Limits): { blocks: number; blockBytes: number } {
  const { slotsMax, slotBytesMax } = limits;
  const mean = table.existing === 0 ? SLOT_BYTES : table.usedBytes / table.existing;
  const blockBytes = Math.max(PAGE_BYTES, Math.round(mean));
  return { blocks: Math.max(1, Math.min(slotsMax, Math.floor(slotBytesMax / blockBytes))), blockBytes };
}
