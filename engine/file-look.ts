/** What is cached of a file as a whole, found out in one turn. */
import type { Noticed } from "./direct/lookup-format.js";
import { type CacheError, isCacheError } from "../index/core/errors.js";
import { SLOT_BYTES } from "../index/core/layout.js";
import type { Blocks } from "./blocks.js";
import type { Counters } from "./counters.js";
import type { PinSet } from "./cull/pin-set.js";
import { BLOCK_BYTES } from "./file-ranges.js";
import type { Housekeeper } from "./housekeeper.js";
import type { Limits } from "./limits.js";
import type { ObjectState } from "./object-states.js";
import type { FileLook } from "./open-api.js";
import { isAvailable } from "./presence.js";
import type { SlotTable } from "./slots/slot-table.js";

/** What open and staged files need of the cache. */
export interface OpenFileParts {
  readonly blocks: Blocks;
  readonly housekeeper: Housekeeper;
  readonly table: SlotTable;
  readonly pins: PinSet;
  readonly counters: Counters;
  readonly limits: () => Limits;
  readonly takeSequence: () => number;
  readonly takeStamp: (noticed: Noticed) => number;
  /** As in BlockParts. */
  readonly indexFull: () => boolean;
  readonly noteRecord: (bytes: number) => void;
  /** Told of records that do not read back. */
  readonly onCorrupt: (error: CacheError) => void;
}

/** A file that has a record. */
export function lookAt(parts: Pick<OpenFileParts, "blocks" | "onCorrupt">, object: ObjectState): FileLook {
  const attributes = attributesOf(parts, object);
  const { sizeBytes } = object;
  return {
    sizeBytes,
    whole: isWhole(parts.blocks, object, sizeBytes),
    ...(attributes !== undefined && { attributes }),
  };
}

/** Whether every byte of a file of this size is here. Of a staged file too. */
export function isWhole(blocks: Blocks, object: ObjectState, sizeBytes: bigint): boolean {
  for (let block = 0, left = sizeBytes; left > 0n; block += 1, left -= BLOCK_BYTES) {
    const lengthBytes = left < BLOCK_BYTES ? Number(left) : SLOT_BYTES;
    const entry = blocks.entryOf(object.id, block);
    if (entry === undefined || entry.sequence < object.stampOf(block)) return false;
    if (!isAvailable(entry, { offsetBytes: 0, lengthBytes }, lengthBytes)) return false;
  }
  return true;
}

function attributesOf(
  { blocks, onCorrupt }: Pick<OpenFileParts, "blocks" | "onCorrupt">,
  object: ObjectState,
): Buffer | undefined {
  try {
    const record = blocks.life.index.metadata.get(object.id, "attributes");
    if (record?.kind !== "attributes" || record.sequence < object.stampMax) return undefined;
    return record.value;
  } catch (error) {
    if (!isCacheError(error, "E_INDEX_CORRUPT")) throw error;
    onCorrupt(error);
    blocks.life.index.metadata.remove(object.id, "attributes");
    return undefined;
  }
}
