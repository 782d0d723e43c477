/** What has to be read of a slot for a part of its block, and how it is checked. Pure. */
import { GROUP_BYTES, PAGE_BYTES } from "../index/core/layout.js";
import type { Entry } from "../index/entry.js";
import type { Tenancy } from "./slots/checksums.js";
import type { PageSums } from "./slots/page-sums.js";

/** All groups that the wanted bytes touch; or only their pages, where those can be checked alone. */
export interface ReadPlan {
  readonly entry: Entry;
  readonly slot: number;
  readonly tenancy: Tenancy;
  readonly firstGroup: number;
  readonly firstPage: number;
  readonly pagesAlone: boolean;
  readonly startBytes: number;
  readonly lengthBytes: number;
  /** Wanted bytes begin this far into them. */
  readonly skipBytes: number;
  /** Nothing but wanted bytes is read. */
  readonly exact: boolean;
}

/** @param entry all of its pages are present. @param wanted at least one byte, within its valid bytes. */
export function readPlan(
  objectId: number,
  block: number,
  entry: Entry,
  wanted: { readonly startBytes: number; readonly endBytes: number },
  pageSums?: PageSums,
): ReadPlan {
  const { validBytes, epoch, sequence } = entry;
  const firstGroup = Math.floor(wanted.startBytes / GROUP_BYTES);
  const inOneGroup = wanted.endBytes <= (firstGroup + 1) * GROUP_BYTES;
  const pagesAlone = inOneGroup && pageSums !== undefined && pageSums.knows(entry, firstGroup);
  const unitBytes = pagesAlone ? PAGE_BYTES : GROUP_BYTES;
  const startBytes = Math.floor(wanted.startBytes / unitBytes) * unitBytes;
  const endBytes = Math.min(Math.ceil(wanted.endBytes / unitBytes) * unitBytes, validBytes);
  return {
    entry,
    slot: entry.slot,
    tenancy: { objectId, block, epoch, sequence },
    firstGroup,
    firstPage: startBytes / PAGE_BYTES,
    pagesAlone,
    startBytes,
    lengthBytes: endBytes - startBytes,
    skipBytes: wanted.startBytes - startBytes,
    exact: startBytes === wanted.startBytes && endBytes === wanted.endBytes,
  };
}
