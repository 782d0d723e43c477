/** Sizes of a cache as `tune` takes them: bytes, blocks, or a part of the blocks that a trace has. */
import { SLOT_BYTES } from "../../engine/cache.js";
import { isCacheError } from "../../index/core/errors.js";
import { parseSize } from "../../index/core/units.js";
import { CliError, EXIT } from "../exit-codes.js";

/** What is compared unless sizes are given. */
export const DEFAULT_CAPACITIES = ["1%", "5%", "10%", "20%"];
const BLOCKS = /^(\d{1,15})\s*blocks?$/i;
const WANTED = "want a size (64MiB), blocks (425blocks) or a share of the unique blocks (5%)";
/** More would not be shown by any table, nor be of use. */
const BLOCKS_MAX = 2 ** 31;

export interface Capacity {
  readonly text: string;
  /** For a trace with so many unique blocks. 1 or more. */
  readonly blocksOf: (uniqueBlocks: number) => number;
}

/** Reads a list with commas. @throws {CliError} 64 for what is none, and for nothing at all of blocks. */
export function parseCapacities(texts: readonly string[]): Capacity[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((text) => text.trim())
    .map(parseCapacity);
}

function parseCapacity(text: string): Capacity {
  const blocks = BLOCKS.exec(text)?.[1];
  if (blocks !== undefined) return fixed(text, Number(blocks));
  if (text.endsWith("%")) {
    const percent = Number(text.slice(0, -1).trim() || Number.NaN);
    if (!(percent > 0 && percent <= 100)) throw refused(text, "want a share above 0% and at most 100%");
    const blocksOf = (unique: number): number => Math.max(1, Math.round((unique * percent) / 100));
    return { text, blocksOf };
  }
  return fixed(text, Math.floor(bytesOf(text) / SLOT_BYTES));
}

function bytesOf(text: string): number {
  try {
    return parseSize(text);
  } catch (error) {
    if (isCacheError(error)) throw refused(text, WANTED);
    throw error;
  }
}

function fixed(text: string, blocks: number): Capacity {
  if (blocks < 1) throw refused(text, "want room for a block of 256 KiB or more");
  if (blocks > BLOCKS_MAX) throw refused(text, `want at most ${BLOCKS_MAX} blocks`);
  return { text, blocksOf: () => blocks };
}

function refused(text: string, wanted: string): CliError {
  return new CliError(EXIT.usage, `Cannot use capacity ${JSON.stringify(text)}: ${wanted}`);
}
