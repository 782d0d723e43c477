/** Entries of an index that nobody else uses. */
import type { BlockIndex } from "../../index/block-index.js";
import { isCacheError } from "../../index/core/errors.js";
import type { Entry } from "../../index/entry.js";

/** The entry of a block; undefined if there is none or it does not read back, which the walk finds. */
export function readableEntry(index: BlockIndex, objectId: number, block: number): Entry | undefined {
  try {
    return index.getEntry(objectId, block);
  } catch (error) {
    if (isCacheError(error, "E_INDEX_CORRUPT")) return undefined;
    throw error;
  }
}
