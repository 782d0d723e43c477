/** What a check walks over: the same for a cache that is open and for one that nobody owns. */
import type { BlockIndex } from "../../index/block-index.js";
import { type CacheError, isCacheError } from "../../index/core/errors.js";
import type { Entry } from "../../index/entry.js";
import type { Ledger } from "../../index/ledger.js";
import type { Numbers } from "../../index/numbers.js";
import { type FsckCounts, type FsckFinding, NO_COUNTS } from "../fsck-api.js";
import type { SlotFileFacts } from "../slots/io.js";
import type { NamedEntry } from "../slots/intact.js";
import type { SlotFiles } from "../slots/slot-files.js";
import type { SlotTable } from "../slots/slot-table.js";
import type { Course } from "./course.js";
import type { FindingList } from "./findings.js";
import type { Mender } from "./mender.js";
import type { Orders } from "./orders.js";

export interface Ground {
  readonly index: BlockIndex;
  readonly table: SlotTable;
  readonly files: SlotFiles;
  readonly ledger: Ledger;
  readonly epoch: number;
  readonly slotsRoot: string;
  /** Numbers from these on were never given. */
  readonly next: () => Numbers;
  /** Records of files, as they are counted. */
  readonly objectsCounted: () => number;
  /** The entry as it stands; undefined if there is none or it does not read back. */
  readonly entryOf: (objectId: number, block: number) => Entry | undefined;
  /** The first group that is not what was stored. @throws {CacheError} E_IO. */
  readonly badGroup: (named: NamedEntry) => Promise<number | undefined>;
  /** The order of use and the free lists, where they are alive. */
  readonly orders: Orders | undefined;
  /** The mark that the ledger has while this check goes on. */
  readonly marked: "clean" | "unclean";
}

export type Counted = { -readonly [Key in keyof FsckCounts]: FsckCounts[Key] };

/** One check on its way. */
export interface Check {
  readonly ground: Ground;
  readonly deep: boolean;
  /** Given to repair what is found. */
  readonly mender: Mender | undefined;
  readonly course: Course;
  readonly findings: FindingList;
  readonly counts: Counted;
}

/** Adds a finding, and repairs what it is about if that is wanted. @param slot the one that it is about. */
// oxlint-disable-next-line max-params
export function found(
  { findings, mender }: Pick<Check, "findings" | "mender">,
  code: FsckFinding["code"],
  message: string,
  slot?: number,
  repair?: (mender: Mender) => string | undefined,
): void {
  const repaired = mender === undefined ? undefined : repair?.(mender);
  findings.add({
    code,
    message,
    ...(slot !== undefined && { slot }),
    ...(repaired !== undefined && { repaired }),
  });
}

export function noCounts(): Counted {
  return { ...NO_COUNTS };
}

/** What lies under the name of a slot's file, or why that can't be told. */
export function factsOf({ ground }: Check, slot: number): SlotFileFacts | "missing" | CacheError {
  try {
    return ground.files.factsOf(slot) ?? "missing";
  } catch (error) {
    if (isCacheError(error, "E_IO")) return error;
    throw error;
  }
}
